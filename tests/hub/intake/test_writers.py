"""Every way in which a file arrives: taken when it is whole, exactly once, and never before."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hub.intake.claim import ChangedMeanwhile, Vault
from hub.intake.evidence import evidence_of
from hub.intake.settle import Settled
from tests.hub.intake.writing import film, made, sha256, writing

WRITTEN, INCOMPLETE, DOUBTFUL = "Masih disalin", "Bagian akhirnya belum sampai", "Mungkin masih"
LONG_S = 60.0  # longer than any test: whatever happens meanwhile happens by evidence


WHOLE = film()
OLD = 10**9  # in 2001


def waits(intake: Any, why: str) -> Callable[[], bool]:
    return lambda: any(why in one.why for one in intake.status().waiting)


def taken(place: Any) -> list[tuple[str, str]]:
    """Each file that the desk got: its name and its hash."""
    files = [file for one in place.desk.submissions for file in one.files]
    return [(file.original_name, file.sha256) for file in files if not file.original_name.startswith("penanda")]


async def time_passes(place: Any, eventually: Any) -> None:
    """Returns when another file, dropped now, went all the way: whatever stands still beside it is quiet by then."""
    number = len(place.desk.submissions) + 1000
    name = f"penanda-{number}.mp4"
    place.drop(name, film(1000, salt=str(number).encode()))
    await eventually(lambda: name in [name for name, _ in place.desk.placed])


async def ran(*command: object) -> None:
    process = await asyncio.create_subprocess_exec(*map(str, command))
    assert await process.wait() == 0


async def test_a_stalled_copy_with_its_whole_size_set_at_once_waits_for_the_writer(place: Any, eventually: Any) -> None:
    async with place.running() as intake, writing(WHOLE) as writer:
        await writer.open(place.inbox / "klip.mp4")
        await writer.do("reserve")
        await writer.put(0, 0.5)
        await time_passes(place, eventually)
        assert waits(intake, WRITTEN)()
        await writer.put(0.5, 1)
        await writer.close()
        await eventually(lambda: taken(place))

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


@pytest.mark.parametrize(
    "whole",
    [film(), film(index_first=True), b"\xff\xfb\x90\x64" + b"\x5a" * 200_000],
    ids=["index at the end", "index in front", "a kind that tells nothing"],
)
async def test_a_reserved_file_is_not_taken_while_its_writer_has_closed_it_for_a_moment(
    place: Any, eventually: Any, whole: bytes
) -> None:
    async with place.running(incomplete_wait_s=LONG_S) as intake, writing(whole) as writer:
        await writer.open(place.inbox / "klip.mp4")
        await writer.do("reserve")
        for start in (0, 0.25, 0.5):
            await writer.put(start, start + 0.25)
            await writer.close()
            await time_passes(place, eventually)
            assert waits(intake, INCOMPLETE)()
            await writer.open(place.inbox / "klip.mp4")
        await writer.put(0.75, 1)
        await writer.close()
        await eventually(lambda: taken(place))

    assert taken(place) == [("klip.mp4", sha256(whole))]


async def test_with_no_quiet_time_the_evidence_alone_holds_a_file_back(place: Any, eventually: Any) -> None:
    whole = film(index_first=True)
    async with place.running(incomplete_wait_s=LONG_S, quiet_for_s=0) as intake, writing(whole) as writer:
        for name, reserve in (("satu.mp4", True), ("dua.mp4", False)):
            await writer.open(place.inbox / name)
            await (writer.do("reserve") if reserve else writer.put(0, 0.3))
            await writer.close()
            await time_passes(place, eventually)
            assert waits(intake, INCOMPLETE)()
            await writer.open(place.inbox / name)
            await writer.put(0, 0.6)
            await time_passes(place, eventually)
            await writer.put(0.6, 1)
            await writer.close()
            await eventually(lambda name=name: name in dict(place.desk.placed) or place.desk.refusals)

    assert [sha for _, sha in taken(place)] == [sha256(whole)]
    assert [name for name, _ in place.desk.refusals] == ["dua.mp4"]  # as the same bytes again


async def test_what_settled_and_is_opened_or_changed_again_is_not_claimed(place: Any, tmp_path: Path) -> None:
    path, vault = place.drop("klip.mp4", WHOLE), Vault(tmp_path / "vault", min_free_bytes=0)
    vault.prepare()
    status = path.stat()
    settled = Settled(parts=(path.name,), evidence=evidence_of(status), quiet_since=0.0)
    async with writing(WHOLE) as writer:
        await writer.open(path)
        with pytest.raises(ChangedMeanwhile):
            await vault.claim(place.inbox, settled)
        await writer.close()
        assert (await vault.claim(place.inbox, settled)).sha256 == sha256(WHOLE)
        await writer.open(path)
        await writer.put(0, 0.1)
        await writer.close()
        with pytest.raises(ChangedMeanwhile):
            await vault.claim(place.inbox, settled)

    assert [one.name for one in vault.folder.glob("??/*")] == [sha256(WHOLE)]


async def test_a_file_that_is_opened_while_it_waits_for_its_turn_waits_for_the_writer(
    place: Any, eventually: Any
) -> None:
    """Nobody changes it, so only the claim sees that somebody has it open; it must not be claimed over and over."""
    turn = asyncio.Event()

    class Slow(type(place.desk)):  # type: ignore[misc]
        async def consider(self, submission: Any) -> Any:
            await turn.wait()
            return await super().consider(submission)

    place.desk = Slow()
    place.drop("penanda-1.mp4", film(1000))
    async with place.running(at_once=1, rescan_every_s=LONG_S) as intake, writing(WHOLE) as writer:
        await eventually(waits(intake, "Sedang diproses"))
        path = place.drop("klip.mp4", WHOLE)
        await eventually(waits(intake, "Menunggu giliran"))
        await writer.open(path)
        turn.set()
        await eventually(waits(intake, WRITTEN))
        await writer.close()
        await eventually(lambda: taken(place))

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


async def test_what_changes_while_it_is_copied_is_not_claimed(place: Any, tmp_path: Path) -> None:
    big = film(32 << 20)
    path, vault = place.drop("klip.mp4", big), Vault(tmp_path / "vault", min_free_bytes=0)
    vault.prepare()
    settled = Settled(parts=(path.name,), evidence=evidence_of(path.stat()), quiet_since=0.0)
    async with writing(big) as writer:
        await writer.do("open_later", str(path), str(vault.folder / ".incoming"))
        with pytest.raises(ChangedMeanwhile):
            await vault.claim(place.inbox, settled)

    assert list(vault.folder.glob("??/*")) == []
    assert list(vault.folder.glob(".incoming/*")) == []


async def test_an_upload_that_broke_off_and_is_resumed_is_taken_whole(place: Any, eventually: Any) -> None:
    async with place.running(incomplete_wait_s=LONG_S) as intake:
        async with writing(WHOLE) as writer:
            await writer.open(place.inbox / "klip.mp4")
            await writer.put(0, 0.5)
            await writer.kill()
        await eventually(waits(intake, INCOMPLETE))
        assert "50 %" in intake.status().waiting[0].why
        async with writing(WHOLE) as writer:
            await writer.open(place.inbox / "klip.mp4")
            await writer.put(0.5, 1)
            await writer.close()
            await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


async def test_the_half_of_a_killed_writer_is_handed_to_the_desk_after_the_wait(place: Any, eventually: Any) -> None:
    async with place.running(incomplete_wait_s=0.5) as intake, writing(WHOLE) as writer:
        await writer.open(place.inbox / "klip.mp4")
        await writer.put(0, 0.5)
        await eventually(waits(intake, WRITTEN))
        await writer.kill()
        await eventually(waits(intake, INCOMPLETE))
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(WHOLE[: len(WHOLE) // 2]))]


async def test_the_half_of_a_reserved_file_is_refused_after_the_wait(place: Any, eventually: Any) -> None:
    """No probe could tell the rest from silence."""
    tells_nothing = b"\xff\xfb\x90\x64" + b"\x5a" * 200_000
    async with place.running(incomplete_wait_s=0.5), writing(tells_nothing) as writer:
        await writer.open(place.inbox / "suara.mp3")
        await writer.do("reserve")
        await writer.put(0, 0.5)
        await writer.kill()
        await eventually(lambda: place.desk.refusals)

    assert "bagian akhirnya tidak ada" in place.desk.refusals[0][1]
    assert place.desk.submissions == []


async def test_a_growing_file_is_taken_when_it_has_stopped_growing(place: Any, eventually: Any) -> None:
    async with place.running(incomplete_wait_s=LONG_S) as intake, writing(WHOLE) as writer:
        await writer.open(place.inbox / "klip.mp4")
        for percent in range(0, 100, 20):
            await writer.put(percent / 100, percent / 100 + 0.2)
            await time_passes(place, eventually)
            assert waits(intake, WRITTEN)()
        await writer.close()
        await eventually(lambda: taken(place))

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


@pytest.mark.parametrize("temporary", ["klip.mp4.part", ".klip.mp4.Xy12Zq", "klip.mp4.filepart"])
async def test_an_upload_under_a_temporary_name_is_taken_when_it_is_renamed(
    place: Any, eventually: Any, temporary: str
) -> None:
    async with place.running() as intake, writing(WHOLE) as writer:
        await writer.open(place.inbox / temporary)
        await writer.put(0, 1)
        await writer.close()
        await time_passes(place, eventually)
        assert intake.status().waiting == ()
        await writer.do("rename", str(place.inbox / temporary), str(place.inbox / "klip.mp4"))
        await eventually(lambda: taken(place))

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


async def test_an_upload_that_is_linked_to_its_name_is_taken_when_the_other_name_goes(
    place: Any, eventually: Any
) -> None:
    """sftp-server renames so, and a kill in between leaves both names for a while."""
    async with place.running(quiet_without_lease_s=LONG_S) as intake, writing(WHOLE) as writer:
        await writer.open(place.inbox / ".unggah")
        await writer.put(0, 1)
        await writer.close()
        await writer.do("link", str(place.inbox / ".unggah"), str(place.inbox / "klip.mp4"))
        await eventually(waits(intake, DOUBTFUL))
        await writer.do("unlink", str(place.inbox / ".unggah"))
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


async def test_a_copy_that_keeps_the_old_time_is_not_taken_for_an_old_file(place: Any, eventually: Any) -> None:
    """Neither size nor time of change tells the half from the whole: each step sets the time of 2001 again."""
    async with place.running(incomplete_wait_s=LONG_S) as intake, writing(WHOLE) as writer:
        path = str(place.inbox / "klip.mp4")
        await writer.open(Path(path))
        await writer.do("reserve")
        for start in (0, 0.5):
            await writer.put(start, start + 0.5)
            await writer.do("utime", path, [OLD, OLD])
            await time_passes(place, eventually)
            assert waits(intake, WRITTEN)()
        await writer.close()
        await eventually(lambda: taken(place))

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


async def test_cp_with_the_old_time_is_taken(place: Any, eventually: Any, tmp_path: Path) -> None:
    source = made(tmp_path / "asal.mp4", WHOLE, mtime=OLD)
    async with place.running(incomplete_wait_s=LONG_S):
        await ran("cp", "-p", source, place.inbox / "klip.mp4")
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


@pytest.fixture(params=["the same file system", "another file system"])
def outside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder from which mv renames (it is there at once), or copies file after file."""
    other = Path("/dev/shm")
    if request.param == "the same file system":
        yield tmp_path
    elif other.is_dir() and other.stat().st_dev != tmp_path.stat().st_dev:
        with TemporaryDirectory(prefix="siarhub-test-", dir=other) as folder:
            yield Path(folder)
    else:
        pytest.skip("no other file system here")


