"""Kills a program that accepts items at every system call that writes or syncs the ledger, and judges what is left.

Run it as `python -m tests.faults.ledger_sweep [--short]`; it prints `name  points  lost  doubled  damaged`.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hub.ledger import facts, items, jobs
from hub.ledger.database import LedgerError, open_for_writing
from tests.faults.row import Row

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink")
ITEMS = 6
SHORT_STEP = 3  # of the fdatasyncs; every point when long
REPOSITORY = Path(__file__).parents[2]


def main(short: bool = False) -> Row:
    """Sweep over every point (every third fdatasync when short)."""
    if shutil.which("strace") is None:
        raise RuntimeError("strace is missing: apt-get install strace")
    judged = list(_sweep(short=short))
    lost, doubled, damaged = (sum(kind) for kind in zip(*judged, strict=True))
    return Row(name="ledger-accept", points=len(judged), lost=lost, doubled=doubled, damaged=damaged)


def _sweep(*, short: bool) -> Iterator[tuple[bool, bool, bool]]:
    with tempfile.TemporaryDirectory(prefix="ledger-sweep-") as scratch:
        points = _points(Path(scratch))
        if short:
            points = [point for point in points if point[0] == "fdatasync"][::SHORT_STEP]
        for number, (call, when) in enumerate(points):
            folder = Path(scratch, str(number))
            folder.mkdir()
            if run_worker(folder, f"inject={call}:signal=SIGKILL:when={when}") != -signal.SIGKILL:
                raise RuntimeError(f"{call} number {when} was not met: the sweep proves nothing")
            yield _judge(folder)
            shutil.rmtree(folder)


def _points(scratch: Path) -> list[tuple[str, int]]:
    """Every call as (name, which one of that name), in the order in which they were made."""
    folder, trace = scratch / "trial", scratch / "trace"
    folder.mkdir()
    run_worker(folder, f"trace={','.join(CALLS)}", output=trace)
    seen: collections.Counter[str] = collections.Counter()
    points = []
    for line in trace.read_text(errors="replace").splitlines():
        if match := re.match(r"(?:\d+ +)?(\w+)\(", line):
            seen[match[1]] += 1
            points.append((match[1], seen[match[1]]))
    return points


def _judge(folder: Path) -> tuple[bool, bool, bool]:
    """(lost, doubled, damaged) after the next start: all that was acknowledged is there, whole, and numbered once."""
    said = (folder / "said").read_text().split()
    try:
        db = open_for_writing(folder / "ledger.db")
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok" or not _is_whole(db):
            return False, False, True
        numbers = [str(item.number) for item in items.all_items(db)]
        db.close()
    except (LedgerError, sqlite3.Error):
        return False, False, True
    expected = [f"IP-2026-11-{one:04}" for one in (1, 2)] + [f"IP-2026-12-{one:04}" for one in range(1, ITEMS - 1)]
    return bool(set(said) - set(numbers)), numbers != expected[: len(numbers)], False


def _is_whole(db: sqlite3.Connection) -> bool:
    """Each item with its fact, its open arrival and its two plans: all of its transaction, or nothing."""
    count = len(items.all_items(db))
    plans = jobs.counts(db).get("plan queued", 0)
    return (facts.newest(db), len(items.open_arrivals(db)), plans) == (count, count, 2 * count)


def run_worker(folder: Path, what: str, output: Path | None = None) -> int:
    """Run the worker under strace; `what` is strace's expression. Its words go to `said` in the folder."""
    command = ["strace", "-f", "-qq", "-o", str(output or "/dev/null")]
    if what.startswith("inject="):
        command += ["-e", "trace=" + what.removeprefix("inject=").partition(":")[0]]
    command += ["-e", what, sys.executable, "-m", "tests.faults.ledger_worker", str(folder), str(ITEMS)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "said").open("w") as said:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=said, stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode and not what.startswith("inject="):
        raise RuntimeError(done.stderr)
    return done.returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="every third fdatasync only")
    row = main(short=parser.parse_args().short)
    print(row)  # noqa: T201 - its purpose
    sys.exit(0 if row.passed else 1)
