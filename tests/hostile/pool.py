"""Several judges at once, each a process of its own: one that hangs or dies is a finding, and is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.hostile.canary import Canary
from tests.hostile.case import Case, Must
from tests.hostile.judge import Limits
from tests.hostile.outcome import Outcome, Result, result_of

REPOSITORY = str(Path(__file__).parents[2])
GRACE_S = 60.0  # beyond its wall limit, for tools that end slowly on a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A file to judge. `prepared` makes it and cleans up; `must` is what ought to come of it."""

    path: Path
    must: Must = Must.DECIDE
    prepared: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    looks: bool = False


def asked_of(case: Case, folder: Path) -> Asked:
    path = folder / case.name

    @contextlib.contextmanager
    def prepared() -> Iterator[None]:
        case.make(path)
        try:
            with case.during(path):
                yield
        finally:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    return Asked(path=path, must=case.must, prepared=prepared, looks=True)


@dataclass(slots=True)
class Pool:
    """`jobs` judges. `canary`: what must not be touched meanwhile."""

    jobs: int
    limits: Limits
    canary: Canary | None = None
    _queue: asyncio.Queue[Asked | None] = field(default_factory=lambda: asyncio.Queue(maxsize=8))
    _results: asyncio.Queue[Result | None] = field(default_factory=asyncio.Queue)

    async def results(self, files: Iterator[Asked]) -> AsyncIterator[Result]:
        """The result of each file as it comes."""
        async with asyncio.TaskGroup() as group:
            feeder = group.create_task(self._feed(files), name="feed")
            judges = [group.create_task(self._judge(), name=f"judge {n}") for n in range(self.jobs)]
            running = self.jobs
            try:
                while running:
                    result = await self._results.get()
                    if result is None:
                        running -= 1
                    else:
                        yield result
            finally:
                for task in (feeder, *judges):
                    task.cancel()

    async def _feed(self, files: Iterator[Asked]) -> None:
        while (one := await asyncio.to_thread(next, files, None)) is not None:
            await self._queue.put(one)
        for _ in range(self.jobs):
            await self._queue.put(None)

    async def _judge(self) -> None:
        process = None
        try:
            while (asked := await self._queue.get()) is not None:
                process = process or await self._start()
                result = await self._one(process, asked)
                if result.outcome is Outcome.HUNG or process.returncode is not None:
                    await _end(process)
                    process = None
                await self._results.put(self._judged(asked, result))
        finally:
            if process is not None:
                await _end(process)
        await self._results.put(None)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "tests.hostile.judge", json.dumps(asdict(self.limits)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": REPOSITORY}, start_new_session=True, limit=1 << 20,
        )  # fmt: skip

    async def _one(self, process: asyncio.subprocess.Process, asked: Asked) -> Result:
        assert process.stdin is not None
        assert process.stdout is not None
        name = str(asked.path)
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, asked.prepared())
            try:
                process.stdin.write(json.dumps({"path": name, "looks": asked.looks}).encode() + b"\n")
                async with asyncio.timeout(2 * self.limits.wall_s + GRACE_S):
                    line = await process.stdout.readline()
            except TimeoutError:
                return Result(path=name, outcome=Outcome.HUNG, reason="no answer", template="hung")
            except OSError:
                line = b""
        if not line:
            await process.wait()
            return Result(
                path=name,
                outcome=Outcome.CRASHED,
                reason=f"the hub's process ended: {process.returncode}",
                template="ended",
            )
        return result_of(json.loads(line))

    def _judged(self, asked: Asked, result: Result) -> Result:
        if self.canary is not None and (touched := self.canary.touched()):
            said = (
                f"{', '.join(touched)} (of several files at once: any of them)" if self.jobs > 1 else ", ".join(touched)
            )
            return replace(result, outcome=Outcome.TOUCHED, reason=said[:500], template="touched")
        taken = result.outcome is Outcome.MADE
        wrong = (asked.must is Must.TAKE and not taken) or (asked.must is Must.REFUSE and taken)
        if wrong and not result.outcome.is_bug:
            reason = f"must {asked.must}, but: {result.outcome}: {result.reason}"
            return replace(result, outcome=Outcome.UNEXPECTED, reason=reason, template="unexpected")
        return result


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await process.wait()
                return
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # its tools die with it
        await process.wait()