async def test_mv_of_a_folder_is_one_item(place: Any, eventually: Any, outside: Path) -> None:
    films = {f"{number}.mp4": film(salt=bytes([number])) for number in range(5)}
    (outside / "paket").mkdir()
    for name, data in films.items():
        made(outside / "paket" / name, data)
    async with place.running(folder_quiet_s=1.0):
        await ran("mv", outside / "paket", place.inbox / "paket")
        await eventually(lambda: place.desk.placed)

    assert dict(taken(place)) == {name: sha256(data) for name, data in films.items()}
    assert len(place.desk.submissions) == 1


@pytest.mark.parametrize("how", ["--times", "--inplace"])
async def test_rsync_from_folder_to_folder_is_taken_once(place: Any, eventually: Any, tmp_path: Path, how: str) -> None:
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    source = made(tmp_path / "klip.mp4", WHOLE, mtime=OLD)
    async with place.running(incomplete_wait_s=LONG_S):
        await ran("rsync", how, source, place.inbox)
        await eventually(lambda: place.desk.placed)
        await time_passes(place, eventually)

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


async def test_a_slow_upload_in_a_folder_holds_the_folder_back_as_long_as_it_moves(place: Any, eventually: Any) -> None:
    folder = place.inbox / "paket"
    folder.mkdir()
    (folder / "foto.mp4").write_bytes(film(salt=b"foto"))
    async with writing(WHOLE) as writer:
        await writer.open(folder / "video.mp4.part")
        async with place.running() as intake:
            await eventually(waits(intake, "diunggah"))
            await writer.put(0, 1)
            await writer.close()
            await writer.do("rename", str(folder / "video.mp4.part"), str(folder / "video.mp4"))
            await eventually(lambda: place.desk.placed)

    assert len(taken(place)) == 2
