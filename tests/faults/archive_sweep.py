"""Kills the filing of one item at every system call that can change a disk, and judges what the next start finds."""

from __future__ import annotations

import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plugins.archive.bag import BagDamaged
from plugins.archive.cabinet import bags, items_of
from plugins.archive.verify import verify
from tests.faults import archive_worker as worker
from tests.faults.row import Judged, Row, row_of

CALLS = (
    "openat", "write", "pwrite64", "copy_file_range", "sendfile", "fallocate", "ftruncate", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
    "chmod", "fchmod", "fchmodat",
)  # fmt: skip
REPOSITORY = Path(__file__).parents[2]
SHORT_STEP = 17


def main(short: bool = False) -> Row:
    """Sweep over every point (every seventeenth when short), for the first item of a month and for a later one."""
    if shutil.which("strace") is None:
        raise RuntimeError("strace is missing: apt-get install strace")
    return row_of("archive-append", (one for earlier in (0, 1) for one in _sweep(earlier, short=short)))


def _sweep(earlier: int, *, short: bool) -> Iterator[Judged]:
    with tempfile.TemporaryDirectory(prefix="archive-sweep-") as scratch:
        seed = Path(scratch, "seed")
        seed.mkdir()
        _run_worker(seed, earlier)
        for number, point in enumerate(_points(seed, Path(scratch), earlier + 1)):
            if short and number % SHORT_STEP:
                continue
            folder = Path(scratch, "victim")
            shutil.copytree(seed, folder)
            killed = _run_worker(folder, earlier + 1, "-e", f"inject={point[0]}:signal=SIGKILL:when={point[1]}")
            if killed != -signal.SIGKILL:
                raise RuntimeError(f"{point[0]} number {point[1]} was not met: the sweep proves nothing")
            try:
                yield _judge(folder, earlier + 1)
            except (BagDamaged, OSError):
                yield Judged(damaged=True)
            shutil.rmtree(folder)


def _points(seed: Path, scratch: Path, count: int) -> list[tuple[str, int]]:
    """Every call after the mark, as (name, which one of that name), in the order in which they were made."""
    folder, trace = scratch / "trial", scratch / "trace"
    shutil.copytree(seed, folder)
    _run_worker(folder, count, "-o", str(trace), "-e", f"trace={','.join(CALLS)},stat,newfstatat,access,faccessat2")
    seen: collections.Counter[str] = collections.Counter()
    points, begun = [], False
    for line in trace.read_text(errors="replace").splitlines():
        begun = begun or worker.BEGIN in line
        match = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if match and match[1] in CALLS:
            seen[match[1]] += 1
            changes = match[1] != "openat" or "O_CREAT" in line
            if begun and changes and not line.rstrip().startswith("write(1,"):
                points.append((match[1], seen[match[1]]))
    shutil.rmtree(folder)
    return points


def _judge(folder: Path, count: int) -> Judged:
    """After the next start: nothing torn, and the item filed once by trying again."""
    cabinet = worker.open_cabinet(folder)
    damaged = any(_is_damaged(bag.folder) or _is_torn(bag.folder) for _, bag in bags(folder / "Arsip") if bag.exists)
    for number in range(1, count + 1):
        cabinet.file(worker.filing_of(cabinet, worker.item_of(folder / "vault", number)))
    folders = [path for _, bag in bags(folder / "Arsip") for path in bag.folder.glob("data/*/* IP-*")]
    damaged = damaged or any(_is_damaged(bag.folder) for _, bag in bags(folder / "Arsip"))
    found = [items_of(bag.manifest()).keys() for _, bag in bags(folder / "Arsip")]
    filed = [number for numbers in found for number in numbers]
    lost = any(worker.number_of(number) not in filed for number in range(1, count + 1))
    return Judged(lost=lost, doubled=len(folders) > count or len(filed) > count, damaged=damaged)


def _is_damaged(folder: Path) -> bool:
    manifests = ["manifest-sha256.txt", "tagmanifest-sha256.txt"]
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", *manifests], cwd=folder, capture_output=True, check=False
    )
    bagged = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", "--quiet", str(folder)],
        capture_output=True,
        check=False,
    )
    return bool(checked.returncode or bagged.returncode or verify(folder))


def _is_torn(folder: Path) -> bool:
    """An item of which only a part is there."""
    return any(len(list(item.iterdir())) != 4 for item in folder.glob("data/*/* IP-*"))


def _run_worker(folder: Path, count: int, *strace: str) -> int:
    command = [sys.executable, "-m", "tests.faults.archive_worker", str(folder), str(count)]
    if strace:
        command = ["strace", "-f", "-qq", *(() if "-o" in strace else ("-o", "/dev/null")), *strace, *command]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "inject=" not in " ".join(strace):
        raise RuntimeError(done.stderr)
    return done.returncode
