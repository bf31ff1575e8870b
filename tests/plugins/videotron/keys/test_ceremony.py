"""Changing keys: what a custodian signs, what is put in force, and the drills of docs/keys.md."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from plugins.videotron.keys import ceremony
from plugins.videotron.keys.ceremony import Change
from plugins.videotron.keys.keyfiles import BadKeys, read_key
from plugins.videotron.keys.keyring import KEYCHAIN, LIFETIME, MAX_KEYSETS, ONLINE, ROOT, load, role
from plugins.videotron.keys.proposals import (
    Proposal,
    changes,
    check_known,
    merge,
    propose,
    read_proposal,
    sign,
    write_proposal,
)
from plugins.videotron.protocol import Command, CommandName, SigningKey, encode_signed
from plugins.videotron.protocol.keychains import public_keys, read_keychain
from plugins.videotron.protocol.signatures import decode_signed
from plugins.videotron.protocol.trust import begin, follow_chain

DIES = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from plugins.videotron.keys import ceremony

left = int(sys.argv[2])
replace = Path.replace

def counted(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return replace(self, target)

Path.replace = counted
ceremony.rotate(Path(sys.argv[1]), now=datetime.now(UTC))
"""


def custodians(count: int) -> list[SigningKey]:
    return [SigningKey(bytes([number]) * 32) for number in range(1, count + 1)]


def go_offline(folder: Path, keys: list[SigningKey], now: datetime, *, threshold: int = 2) -> None:
    """Two of three custodians take over from the root of `keys init`."""
    change = Change(roots=role(*(key.public for key in keys), threshold=threshold))
    proposal = ceremony.prepare(folder, change, now=now)
    for key in keys[:threshold]:
        proposal = sign(proposal, key)
    ceremony.install(folder, [proposal], now=now)
    ceremony.retire_root(folder)


def carried(proposal: Proposal) -> Proposal:
    """What comes out of the file that went over a stick."""
    return read_proposal(write_proposal(proposal))


def test_rotate_puts_another_online_key_in_force(folder: Path, now: datetime) -> None:
    before = load(folder, now=now)

    keyset = ceremony.rotate(folder, now=now + timedelta(days=1))

    after = load(folder, now=now)
    assert (keyset.version, keyset.epoch) == (2, 1)
    assert after.online.public != before.online.public
    assert after.keyset.root == before.keyset.root
    assert read_keychain(after.chain) == (before.keyset, keyset)


def test_drill_the_online_key_was_stolen(folder: Path, now: datetime) -> None:
    thief = load(folder, now=now).online

    keyset = ceremony.rotate(folder, now=now, stolen=True)

    assert keyset.epoch == 2
    forged = encode_signed(
        Command(
            site="kantor",
            aud="gate",
            epoch=2,
            counter=9,
            issued=now,
            expires=now + timedelta(days=1),
            name=CommandName.SCREENSHOT,
        ),
        thief,
    )
    with pytest.raises(ValueError, match="does not count"):
        decode_signed(Command, forged, public_keys(keyset.online))


def test_revoking_undoes_a_clock_that_was_ahead(folder: Path, now: datetime) -> None:
    ceremony.rotate(folder, now=now + timedelta(days=300))
    misled = begin(load(folder, now=now).chain)
    assert misled.floor == now + timedelta(days=300)

    ceremony.rotate(folder, now=now, stolen=True)

    assert follow_chain(misled, load(folder, now=now).chain).floor == now


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_killed_rotation_leaves_the_old_keys_or_the_new_ones(folder: Path, now: datetime, step: int) -> None:
    old = load(folder, now=now).online.public
    result = subprocess.run([sys.executable, "-c", DIES, str(folder), str(step)], capture_output=True, timeout=60)
    assert result.returncode == (-9 if step < 3 else 0), result.stderr

    ceremony.renew(folder, now=now)  # what the timer and the installer do

    keyring = load(folder, now=now)
    assert (keyring.keyset.version, keyring.online.public == old) == ((1, True) if step < 2 else (2, False))


def test_two_of_three_custodians_take_over_from_the_first_root(folder: Path, now: datetime) -> None:
    first_root = read_key(folder / ROOT)
    keys = custodians(3)

    go_offline(folder, keys, now)

    keyset = load(folder, now=now).keyset
    assert (keyset.root.threshold, len(keyset.root.keys)) == (2, 3)
    assert not (folder / ROOT).exists()
    proposal = ceremony.prepare(folder, Change(online=True), now=now)
    with pytest.raises(BadKeys, match="is no root"):
        sign(proposal, first_root)


def test_too_few_custodians_can_change_nothing(folder: Path, now: datetime) -> None:
    keys = custodians(3)
    go_offline(folder, keys, now)
    proposal = sign(ceremony.prepare(folder, Change(online=True), now=now), keys[0])

    with pytest.raises(BadKeys, match="1 more of the roots"):
        ceremony.install(folder, [proposal], now=now)

    assert load(folder, now=now).keyset.version == 2


