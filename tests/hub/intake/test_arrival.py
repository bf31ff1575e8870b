"""Files that other processes still write: never taken before they are whole, as far as can be seen."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

WRITER = """
import os, sys
path, flags, size, chunks = sys.argv[1], os.O_WRONLY | os.O_CREAT, int(sys.argv[2]), 4
fd = os.open(path, flags, 0o644)
if "whole-size-first" in sys.argv:
    os.ftruncate(fd, size)
for number in range(chunks):
    os.write(fd, bytes([65 + number]) * (size // chunks))
    print(number, flush=True)
    sys.stdin.readline()
os.close(fd)
print("closed", flush=True)
sys.stdin.readline()
"""


@asynccontextmanager
async def writer(path: Any, *how: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that writes a quarter of 4000 bytes for each line it is sent."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), "4000", *how,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert await process.stdout.readline() == b"0\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process.stdin.close()


async def go_on(process: asyncio.subprocess.Process, times: int = 1) -> None:
    for _ in range(times):
        process.stdin.write(b"\n")
        await process.stdout.readline()


def waits_for_writer(intake: Any) -> bool:
    return any("Masih disalin" in waiting.why for waiting in intake.status().waiting)


@pytest.mark.parametrize("how", [(), ("whole-size-first",)], ids=["growing", "full size set at once, then stalled"])
async def test_a_file_that_somebody_still_writes_is_not_taken(
    place: Any, eventually: Any, how: tuple[str, ...]
) -> None:
    async with place.running() as intake, writer(place.inbox / "lambat.mp4", *how) as process:
        await eventually(lambda: waits_for_writer(intake))
        await go_on(process, 2)
        await eventually(lambda: waits_for_writer(intake))
        assert place.desk.submissions == []

        await go_on(process, 2)
        await eventually(lambda: place.desk.placed)

    assert place.desk.placed[0][1].read_bytes() == b"A" * 1000 + b"B" * 1000 + b"C" * 1000 + b"D" * 1000


async def test_a_killed_writer_leaves_a_file_that_the_desk_judges(place: Any, eventually: Any) -> None:
    async with place.running() as intake, writer(place.inbox / "putus.mp4") as process:
        await eventually(lambda: waits_for_writer(intake))
        process.send_signal(signal.SIGKILL)

        await eventually(lambda: place.desk.placed)

    assert place.desk.submissions[0].files[0].size_bytes == 1000


async def test_a_writer_that_opens_the_file_during_the_lease_check_is_not_harmed(place: Any, eventually: Any) -> None:
    """SIGIO would end us, and a broken lease must not fail the writer."""
    program = "import sys\nfor n in range(3000):\n    open(sys.argv[1], 'ab').close()"
    place.drop("ramai.mp4")
    async with place.running(quiet_for_s=0.001, rescan_every_s=0.01):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(place.inbox / "ramai.mp4"))
        assert await process.wait() == 0
        await eventually(lambda: place.desk.done)


async def test_a_folder_waits_for_the_slowest_of_its_files(place: Any, eventually: Any) -> None:
    folder = place.inbox / "paket"
    folder.mkdir()
    (folder / "foto.jpg").write_bytes(b"foto")
    async with place.running() as intake, writer(folder / "video.mp4") as process:
        await eventually(lambda: waits_for_writer(intake))
        assert place.desk.submissions == []
        await go_on(process, 4)
        await eventually(lambda: place.desk.placed)

    assert len(place.desk.submissions[0].files) == 2


async def test_a_folder_with_an_upload_inside_waits(place: Any, eventually: Any) -> None:
    folder = place.inbox / "paket"
    folder.mkdir()
    (folder / "foto.jpg").write_bytes(b"foto")
    (folder / "video.mp4.part").write_bytes(b"vid")
    async with place.running() as intake:
        await eventually(lambda: any("diunggah" in waiting.why for waiting in intake.status().waiting))
        (folder / "video.mp4.part").rename(folder / "video.mp4")
        await eventually(lambda: place.desk.placed)

    assert len(place.desk.submissions[0].files) == 2


async def test_a_sidecar_that_is_still_written_keeps_its_media_waiting(place: Any, eventually: Any) -> None:
    place.drop("klip.mp4")
    async with place.running() as intake, writer(place.inbox / "klip.txt") as process:
        await eventually(lambda: waits_for_writer(intake))
        process.kill()
        await eventually(lambda: place.desk.refusals)

    assert place.refused_names() >= {"klip.mp4", "klip.txt"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount")
async def test_on_a_full_disk_intake_pauses_and_goes_on_by_itself(place: Any, eventually: Any) -> None:
    place.vault.mkdir(parents=True)
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place.vault))
    if await mount.wait():
        pytest.skip("may not mount here")
    try:
        ballast = place.vault / "beban"
        ballast.write_bytes(b"\0" * 900_000)
        place.drop("besar.mp4", b"x" * 300_000)
        place.drop("kecil.mp4", b"k")
        async with place.running() as intake:
            await eventually(lambda: intake.status().paused)
            await eventually(lambda: [name for name, _ in place.desk.placed] == ["kecil.mp4"])
            assert place.left() == {"besar.mp4"}
            assert not list(place.vault.glob(".incoming/*"))

            ballast.unlink()
            await eventually(lambda: len(place.desk.placed) == 2)
            await eventually(lambda: intake.status().paused is None)
    finally:
        unmount = await asyncio.create_subprocess_exec("umount", str(place.vault))
        await unmount.wait()
