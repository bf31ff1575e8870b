"""kill -9 at random lines between claim, acceptance and move: every drop ends once, in one place."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from hub.api.files import sha256_of

PROGRAM = Path(__file__).with_name("killable.py")
SIDECAR = "Nomor persetujuan: 188\nTanggal persetujuan: 3 November 2026\nPenyetuju: Kadis\n"
KILLS = 12


async def start(folder: Path, *seed: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        str(folder),
        *seed,
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )


def drop_ten(place: Any) -> None:
    for number in range(4):
        place.drop(f"klip {number}.mp4", f"klip {number}", sidecar=SIDECAR)
        place.drop(f"tolak {number}.mp4", f"tolak {number}", sidecar=SIDECAR)
    for number in range(2):
        folder = place.inbox / f"paket {number}"
        folder.mkdir()
        (folder / "a.mp4").write_bytes(b"a%d" % number)
        (folder / "b.mp3").write_bytes(b"b%d" % number)
        (folder / "info.txt").write_text(SIDECAR)


async def test_every_drop_is_accounted_for_whatever_line_the_intake_is_killed_at(
    place: Any, eventually: Any, tmp_path: Path
) -> None:
    place.vault = tmp_path / "vault"
    drop_ten(place)
    kills = 0
    for seed in range(KILLS):
        process = await start(tmp_path, str(seed))
        await eventually(lambda process=process: process.returncode is not None or not place.left())
        kills += process.returncode == -signal.SIGKILL
        if process.returncode is None:  # it had nothing more to do
            process.kill()
            await process.wait()
            break
    assert kills >= 5

    process = await start(tmp_path)
    try:
        await eventually(lambda: not place.left() and not closed(tmp_path)["open"])
        await eventually(lambda: len(closed(tmp_path)["refusals"]) == 4)
    finally:
        process.kill()
        await process.wait()

    book = closed(tmp_path)
    names = {*(f"klip {n}.mp4" for n in range(4)), *(f"paket {n}" for n in range(2))}
    assert sorted(name for name, _ in book["items"]) == sorted(names)
    assert all(exists(target) for _, target in book["items"])
    assert book["refusals"] == {f"tolak {n}.mp4": "memang ditolak" for n in range(4)}
    for n in range(4):
        assert {f"tolak {n}.mp4", f"tolak {n}.txt", f"tolak {n}.mp4.alasan.txt"} <= place.refused_names()
    assert {
        f"klip {n}.{end}" for n in range(4) for end in ("mp4", "txt", "mp4.tanda-terima.txt")
    } <= place.accepted_names()
    blobs = [path for path in place.vault.glob("??/*") if path.is_file()]
    assert all(sha256_of(path) == path.name for path in blobs)
    assert not [path for path in place.root.rglob(".*.tmp") if "Diterima" not in path.parts]
    assert not list(place.vault.glob(".incoming/*")) + list(place.vault.glob(".moves/*"))


def exists(target: str) -> bool:
    return target != "None" and Path(target).exists()


def closed(folder: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(folder / "desk.sqlite3")) as db:
        return {
            "items": db.execute("SELECT name, target FROM items").fetchall(),
            "open": db.execute("SELECT name FROM items WHERE open").fetchall(),
            "refusals": dict(db.execute("SELECT name, reason FROM refusals").fetchall()),
        }
