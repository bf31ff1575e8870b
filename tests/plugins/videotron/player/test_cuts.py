"""After power cuts and on a dying disk: nothing older than what is left is followed, and the screen goes on."""

from __future__ import annotations

import base64
import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.player import enrolment
from plugins.videotron.player.boots import count_boot
from plugins.videotron.player.identity import Identity
from plugins.videotron.player.kept import pack, unpack
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.player.spoiled import KEPT, clear_litter, put, set_aside
from plugins.videotron.player.store import Store
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.trusted import Limits, Trusted
from plugins.videotron.protocol import Mode, Refused
from plugins.videotron.protocol.enrolment import Credential, Meeting, Size
from tests.plugins.videotron.attacks.office import MAX_FILE, MAX_TOTAL, PLAYER, START, Office, key

FIRST, SECOND = "IP-2026-11-0001", "IP-2026-11-0002"
FILES = (
    *("trust.json", "trust.old.json", "manifest.json", "manifest.old.json"),
    *("override.json", "override.copy.json", "keychain.json"),
)

# --- the ways in which a disk spoils a file


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def missing(path: Path) -> None:
    path.unlink()


def unreadable(path: Path) -> None:
    """Also for root: a link to itself."""
    path.unlink()
    path.symlink_to(path.name)


def a_folder(path: Path) -> None:
    path.unlink()
    (path / "lost+found").mkdir(parents=True)


WAYS = (truncated, zeroed, garbage, one_bit, missing, unreadable, a_folder)


class Clock:
    def now(self) -> datetime:
        return START + timedelta(minutes=5)

    def monotonic(self) -> float:
        return 0.0


def opened(folder: Path) -> Trusted:
    """A player's trust, as after a start."""
    limits = Limits(file_bytes=MAX_FILE, total_bytes=MAX_TOTAL)
    trusted = Trusted(folder, player=PLAYER, chain=None, time=Timekeeper(Clock()), limits=limits)
    trusted.load()
    return trusted


@pytest.fixture
async def lived(tmp_path: Path) -> tuple[Path, Office, list[bytes], list[bytes]]:
    """The folder of a player that has followed keyset 2, manifests to 5 and orders to 3; and all those documents."""
    folder, office = tmp_path / "lived", Office()
    folder.mkdir()
    (folder / "keychain.json").write_bytes(office.chain)
    office.rotate_online(key(101))
    trusted = opened(folder)
    await trusted.take_keys(office.chain)
    manifests = [office.publish() for _ in range(6)]
    orders = [office.override(mode=Mode.NONE), office.override(), office.override(), office.override(mode=Mode.NONE)]
    for document in manifests[:4]:
        await trusted.take_manifest(document)
    await trusted.take_override(orders[0])
    await trusted.take_override(orders[1])
    await trusted.take_manifest(manifests[4])
    await trusted.take_override(orders[2])
    return folder, office, manifests, orders


def knowable(spoiled: Iterable[str]) -> tuple[int, int]:
    """The highest manifest and order of which any whole file tells, by what each file was written for."""
    whole = set(FILES) - set(spoiled)
    if not whole & {"trust.json", "trust.old.json", "keychain.json"}:
        return 0, 0  # no key: nothing can be told from a forgery
    manifest = [5 if whole & {"trust.json", "trust.old.json", "manifest.json"} else 0, 4]
    order = [3 if whole & {"trust.json", "override.json", "override.copy.json"} else 0]
    order += [2] if "trust.old.json" in whole else []
    return max(manifest[:1] + (manifest[1:] if "manifest.old.json" in whole else [])), max(order)


async def takes(taking: Any) -> bool:
    try:
        return bool(await taking)
    except Refused:
        return False


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 2])
async def test_nothing_older_than_what_is_left_is_followed_and_all_of_it_heals(
    lived: Any, tmp_path: Path, way: Callable[[Path], None], count: int
) -> None:
    seed, office, manifests, orders = lived
    for spoiled in itertools.combinations(FILES, count):
        folder = tmp_path / "-".join(spoiled)
        shutil.copytree(seed, folder)
        for name in spoiled:
            way(folder / name)
        manifest, order = knowable(spoiled)

        trusted = opened(folder)

        assert trusted.version[1] in (0, manifest), spoiled
        if manifest and (manifest == 4 or "manifest.json" not in spoiled):
            assert trusted.version == (1, manifest), spoiled
        assert trusted.override_lost or trusted.override_counter == order, spoiled
        assert trusted.override_lost or not order or trusted.override.mode is Mode.BLACKOUT, spoiled
        if {"trust.json", "manifest.json"} & set(spoiled) and way is not missing:
            assert trusted.troubles, spoiled
        for older in (*manifests[: max(0, manifest - 1)], b""):
            assert not await takes(trusted.take_manifest(older)), spoiled
        for older in orders[: max(0, order - 1)]:
            assert not await takes(trusted.take_override(older)), spoiled

        if trusted.keyset is None:  # keychain.json alone is not enough to lose a key: both are gone here
            continue
        await trusted.take_keys(office.chain)
        assert await takes(trusted.take_manifest(manifests[5]))
        assert await takes(trusted.take_override(orders[3]))
        healed = opened(folder)
        assert (healed.version, healed.override_counter, healed.override_lost) == ((1, 6), 4, False), spoiled