def test_signing_twice_counts_once(folder: Path, now: datetime) -> None:
    keys = custodians(3)
    go_offline(folder, keys, now)
    proposal = ceremony.prepare(folder, Change(online=True), now=now)

    twice = merge([sign(sign(proposal, keys[0]), keys[0]), sign(proposal, keys[0])])

    assert len(twice.signatures) == 1
    with pytest.raises(BadKeys, match="1 more"):
        ceremony.install(folder, [twice], now=now)


def test_custodians_may_sign_copies_of_the_file_far_apart(folder: Path, now: datetime) -> None:
    keys = custodians(3)
    go_offline(folder, keys, now)
    proposal = ceremony.prepare(folder, Change(online=True), now=now)
    copies = [carried(sign(carried(proposal), key)) for key in keys[1:]]

    keyset = ceremony.install(folder, copies, now=now)

    assert load(folder, now=now).keyset == keyset
    assert keyset.version == 3


def test_installing_again_changes_nothing(folder: Path, now: datetime) -> None:
    keys = custodians(2)
    proposal = ceremony.prepare(folder, Change(roots=role(*(k.public for k in keys), threshold=2)), now=now)
    signed = sign(sign(proposal, keys[0]), keys[1])
    ceremony.install(folder, [signed], now=now)
    before = (folder / KEYCHAIN).read_bytes()

    ceremony.install(folder, [signed], now=now)

    assert (folder / KEYCHAIN).read_bytes() == before


def test_files_of_different_proposals_are_not_put_together(folder: Path, now: datetime) -> None:
    two = [ceremony.prepare(folder, Change(online=True), now=now) for _ in range(2)]

    with pytest.raises(BadKeys, match="different proposals"):
        ceremony.install(folder, two, now=now)


@pytest.mark.parametrize("change", [{"version": 3}, {"version": 1}, {"site": "tetangga"}])
def test_a_proposal_that_could_never_follow_is_not_shown(
    folder: Path, now: datetime, change: dict[str, object]
) -> None:
    proposal = ceremony.prepare(folder, Change(), now=now)
    after = proposal.after.model_copy(update=change)

    with pytest.raises(BadKeys, match="not a proposal"):
        carried(propose(proposal.texts, proposal.before, after))


def test_a_proposal_that_was_overtaken_is_refused(folder: Path, now: datetime) -> None:
    old = ceremony.prepare(folder, Change(online=True), now=now)
    ceremony.rotate(folder, now=now)

    with pytest.raises(BadKeys, match="keyset 2 of kantor is in force"):
        ceremony.install(folder, [old], now=now)


def test_a_proposal_of_another_office_is_refused(folder: Path, tmp_path: Path, now: datetime) -> None:
    from plugins.videotron.keys.keyring import make

    make(tmp_path / "other", "tetangga", now=now)
    foreign = ceremony.prepare(tmp_path / "other", Change(), now=now)

    with pytest.raises(BadKeys, match="of tetangga"):
        ceremony.install(folder, [foreign], now=now)


def test_a_proposal_is_installed_only_where_its_online_key_is(folder: Path, tmp_path: Path, now: datetime) -> None:
    proposal = ceremony.prepare(folder, Change(online=True), now=now)
    for waiting in folder.glob("online-*.key"):
        waiting.unlink()

    with pytest.raises(BadKeys, match="not on this machine"):
        ceremony.install(folder, [proposal], now=now)


def test_a_proposal_that_waited_too_long_is_refused(folder: Path, now: datetime) -> None:
    proposal = ceremony.prepare(folder, Change(), now=now)

    with pytest.raises(BadKeys, match="expired"):
        ceremony.install(folder, [proposal], now=now + LIFETIME)


def test_a_proposal_that_somebody_changed_is_not_shown_as_genuine(folder: Path, now: datetime) -> None:
    keys = custodians(3)
    genuine = sign(ceremony.prepare(folder, Change(roots=role(keys[0].public)), now=now), keys[0])

    changed = carried(replace(genuine, payload=genuine.payload.replace('"epoch":1', '"epoch":3')))

    assert changed.after.epoch == 3
    assert changed.signatures == ()  # none of them holds for the changed text
    with pytest.raises(BadKeys, match="somebody changed it"):
        read_proposal(write_proposal(genuine).replace(b"kantor", b"kuntor"))


def test_a_history_that_hides_what_is_new_is_noticed_by_who_kept_the_keychain(folder: Path, now: datetime) -> None:
    """The thief's online key stands in a made-up keyset before the proposal, so that it does not look new."""
    keys, thief = custodians(3), SigningKey(b"\x42" * 32)
    go_offline(folder, keys, now)
    kept = (folder / KEYCHAIN).read_bytes()
    genuine = load(folder, now=now).keyset
    made_up = genuine.model_copy(
        update={"root": role(thief.public, *(key.public for key in keys)), "online": role(thief.public)}
    )
    after = genuine.model_copy(update={"version": 3, "online": role(thief.public)})
    text = encode_signed(made_up, thief).decode()

    forged = carried(propose([text], made_up, after))

    assert not any("online" in sentence for sentence in changes(forged.before, forged.after))
    with pytest.raises(BadKeys, match="do not sign it"):
        check_known(forged, kept)
    check_known(carried(ceremony.prepare(folder, Change(online=True), now=now)), kept)


