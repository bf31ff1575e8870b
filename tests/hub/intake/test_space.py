"""Nothing is begun that does not fit, nothing small waits for something large, and all goes on by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.intake.claim import NoSpace
from hub.intake.desk import Postponed, Submission, Verdict
from hub.intake.space import FileSystem, Need, Space, lacks, need_of, needed, spell_size
from hub.intake.space import Place as Where
from hub.messages import catalogue
from hub.testing import FakeClock
from tests.hub.intake.conftest import Place, wait_until

MB = 1_000_000
ONE_DISK = {where: FileSystem(device=1, free=100 * MB) for where in Where}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; `grow` makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=400m", str(disk)], check=True)


@pytest.fixture
def there(small_disk: Path) -> Place:
    return Place(root=small_disk / "root", vault=small_disk / "state" / "vault")


def why(place_status: object) -> str:
    return str(place_status.paused)  # type: ignore[attr-defined]


def test_what_a_drop_takes_is_counted_for_each_file_system_on_which_it_will_stand() -> None:
    apart = {where: FileSystem(device=number, free=0) for number, where in enumerate(Where)}
    drop = need_of([6 * MB, 4 * MB])

    assert needed([drop, drop], ONE_DISK) == {1: 50 * MB}
    assert needed([drop], apart) == {0: 0, 1: 15 * MB, 2: 10 * MB}
    assert needed([need_of([10 * MB], brought=True)], apart)[0] == 10 * MB
    assert needed([drop], {Where.STATE: apart[Where.STATE]}) == {1: 15 * MB}, "what is away takes nothing"


def test_sizes_are_spelt_for_people() -> None:
    assert [spell_size(size) for size in (0, 12 * MB, 1_540 * MB)] == ["0 MB", "12 MB", "1.5 GB"]


async def test_two_drops_at_once_are_not_promised_the_same_space() -> None:
    space = on_one_disk(free=40 * MB)

    results = await asyncio.gather(*(space.promise(key(name), 1, [10 * MB]) for name in "ab"), return_exceptions=True)

    assert [isinstance(one, NoSpace) for one in results] == [False, True]
    space.ended(key("a"))
    await space.promise(key("b"), 1, [10 * MB])


async def test_thousands_that_wait_cost_the_next_no_more_and_leave_nothing_promised_behind() -> None:
    space = on_one_disk(free=40 * MB)
    for number in range(5000):
        await space.promise(key(str(number)), 1, [1000])
        space.copied(key(str(number)))
    for number in range(2500):
        space.accepted(key(str(number)))
    space.forget_all_but(Path("Disetujui"), set())

    assert space._promised == Need()
    assert space._since == Need(state=2500 * 500, archive=2500 * 1000)


async def test_the_reserve_is_never_promised() -> None:
    with pytest.raises(NoSpace, match=r"needs 25 MB .* 20 MB are free"):
        await on_one_disk(free=30 * MB, reserve=10 * MB).promise(key("a"), 1, [10 * MB])


async def test_what_would_have_to_be_free_is_told_while_a_drop_waits_for_it() -> None:
    free = [30 * MB]
    clock = FakeClock()
    space = on_one_disk(free=free, reserve=10 * MB, clock=clock)
    for name, size in (("a", 10 * MB), ("b", 90 * MB)):
        with pytest.raises(NoSpace):
            await space.promise(key(name), 1, [size])

    assert space.wants_free_bytes == 35 * MB
    free[0] = space.wants_free_bytes
    await space.promise(key("a"), 1, [10 * MB])
    space.forget_all_but(Path("Disetujui"), {"a"})

    assert space.wants_free_bytes == 0


async def test_a_full_disk_of_the_archive_alone_is_named() -> None:
    free = {Path("people"): 99 * MB, Path("state"): 99 * MB, Path("archive"): 5 * MB}
    devices = list(free)

    def measure(folder: Path) -> FileSystem:
        return FileSystem(device=devices.index(folder), free=free[folder])

    folders = {where: Path(where.value) for where in Where}
    space = Space(folders, reserve_bytes=0, forecast=None, clock=FakeClock(), measure=measure)

    with pytest.raises(NoSpace, match="disk of the archive; 5 MB"):
        await space.promise(key("a"), 0, [10 * MB])


async def test_what_accepted_items_will_still_take_is_no_longer_free() -> None:
    coming, clock = [Need(state=30 * MB)], FakeClock()
    space = on_one_disk(free=40 * MB, clock=clock, coming=coming)
    with pytest.raises(NoSpace, match="10 MB are free"):
        await space.promise(key("a"), 1, [10 * MB])

    coming.clear()
    clock.elapsed += 60

    await space.promise(key("a"), 1, [10 * MB])


async def test_an_accepted_drop_is_counted_until_the_forecast_knows_it_and_then_once() -> None:
    coming: list[Need] = []
    clock = FakeClock()
    space = on_one_disk(free=40 * MB, clock=clock, coming=coming)
    await space.promise(key("a"), 1, [10 * MB])
    space.accepted(key("a"))
    with pytest.raises(NoSpace):
        await space.promise(key("b"), 1, [10 * MB])

    coming.append(Need(archive=10 * MB))
    clock.elapsed += 60

    await space.promise(key("b"), 1, [10 * MB])


async def test_what_was_copied_counts_as_written_until_it_is_measured_and_only_once() -> None:
    free = [40 * MB]
    clock = FakeClock()
    space = on_one_disk(free=free, clock=clock)
    await space.promise(key("a"), 1, [10 * MB])
    for _ in range(2):
        space.copied(key("a"))
    with pytest.raises(NoSpace):  # 40 less 10 written, less 15 promised
        await space.promise(key("b"), 1, [7 * MB])

    free[0] -= 10 * MB
    clock.elapsed += 60
    await space.promise(key("b"), 1, [6 * MB])


async def test_a_mount_that_hangs_holds_nobody_up_and_costs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.intake.space.ANSWER_WITHIN_S", 0.05)
    asked, answers = [], threading.Event()

    def measure(folder: Path) -> FileSystem:
        if folder == Path("archive"):
            asked.append(folder)
            answers.wait()
        return FileSystem(device=1, free=100)

    clock = FakeClock()
    folders = {where: Path(where.value) for where in Where}
    space = Space(folders, reserve_bytes=0, forecast=None, clock=clock, measure=measure)
    try:
        for name in "abc":
            await space.promise(key(name), 1, [1])
            clock.elapsed += 1
    finally:
        answers.set()

    assert len(asked) == 1


async def test_what_does_not_fit_waits_with_its_reason_while_the_small_goes_on_and_then_comes_by_itself(
    there: Place, small_disk: Path
) -> None:
    there.drop("besar.mp4", os.urandom(20 * MB))
    async with there.running() as intake:
        await wait_until(lambda: intake.status().paused is not None)
        there.drop("kecil.mp4", b"isi yang kecil")
        await wait_until(lambda: "kecil.mp4" in there.accepted_names())

        assert "30 MB" in why(intake.status())
        assert there.left() == {"besar.mp4"}
        assert "30 MB" in next(one.why for one in intake.status().waiting if one.name == "besar.mp4")

        grow(small_disk)
        await wait_until(lambda: "besar.mp4" in there.accepted_names())
        await wait_until(lambda: intake.status().paused is None)


async def test_of_two_that_fit_only_singly_one_waits_until_the_other_needs_less(there: Place, small_disk: Path) -> None:
    for name in ("satu.mp4", "dua.mp4"):
        there.drop(name, os.urandom(9 * MB))
    async with there.running() as intake:
        await wait_until(lambda: bool(there.accepted_names()) and intake.status().paused is not None)
        assert len(there.left()) == 1

        grow(small_disk)
        await wait_until(lambda: not there.left())


def test_the_words_are_in_the_language_of_the_office() -> None:
    for archive in (False, True):
        english, indonesian = (lacks(9 * MB, 0, archive=archive).say(catalogue(one)) for one in ("en", "id"))
        assert "9 MB" in indonesian
        assert english != indonesian


def key(name: str) -> tuple[Path, str]:
    return Path("Disetujui"), name


def on_one_disk(
    *, free: int | list[int], reserve: int = 0, clock: FakeClock | None = None, coming: list[Need] | None = None
) -> Space:
    """Everything on one disk with so much free; `coming` is what the ledger forecasts."""

    async def forecast() -> Need:
        return sum(coming or [], Need())

    return Space(
        dict.fromkeys(Where, Path("/")),
        reserve_bytes=reserve,
        forecast=forecast,
        clock=clock or FakeClock(),
        measure=lambda folder: FileSystem(device=1, free=free if isinstance(free, int) else free[0]),
    )


async def test_a_drop_whose_copy_was_tidied_away_while_it_waited_is_copied_again(tmp_path: Path) -> None:
    there, asked = Place(root=tmp_path / "root", vault=tmp_path / "vault"), asyncio.Event()

    def not_yet(submission: Submission) -> Verdict | None:
        if asked.is_set():
            return None
        submission.files[0].vault_path.unlink()  # as housekeeping does after a day
        asked.set()
        return Postponed(reason="later")

    there.desk.answer = not_yet
    there.drop("a.mp4", b"isi")
    async with there.running():
        await wait_until(lambda: "a.mp4" in there.accepted_names())

    assert all(file.vault_path.read_bytes() == b"isi" for one in there.desk.submissions for file in one.files)
