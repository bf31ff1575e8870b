"""No tool outlives the hub, whatever kills the hub, and whatever the tool does about it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hub.media.runner import Stopped, run
from hub.media.sandbox import Confinement

ROOT = str(Path(__file__).parents[3])
PYTHON = "/usr/bin/python3"
LIMITS = Confinement(nice=0, idle_io=False)
STUBBORN = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None)
libc.prctl(1, 0, 0, 0, 0)
for attempt in (os.setsid, os.fork, lambda: os.setpgid(0, 0), os.daemon if hasattr(os, "daemon") else os.fork):
    try:
        attempt()
    except OSError:
        pass
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
if sys.argv[1:] == ["stop"]:
    libc.syscall(234, os.getpid(), os.getpid(), signal.SIGSTOP)
while True:
    time.sleep(60)
"""
needs_system_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs Debian's python3, a tool in the jail")


def stubborn(*words: str) -> tuple[str, ...]:
    return (PYTHON, "-I", "-S", "-c", STUBBORN, *words)


@asynccontextmanager
async def small_hub(
    folder: Path, command: tuple[str, ...], count: int = 1
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs `count` tools, as the hub does, and would do so for a minute."""
    script = (
        "import asyncio, pathlib\nfrom hub.media.runner import run\nfrom hub.media.sandbox import Confinement\n"
        f"one = lambda: run({command!r}, Confinement(nice=0), folder=pathlib.Path({str(folder)!r}), within_s=60)\n"
        f"async def all():\n    await asyncio.gather(*[one() for _ in range({count})])\nasyncio.run(all())\n"
    )
    hub = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env={**os.environ, "PYTHONPATH": ROOT})
    try:
        yield hub
    finally:
        with contextlib.suppress(ProcessLookupError):
            hub.kill()
        await hub.wait()


def children(pid: int) -> set[int]:
    try:
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()


def lives(pid: int) -> bool:
    """A zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def is_tool(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return STUBBORN.encode()[:40] in Path(f"/proc/{pid}/cmdline").read_bytes() and state(pid) in "ST"
    return False


async def until(condition: Callable[[], bool], *, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


@needs_system_python
@pytest.mark.parametrize("words", [(), ("stop",)], ids=["that ignores every signal", "that has stopped itself"])
async def test_a_tool_dies_with_a_killed_hub(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with small_hub(tmp_path, stubborn(*words)) as hub:
        await until(lambda: any(state(pid) == ("T" if words else "S") and is_tool(pid) for pid in children(hub.pid)))
        tools = children(hub.pid)

        hub.kill()
        await hub.wait()

        await until(lambda: not any(lives(pid) for pid in tools))


@needs_system_python
async def test_a_tool_that_was_stopped_from_outside_dies_with_a_killed_hub(tmp_path: Path) -> None:
    async with small_hub(tmp_path, stubborn()) as hub:
        await until(lambda: any(is_tool(pid) for pid in children(hub.pid)))
        tools = children(hub.pid)
        for pid in tools:
            os.kill(pid, signal.SIGSTOP)

        hub.kill()
        await hub.wait()

        await until(lambda: not any(lives(pid) for pid in tools))


@needs_system_python
async def test_a_hub_killed_while_tools_start_leaves_none(tmp_path: Path) -> None:
    """At any moment: before the jail has asked to die with the hub, and after."""
    for delay_ms in range(0, 24, 3):
        async with small_hub(tmp_path, stubborn(), count=4) as hub:
            await until(lambda hub=hub: bool(children(hub.pid)))  # type: ignore[misc]
            await asyncio.sleep(delay_ms / 1000)
            started = children(hub.pid)

            hub.send_signal(signal.SIGSTOP)  # so that it starts no more while we look
            started |= children(hub.pid)
            hub.kill()
            await hub.wait()

            await until(lambda started=started: not any(lives(pid) for pid in started))  # type: ignore[misc]


@needs_system_python
async def test_a_stopped_tool_is_ended_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.media.runner.TERMINATE_WITHIN_S", 0.3)

    finished = await run(stubborn("stop"), LIMITS, folder=tmp_path, within_s=1.0)

    assert finished.stopped is Stopped.DEADLINE
    assert finished.exit_code == -signal.SIGKILL
    assert children(os.getpid()) == set()


async def test_a_jail_that_is_killed_while_it_starts_is_a_failed_run_and_nothing_more(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(("sleep", "60"), LIMITS, folder=tmp_path, within_s=30), name="run")
        await until(lambda: bool(children(os.getpid())))
        os.kill(next(iter(children(os.getpid()))), signal.SIGKILL)

    assert running.result().exit_code == -signal.SIGKILL
    assert children(os.getpid()) == set()