def test_a_killed_command_leaves_no_key_lying_about(folder: Path, now: datetime) -> None:
    (folder / ".0123456789ab.tmp").write_text("half a key")

    ceremony.rotate(folder, now=now)

    assert not list(folder.glob(".*.tmp"))


def test_a_custodian_reads_in_words_what_changes(folder: Path, now: datetime) -> None:
    keys = custodians(3)
    change = Change(online=True, stolen=True, roots=role(*(key.public for key in keys), threshold=2))

    proposal = ceremony.prepare(folder, change, now=now)

    said = "\n".join(changes(proposal.before, proposal.after))
    assert "1 of 1 before, 2 of 3 from now on" in said
    assert said.count("From now on a root key:") == 3
    assert "No longer an online key:" in said
    assert "all that was signed before is void" in said


def test_drill_a_root_stick_is_lost(folder: Path, now: datetime) -> None:
    keys = custodians(4)
    go_offline(folder, keys[:3], now)
    others = role(keys[1].public, keys[2].public, keys[3].public, threshold=2)  # without the lost first one

    proposal = ceremony.prepare(folder, Change(roots=others), now=now)
    for key in keys[1:3]:
        proposal = sign(carried(proposal), key)
    ceremony.install(folder, [proposal], now=now)

    after = ceremony.prepare(folder, Change(online=True), now=now)
    with pytest.raises(BadKeys, match="is no root"):
        sign(after, keys[0])


def test_drill_a_custodian_leaves_and_two_others_let_a_new_one_in(folder: Path, now: datetime) -> None:
    keys = custodians(4)
    go_offline(folder, keys[:3], now)
    others = role(keys[0].public, keys[1].public, keys[3].public, threshold=2)
    proposal = ceremony.prepare(folder, Change(roots=others), now=now)
    for key in (keys[0], keys[1]):
        proposal = sign(proposal, key)
    ceremony.install(folder, [proposal], now=now)

    change = sign(sign(ceremony.prepare(folder, Change(online=True), now=now), keys[3]), keys[0])

    assert ceremony.install(folder, [change], now=now).version == 4


def test_drill_the_server_is_lost_and_its_backup_too_but_for_the_keychain(
    folder: Path, tmp_path: Path, now: datetime
) -> None:
    keys = custodians(3)
    go_offline(folder, keys, now)
    server = tmp_path / "new-server"
    server.mkdir()
    (folder / KEYCHAIN).rename(server / KEYCHAIN)  # the copy on a stick

    proposal = ceremony.prepare(server, Change(online=True, stolen=True), now=now)
    for key in keys[:2]:
        proposal = sign(proposal, key)
    ceremony.install(server, [proposal], now=now)

    keyring = load(server, now=now)
    assert (keyring.keyset.version, keyring.keyset.epoch) == (3, 2)


def test_the_root_that_still_counts_is_not_removed(folder: Path) -> None:
    with pytest.raises(BadKeys, match="is a root of the keyset in force"):
        ceremony.retire_root(folder)

    assert (folder / ROOT).exists()


def test_the_keyset_is_renewed_by_itself_when_the_root_is_at_hand(folder: Path, now: datetime) -> None:
    early = ceremony.renew(folder, now=now + timedelta(days=200))
    late = ceremony.renew(folder, now=now + timedelta(days=300))

    assert early is None
    assert late is not None
    assert late.expires == now + timedelta(days=300) + LIFETIME
    assert load(folder, now=now).keyset == late


def test_nothing_renews_itself_without_the_custodians(folder: Path, now: datetime) -> None:
    go_offline(folder, custodians(3), now)

    assert ceremony.renew(folder, now=now + timedelta(days=799)) is None


def test_the_chain_keeps_the_newest_keysets_when_it_is_full(folder: Path, now: datetime) -> None:
    for _ in range(MAX_KEYSETS + 2):
        ceremony.rotate(folder, now=now)

    carried(ceremony.prepare(folder, Change(), now=now))
    chain = read_keychain(load(folder, now=now).chain)
    assert [keyset.version for keyset in chain] == list(range(4, MAX_KEYSETS + 4))


def test_a_finished_change_leaves_no_other_online_key(folder: Path, now: datetime) -> None:
    ceremony.prepare(folder, Change(online=True), now=now)  # given up

    ceremony.rotate(folder, now=now)

    assert sorted(path.name for path in folder.iterdir()) == [KEYCHAIN, ONLINE, ROOT]