@pytest.mark.parametrize("way", WAYS)
def test_a_spoiled_keychain_is_made_again_from_the_trust_and_never_older(
    lived: Any, way: Callable[[Path], None]
) -> None:
    folder, _, _, _ = lived
    way(folder / "keychain.json")
    assert opened(folder).keyset.version == 2
    for name in ("trust.json", "trust.old.json"):
        (folder / name).unlink()

    again = opened(folder)

    assert again.keyset.version == 2
    assert again.version == (1, 5)


@pytest.mark.parametrize("way", WAYS)
async def test_two_keysets_at_once_and_a_spoiled_trust_bring_no_stolen_key_back(
    lived: Any, way: Callable[[Path], None]
) -> None:
    folder, office, manifests, _ = lived
    office.rotate_online(key(102), stolen=True)
    office.rotate_online(key(103))
    await opened(folder).take_keys(office.chain)
    way(folder / "trust.json")

    again = opened(folder)

    assert (again.keyset.version, again.keyset.epoch) == (4, 2)
    assert not await takes(again.take_manifest(manifests[5]))


async def test_a_lost_order_comes_back_with_the_same_document(lived: Any) -> None:
    folder, _, _, orders = lived
    for name in ("override.json", "override.copy.json"):
        zeroed(folder / name)
    trusted = opened(folder)
    assert trusted.override_lost
    assert "order that was in force is lost" in " ".join(trusted.troubles)

    await trusted.take_override(orders[2])

    assert not trusted.override_lost
    assert opened(folder).override.mode is Mode.BLACKOUT


def test_a_bit_that_the_disk_turned_in_the_trust_is_noticed() -> None:
    """Without a checksum, a digit of the time floor or of a number could block a player for ever."""
    whole = pack(Office().trust())
    assert pack(unpack(whole)) == whole

    for at in range(0, len(whole) - 66, 97):
        turned = bytearray(whole)
        turned[at] ^= 1
        with pytest.raises(ValueError, match="not what was written"):
            unpack(bytes(turned))


