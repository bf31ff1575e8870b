"""`python -m tests.hostile [DIR]`: what the hub does with every file of a folder, or with hostile files of our own.

Ctrl-C prints the table so far; with --record FILE the next run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

from tests.hostile.canary import canary
from tests.hostile.generator import cases
from tests.hostile.judge import Limits
from tests.hostile.outcome import Result, result_of
from tests.hostile.pool import Asked, Pool, asked_of
from tests.hostile.table import as_json, as_text, passed, printable
from tests.hostile.world import World

SAY_EVERY_S = 5.0


@dataclass(slots=True)
class Run:
    """The results so far; told on stderr every few seconds, and kept in `record` when there is one."""

    results: list[Result]
    record: TextIO | None = None
    started: float = field(default_factory=time.monotonic)
    said: float = 0.0

    def add(self, result: Result) -> None:
        self.results.append(result)
        if self.record is not None:
            self.record.write(json.dumps(result.as_json) + "\n")
            self.record.flush()
        now = time.monotonic()
        if result.outcome.is_bug:
            say(f"{result.outcome.value}: {printable(result.path)}: {printable(result.reason)}")
        elif now - self.said > SAY_EVERY_S:
            self.said = now
            say(f"{len(self.results)} files, {sum(one.outcome.is_bug for one in self.results)} bugs")


def main() -> int:
    """Judge the files; 0 when none of them showed a bug."""
    options = _options()
    run = Run(_recorded(options.record))
    with contextlib.ExitStack() as stack:
        if options.record is not None:
            run.record = stack.enter_context(options.record.open("a"))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siar-hostile-")))
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_judge(options, run, home))
    seconds = time.monotonic() - run.started
    print(json.dumps(as_json(run.results, seconds)) if options.json else as_text(run.results, seconds))  # noqa: T201
    return 0 if passed(run.results) else 1


async def _judge(options: argparse.Namespace, run: Run, home: Path) -> None:
    this = asyncio.current_task()
    assert this is not None
    for which in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(which, this.cancel)
    limits = Limits(wall_s=options.wall)
    if options.folder is not None:
        known = {one.path for one in run.results}
        files = (Asked(path=path) for path in _files(options.folder) if str(path) not in known)
        await _collect(Pool(jobs=options.jobs, limits=limits), islice(files, options.limit), run)
        return
    for name in ("canary", "whole", "files"):
        (home / name).mkdir()
    with canary(home / "canary") as bird:
        world = World(home / "whole", bird, options.seed)
        chosen = cases(world, short=options.short, rounds=options.rounds)
        asked = (asked_of(case, home / "files") for case in chosen if options.only in case.name)
        await _collect(Pool(jobs=options.jobs, limits=limits, canary=bird), islice(asked, options.limit), run)


async def _collect(pool: Pool, files: Iterator[Asked], run: Run) -> None:
    async with contextlib.aclosing(pool.results(files)) as results:
        async for result in results:
            run.add(result)


def _files(folder: Path) -> Iterator[Path]:
    """Everything in the folder that is no folder, in the same order every time."""
    for parent, folders, names in os.walk(folder.resolve()):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def _recorded(record: Path | None) -> list[Result]:
    if record is None or not record.exists():
        return []
    found = []
    for line in record.read_text().splitlines():
        with contextlib.suppress(ValueError):  # the last line of a run that was killed
            found.append(result_of(json.loads(line)))
    return found


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - its purpose


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="judge every file below it; without it, our own are made")
    parser.add_argument("--json", action="store_true", help="the table as JSON")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="files at once (default: one a core)")
    parser.add_argument("--limit", type=int, help="at most so many files")
    parser.add_argument("--record", type=Path, help="keep each result here, and skip the files that it names")
    parser.add_argument("--wall", type=float, default=Limits().wall_s, help="seconds that one file may take")
    parser.add_argument("--seed", type=int, default=1, help="of our own files: what is broken where")
    parser.add_argument(
        "--rounds", type=int, default=2, help="of our own files: how often each kind is broken by chance"
    )
    parser.add_argument("--only", default="", help="of our own files: those with this in their name")
    parser.add_argument("--short", action="store_true", help="of our own files: the few that the tests take")
    options = parser.parse_args()
    if options.folder is not None and not options.folder.is_dir():
        parser.error(f"{options.folder}: no such folder")
    return options


if __name__ == "__main__":
    sys.exit(main())
