"""20,000 small files dropped at once, against `sha256sum` and `cp` of the same; and what idling costs among as many.

All but a few hundred are no media in spite of their names, so each ends refused with a reason; the others are real
pictures and sounds, and are accepted. The burst is `tar x` into a running hub. Lost is what is in neither folder nor in
the ledger when the watched folder is empty again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import struct
import subprocess
import tempfile
import time
import wave
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.chain import running
from bench.measure import Cost, Measure, cost_of
from bench.waiting import until
from hub.intake.names import is_ignored
from hub.ledger.database import open_for_reading

FILES = int(os.environ.get("SIARHUB_BENCH_FILES", "20000"))
REAL = FILES // 100
NAMES = ("mp4", "jpg", "wav", "pdf")
BYTES = 3000
IDLE_S = 60.0
SETTLES_S = 8.0


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        make_files(folder / "files")
        theirs = plain(folder / "files", folder / "copied")
        yield from asyncio.run(burst(folder, theirs))
        yield from asyncio.run(resting(folder / "rest"))


def make_files(folder: Path) -> None:
    folder.mkdir()
    for number in range(FILES - REAL):
        name = f"{number:05}.{NAMES[number % len(NAMES)]}"
        (folder / name).write_bytes(b"no media: %08d" % number + os.urandom(BYTES))
    for number in range(REAL):
        make_real(folder, number)


def make_real(folder: Path, number: int) -> None:
    """A picture, or every eighth time a sound; all differ."""
    if number % 8 == 0:
        with wave.open(str(folder / f"sound {number}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(b"".join(struct.pack("<h", (n * (number + 7) % 200 - 100) * 99) for n in range(8000)))
        return
    rows = b"".join(b"\0" + struct.pack("BBB", number % 251, row, number // 251) * 64 for row in range(48))
    header = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    (folder / f"picture {number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain(folder: Path, copied: Path) -> Cost:
    """What is done by hand: a hash of each, and a copy that is on the disk when it is said to be there."""
    script = 'find "$1" -type f -print0 | xargs -0 sha256sum > "$2.sums" && cp -r "$1" "$2" && sync -f "$2"'
    return cost_of(["sh", "-c", script, "sh", str(folder), str(copied)])


def pack(folder: Path) -> Path:
    archive = folder.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(folder), "-cf", str(archive), "."], check=True)
    return archive


async def burst(folder: Path, theirs: Cost) -> list[Measure]:
    archive, place = await asyncio.to_thread(pack, folder / "files"), folder / "hub"
    async with running(place, {}) as hub:
        inbox, cpu, began = place / "srv" / "Disetujui", cpu_s(hub.pid), time.monotonic()
        tar = await asyncio.create_subprocess_exec("tar", "-C", str(inbox), "-xf", str(archive))
        await tar.wait()
        await until(lambda: not dropped(inbox))
        wall, cpu = time.monotonic() - began, cpu_s(hub.pid) - cpu
        peak = peak_rss_mib(hub.pid)
        await until(lambda: written(place) >= FILES)
    lost = max(FILES - on_disk(place), FILES - written(place))
    return [
        Measure(name="intake-burst-lost", ours=lost, theirs=None, target=0),
        Measure(name="intake-burst-rss-mib", ours=peak, theirs=None, target=200),
        Measure(name="intake-burst-wall", ours=wall, theirs=theirs.wall_s, target=None),
        Measure(name="intake-burst-own-cpu", ours=cpu, theirs=theirs.cpu_s, target=None),
    ]


async def resting(folder: Path) -> list[Measure]:
    """First with the files accepted, then with as many ignored ones beside."""
    found = []
    async with running(folder, {}) as hub:
        for kind, place in (("accepted", "Diterima/2026-10/{:05}.mp4"), ("ignored", "Disetujui/.{:05}.mp4")):
            for number in range(FILES):
                path = folder / "srv" / place.format(number)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x")
            await asyncio.sleep(SETTLES_S)  # the look that the last of them asked for
            before = cpu_s(hub.pid)
            await asyncio.sleep(IDLE_S)
            percent = 100 * (cpu_s(hub.pid) - before) / IDLE_S
            found += [
                Measure(name=f"intake-idle-{kind}-cpu-percent", ours=percent, theirs=None, target=0.2),
                Measure(name=f"intake-idle-{kind}-rss-mib", ours=rss_mib(hub.pid), theirs=None, target=90),
            ]
    return found


def dropped(inbox: Path) -> bool:
    with os.scandir(inbox) as entries:
        return any(not is_ignored(entry.name) for entry in entries)


def on_disk(place: Path) -> int:
    """Files that stand in Diterima with a receipt, or in Ditolak with a reason."""
    accepted = {path.name for path in (place / "srv" / "Diterima").glob("*/*")}
    refused = {path.name for path in (place / "srv" / "Ditolak").iterdir()}
    return sum(f"{name}.tanda-terima.txt" in accepted for name in accepted) + sum(
        f"{name}.alasan.txt" in refused for name in refused
    )


def written(place: Path) -> int:
    """Items that are put away, and refusals in the journal."""
    with closing(open_for_reading(place / "state" / "ledger.db")) as db:
        items = count(db, "SELECT count(*) FROM item") - count(db, "SELECT count(*) FROM arrival")
        return items + count(db, "SELECT count(*) FROM fact WHERE kind = 'Refused'")


def count(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and all its threads, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def peak_rss_mib(pid: int) -> float:
    return rss_mib(pid, "VmHWM")
