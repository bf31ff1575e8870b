"""The hub's keys on a stick."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.api.errors import HubError
from plugins.videotron.keys import ceremony
from plugins.videotron.keys.keyring import KEYCHAIN, load, make
from plugins.videotron.player.newkeys import install
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.trusted import Limits, Trusted
from plugins.videotron.protocol import Keychain, decode, encode

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


class StandingClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def player(folder: Path) -> Trusted:
    """The player of this folder, just started."""
    limits = Limits(file_bytes=1 << 30, total_bytes=4 << 30)
    trusted = Trusted(folder, player="gate-1", chain=None, time=Timekeeper(StandingClock()), limits=limits)
    trusted.load()
    return trusted


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    make(tmp_path / "hub", "kantor", now=NOW)
    return tmp_path / "hub"


@pytest.fixture
def folder(tmp_path: Path, hub: Path) -> Path:
    """Of a player that was enrolled with the first keys, and has stored what it trusts."""
    folder = tmp_path / "player"
    folder.mkdir()
    first = load(hub, now=NOW)
    (folder / KEYCHAIN).write_bytes(first.chain)
    (tmp_path / "old.json").write_bytes(first.chain)
    ceremony.rotate(hub, now=NOW)
    asyncio.run(player(folder).take_keys(load(hub, now=NOW).chain))
    return folder


def test_keys_on_a_stick_count_from_the_next_start(hub: Path, folder: Path) -> None:
    keyset = ceremony.rotate(hub, now=NOW, stolen=True)

    installed = install(folder, hub / KEYCHAIN)

    assert installed == keyset
    assert player(folder).keyset == keyset


def test_a_spoiled_disk_does_not_bring_back_keys_of_long_ago(hub: Path, folder: Path) -> None:
    newest = ceremony.rotate(hub, now=NOW, stolen=True)
    asyncio.run(player(folder).take_keys(load(hub, now=NOW).chain))

    for name in ("trust.json", "trust.old.json"):
        (folder / name).write_bytes(b"\0" * 100)

    assert player(folder).keyset == newest


def test_keys_of_another_hub_are_refused_before_they_are_copied(tmp_path: Path, folder: Path) -> None:
    make(tmp_path / "other", "kantor", now=NOW)
    ceremony.rotate(tmp_path / "other", now=NOW)
    before = (folder / KEYCHAIN).read_bytes()

    with pytest.raises(HubError, match="do not follow it"):
        install(folder, tmp_path / "other" / KEYCHAIN)

    assert (folder / KEYCHAIN).read_bytes() == before


def test_older_keys_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(HubError, match="older than keyset 2"):
        install(folder, tmp_path / "old.json")


def test_a_player_that_knows_no_hub_is_to_be_enrolled(tmp_path: Path, hub: Path) -> None:
    with pytest.raises(HubError, match="enrol it"):
        install(tmp_path, hub / KEYCHAIN)


def test_an_endless_file_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "endless.json").write_bytes(b" " * 5_000_000)

    with pytest.raises(HubError, match="do not follow it"):
        install(folder, tmp_path / "endless.json")


def test_a_history_that_somebody_put_before_the_trusted_keys_is_not_kept(
    hub: Path, folder: Path, tmp_path: Path
) -> None:
    make(tmp_path / "stranger", "kantor", now=NOW)
    foreign = decode(Keychain, (tmp_path / "stranger" / KEYCHAIN).read_bytes()).keysets
    keyset = ceremony.rotate(hub, now=NOW)
    true = decode(Keychain, (hub / KEYCHAIN).read_bytes()).keysets
    (tmp_path / "stick.json").write_bytes(encode(Keychain(keysets=(*foreign, *true[1:]))))

    install(folder, tmp_path / "stick.json")
    for name in ("trust.json", "trust.old.json"):
        (folder / name).unlink(missing_ok=True)

    assert player(folder).keyset == keyset
