"""Lets the disk under people's folders and the hub's state run full at many points of the intake, then frees it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hub.observe.health import read_status
from tests.faults import intake_sweep
from tests.faults.intake_sweep import hub_of, look, quiet
from tests.faults.process import Victim
from tests.faults.row import Judged, Row, row_of

DISK_BYTES = 48 << 20
RESERVE_BYTES = 4 << 20
LEFT_KB = (0, 16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048)
SHORT_LEFT_KB = (192,)
FULL_FOR_S = 6.0
WITHIN_S = 60.0


def main(short: bool = False) -> Row:
    """The pause before the disk is full, then a disk that has so many KB left (one number when short). Needs root."""
    if os.geteuid() != 0:
        raise RuntimeError("only root may mount a small disk")
    return row_of("disk-full", _sweep(SHORT_LEFT_KB if short else LEFT_KB))


def _sweep(left_kb: tuple[int, ...]) -> Iterator[Judged]:
    with tempfile.TemporaryDirectory(prefix="disk-sweep-") as scratch:
        seed = intake_sweep.make_seed(Path(scratch))
        with _small_disk(Path(scratch, "pause")) as folder:
            yield _pause(folder, seed)
        for left in left_kb:
            with _small_disk(Path(scratch, f"full-{left}")) as folder:
                yield _run_full(folder, seed, left << 10)


def _pause(folder: Path, seed: Path) -> Judged:
    """Below its reserve the hub leaves the drops where they are, says so, and goes on by itself."""
    shutil.copytree(seed, folder, dirs_exist_ok=True)
    hub = hub_of(folder, min_free_bytes=RESERVE_BYTES)
    filler = _fill(folder, leave=RESERVE_BYTES - (1 << 20))
    hub.start()
    try:
        if not hub.wait_until(lambda: _says_paused(folder), WITHIN_S):
            return Judged(lost=True, why=f"pause: it does not say that it is paused; {hub.words()}")
        untouched = (folder / "srv" / "Disetujui" / "gambar.png").exists() and not quiet(folder)
        filler.unlink()
        if not hub.wait_until(lambda: quiet(folder) and not _says_paused(folder), WITHIN_S):
            return Judged(lost=True, why=f"pause: it does not go on; {hub.words()}")
    finally:
        hub.stop()
    if not untouched:
        return Judged(damaged=True, why="pause: it took a drop in while it said that it was paused")
    return look(folder, seed, "pause")


def _run_full(folder: Path, seed: Path, left: int) -> Judged:
    """A hub without a reserve meets the end of the disk in earnest.

    When the ledger itself has no room the hub ends, and is started again; nothing else ends it.
    """
    shutil.copytree(seed, folder, dirs_exist_ok=True)
    hub = hub_of(folder, min_free_bytes=0, retry_after_s=1.0)
    filler = _fill(folder, leave=left)
    _keep_up(hub, folder, FULL_FOR_S)
    filler.unlink()
    try:
        if not _keep_up(hub, folder, WITHIN_S):
            return Judged(lost=True, why=f"{left} bytes left: not quiet after there was space; {hub.words()}")
    finally:
        hub.stop()
    if _ended_for_less(hub):
        return Judged(damaged=True, why=f"{left} bytes left: the hub ended; {hub.words()}")
    return look(folder, seed, f"{left} bytes left")


def _keep_up(hub: Victim, folder: Path, seconds: float) -> bool:
    """Start the hub as often as it ends, as systemd does, until it is quiet or the time is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not hub.running:
            hub.start()
        if hub.wait_until(lambda: quiet(folder), left):
            return True
        hub.wait_until(lambda: True, 0.1)
    return False


def _ended_for_less(hub: Victim) -> bool:
    """A run ended by itself, once it was up, and not for want of a ledger."""
    runs = hub.log.read_text(errors="replace").split('"event": "hub_started"')[1:]
    return any("unhandled errors" in run and "LedgerError" not in run for run in runs)


def _says_paused(folder: Path) -> bool:
    parts = (read_status(folder / "state") or {}).get("parts", [])
    return any(part["name"] == "intake" and part["state"] == "degraded" and part["summary"] for part in parts)


def _fill(folder: Path, *, leave: int) -> Path:
    """A file that takes all the room but so many bytes."""
    filler = folder / "filler"
    stat = os.statvfs(folder)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, stat.f_bavail * stat.f_frsize - leave))
    return filler


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "siar-small-disk", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