# --- a disk that takes nothing


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_what_cannot_be_stored_is_not_followed_and_nothing_lower_ever_is(
    lived: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The disk fails at each write in turn while manifest and order come, as a cable that wakes and sleeps."""
    folder, _, manifests, orders = lived
    real, calls = os.fsync, itertools.count()
    for failing in range(12):
        trusted, first = opened(folder), next(calls)

        def fsync(fd: int, last: int = first + failing) -> None:
            if next(calls) > last:
                raise OSError(number, os.strerror(number))
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)
        for taking in (trusted.take_manifest(manifests[5]), trusted.take_override(orders[3])):
            with contextlib.suppress(OSError):
                await taking
        followed = trusted.version, trusted.override_counter
        monkeypatch.setattr(os, "fsync", real)

        again = opened(folder)
        assert again.version >= followed[0]
        assert again.override_counter >= followed[1]
        for older in manifests[:4]:
            assert not await takes(again.take_manifest(older))
        for older in orders[:2]:
            assert not await takes(again.take_override(older))
    assert again.version == (1, 6)


# --- the other files


@pytest.mark.parametrize("way", WAYS)
def test_each_start_counts_on_whatever_became_of_the_count(tmp_path: Path, way: Callable[[Path], None]) -> None:
    assert [count_boot(tmp_path, now=1000), count_boot(tmp_path, now=900)] == [1000, 1001]
    way(tmp_path / "boots")

    assert count_boot(tmp_path, now=2000) >= 2000
    if way not in (unreadable, one_bit):
        assert count_boot(tmp_path, now=1500) == 2001


def test_a_count_that_no_state_could_carry_is_no_count(tmp_path: Path) -> None:
    (tmp_path / "boots").write_text("9" * 20)

    assert count_boot(tmp_path, now=2000) == 2000


def test_a_player_whose_key_cannot_be_read_plays_on_and_says_so(tmp_path: Path) -> None:
    before = Identity.load_or_make(tmp_path)
    unreadable(tmp_path / "identity.key")

    now = Identity.at_any_rate(tmp_path)

    assert "cannot be used" in now.told
    assert now.public != before.public
    assert (tmp_path / "identity.key").is_symlink()


def test_a_folder_in_the_place_of_the_key_is_set_aside_and_told(tmp_path: Path) -> None:
    Identity.load_or_make(tmp_path)
    a_folder(tmp_path / "identity.key")

    now = Identity.load_or_make(tmp_path)

    assert "enrol it anew" in now.told
    assert Identity.load_or_make(tmp_path).public == now.public


@pytest.mark.parametrize("way", WAYS)
def test_a_record_of_plays_is_begun_anew_or_kept_in_memory(tmp_path: Path, way: Callable[[Path], None]) -> None:
    def begin() -> ProofLog:
        return ProofLog(tmp_path / "proof.db", boot="0" * 16, keep=100, set_aside=lambda _: None)

    begin().close()
    for rest in tmp_path.glob("proof.db-*"):
        rest.unlink()
    way(tmp_path / "proof.db")

    record = begin()

    assert record.chain
    assert bool(record.trouble) is (way is unreadable)
    record.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_spoiled_film_is_never_taken_for_one_and_its_place_is_free(tmp_path: Path, way: Any, films: Any) -> None:
    store, red = Store(tmp_path / "media", keep_free_bytes=0), films["red"]
    path = store.path(red.sha256)
    path.write_bytes(red.data)
    assert store.verify(red.sha256)
    way(path)

    assert not store.verify(red.sha256)

    assert not path.exists() or way is unreadable
    part = store.open_part(red.list())
    for index in range(red.n):
        assert part.put(index, red.block(index))
    assert store.finish(part).read_bytes() == red.data


def test_a_file_in_the_place_of_the_films_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("?")

    assert Store(tmp_path / "media", keep_free_bytes=0).present() == frozenset()


def test_what_kills_and_spoiled_files_leave_behind_never_grows(tmp_path: Path) -> None:
    for _ in range(10):
        put(tmp_path / "boots", "1")
        set_aside(tmp_path / "boots")
        (tmp_path / f".{os.urandom(6).hex()}.tmp").write_text("half")
    assert len(list(tmp_path.glob("boots.spoiled-*"))) == KEPT

    assert clear_litter(tmp_path) == 10
    assert len(list(tmp_path.iterdir())) == KEPT


@pytest.mark.parametrize("way", [way for way in WAYS if way is not unreadable])
@pytest.mark.parametrize("name", [enrolment.FILE, enrolment.COPY])
def test_one_spoiled_file_does_not_cost_a_player_its_enrolment(
    tmp_path: Path, way: Callable[[Path], None], name: str
) -> None:
    office = Office()
    credential = Credential(
        site=office.site,
        player=PLAYER,
        password="x" * 32,
        broker=Meeting(host="192.0.2.1", port=8883, ca=None),
        screen=Size(width=64, height=48),
        zone="Asia/Makassar",
        keychain=base64.b64encode(office.chain).decode(),
    )
    stored = enrolment.enrolment_of(bytes(32), credential)
    enrolment.store(tmp_path, stored)
    way(tmp_path / name)

    if way is not one_bit:  # which may stand in a letter that no check covers
        assert enrolment.load(tmp_path) == stored
    enrolment.forget(tmp_path)
    assert enrolment.load(tmp_path) is None


# --- the whole player


def spoil_all(state: Path, way: Callable[[Path], None]) -> None:
    """Every file but the keys that came with the enrolment."""
    for path in [*state.iterdir(), *(state / "media").iterdir()]:
        if path.is_file() and path.name not in ("keychain.json", "identity.key"):
            way(path)


@pytest.mark.parametrize("way", [truncated, garbage, unreadable, a_folder])
async def test_a_player_with_nothing_whole_but_its_keys_shows_its_fallback_tells_and_comes_back(
    hub: Any, films: Any, start_agent: Any, settings: Any, way: Callable[[Path], None]
) -> None:
    await hub.serve(films["red"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.shows(FIRST))
    spoil_all(settings.state_dir, way)
    await hub.say(hub.topics.manifest("gate-1"), b"")
    hub.states.clear()

    async with start_agent() as agent:
        await hub.until(lambda: hub.last() and hub.last().online and hub.last().shows == "fallback")
        await agent.playback.first_picture.wait()
        await hub.manifest(8, films["red"].entry(FIRST))
        await hub.until(lambda: hub.shows(FIRST) and hub.last().seq == 8)
        if way is not unreadable:
            plays = len(hub.played(FIRST))
            await hub.until(lambda: len(hub.played(FIRST)) > plays)
    assert hub.states


async def test_a_lost_blackout_shows_the_fallback_until_it_comes_again(
    hub: Any, films: Any, start_agent: Any, settings: Any
) -> None:
    await hub.serve(films["red"])
    await hub.manifest(7, films["red"].entry(FIRST))
    await hub.override(1, Mode.BLACKOUT)
    async with start_agent():
        await hub.until(lambda: hub.last() and hub.last().shows == "blackout" and hub.last().holds)
    for name in ("override.json", "override.copy.json"):
        garbage(settings.state_dir / name)
    await hub.say(hub.topics.override("gate-1"), b"")
    hub.states.clear()

    async with start_agent():
        await hub.until(lambda: hub.last() and hub.last().holds and hub.last().shows == "fallback")
        assert "state spoiled" in [problem.code for problem in hub.last().problems]
        await hub.override(1, Mode.BLACKOUT)  # not the same: the hub signs anew, with another time
        await hub.override(2, Mode.NONE)
        await hub.until(lambda: hub.shows(FIRST))

    assert all(state.shows != "items" for state in hub.states if state.override < 2)
