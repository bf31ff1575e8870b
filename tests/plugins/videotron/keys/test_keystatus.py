"""What is wrong with the keys is said in time, with the remedy; what a user may not see is no alarm."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from plugins.videotron.keys import ceremony, keystatus
from plugins.videotron.keys.keyfiles import KeysHidden, write_key
from plugins.videotron.keys.keyring import KEYCHAIN, ONLINE, ROOT, load, role
from plugins.videotron.keys.proposals import sign
from plugins.videotron.protocol import SigningKey


@pytest.mark.parametrize(("days", "said"), [(339, ""), (341, "expires on"), (399, "expires on"), (401, "expired on")])
def test_a_keyset_that_ends_soon_is_told_from_sixty_days_before(
    folder: Path, now: datetime, days: int, said: str
) -> None:
    sentences = keystatus.ending(load(folder, now=now).keyset, now + timedelta(days=days))

    assert len(sentences) == bool(said)
    assert all(said in sentence and "keys renew" in sentence for sentence in sentences)


def test_a_keyset_that_has_ended_keeps_the_hub_from_nothing_else(folder: Path, now: datetime) -> None:
    assert keystatus.unusable(folder, now=now + timedelta(days=500)) == []


def test_keys_that_cannot_be_used_are_named_before_the_start(folder: Path, now: datetime) -> None:
    (folder / ONLINE).chmod(0o444)

    [sentence] = keystatus.unusable(folder, now=now)

    assert "chmod 0400" in sentence


def test_a_key_that_this_user_may_not_see_is_no_alarm(
    folder: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(path: Path, **_: object) -> SigningKey:
        raise KeysHidden(f"{path} may not be read by this user; use sudo")

    monkeypatch.setattr("plugins.videotron.keys.keyring.read_key", hidden)  # root may read everything

    assert keystatus.unusable(folder, now=now) == []
    found = keystatus.look(folder, now=now)
    assert (found.problems, len(found.notes)) == ((), 2)


def test_a_root_that_counts_no_more_must_go(folder: Path, now: datetime) -> None:
    custodian = SigningKey.new()
    change = ceremony.Change(roots=role(custodian.public))
    ceremony.install(folder, [sign(ceremony.prepare(folder, change, now=now), custodian)], now=now)

    [problem] = keystatus.look(folder, now=now).problems
    ceremony.retire_root(folder)

    assert "--remove-old-root" in problem
    assert keystatus.look(folder, now=now).problems == ()
    assert not ceremony.retire_root(folder)


def test_keysets_of_custodians_hold_longer(folder: Path, now: datetime) -> None:
    custodian = SigningKey.new()
    proposal = ceremony.prepare(folder, ceremony.Change(roots=role(custodian.public)), now=now)

    assert proposal.after.expires - now == ceremony.OFFLINE_LIFETIME


def test_a_damaged_chain_and_a_foreign_file_are_told(folder: Path, now: datetime) -> None:
    (folder / KEYCHAIN).write_text("{}")
    write_key(folder / ROOT, SigningKey.new(), "another")

    found = keystatus.look(folder, now=now)

    assert found.keyset is None
    assert "backup" in found.problems[0]
    assert keystatus.as_json(found, now)["site"] is None
