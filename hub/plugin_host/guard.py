"""Runs a plugin's code so that it comes back: within a deadline, with an ordinary exception or a result.

A coroutine runs in a task of its own. So a plugin that swallows its cancellation can be left behind, and what a task
must never let out (SystemExit, a cancellation that nobody asked for) ends there and is named.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from hub.plugin_host.replies import PluginContractError, described

T = TypeVar("T")
END_WITHIN_S = 2.0  # after its cancellation


class HookTimeout(TimeoutError):
    """A plugin's code did not come back in its time."""


class Guard:
    """Runs coroutines of plugins; remembers those that do not end."""

    def __init__(self) -> None:
        self._stuck: dict[str, set[asyncio.Task[object]]] = {}

    def stuck(self, prefix: str) -> list[str]:
        """The calls with this prefix that ignored their cancellation and still run."""
        return sorted(what for what, tasks in self._stuck.items() if what.startswith(prefix) and tasks)

    async def run(self, what: str, call: Callable[[], Awaitable[object]], within_s: float) -> object:
        """The coroutine's result or exception. Raises: HookTimeout; PluginContractError for what no hook may raise."""
        if self._stuck.get(what):
            raise HookTimeout(f"{what}: an earlier call ignored its cancellation and still runs; restart the hub")
        loop = asyncio.get_running_loop()
        task = loop.create_task(_contained(what, call), name=what)  # not a TaskGroup: that could never leave it behind
        try:
            await asyncio.wait({task}, timeout=within_s)
        finally:
            late = not task.done()
            if late:
                await self._end(what, task)
        if late:
            raise HookTimeout(f"{what} did not answer within {within_s:g} s")
        if task.cancelled():
            raise PluginContractError(f"{what} was cancelled by its own code")
        return task.result()

    async def _end(self, what: str, task: asyncio.Task[object]) -> None:
        task.cancel()
        try:
            await asyncio.wait({task}, timeout=END_WITHIN_S)
        finally:
            if task.done():
                task.cancelled() or task.exception()  # seen, so that asyncio does not complain of it
            else:
                tasks = self._stuck.setdefault(what, set())
                tasks.add(task)
                task.add_done_callback(tasks.discard)


def guarded_service(name: str, run: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """A service whose end is always honest: cancelled when it was cancelled, else an ordinary exception or a return."""

    async def guarded() -> None:
        task = asyncio.current_task()
        try:
            await _contained(name, run)
        except asyncio.CancelledError:
            if task is not None and not task.cancelling():
                raise PluginContractError(f"{name} was cancelled by its own code") from None
            raise
        if task is not None and task.cancelling():
            raise asyncio.CancelledError  # it swallowed its cancellation: it must not be started again

    return guarded


@contextmanager
def time_limit(what: str, within_s: float) -> Iterator[None]:
    """Break off blocking code after a while, with HookTimeout: by SIGALRM, so on the main thread only.

    Elsewhere the code simply runs. The alarm rings again every second, for code that swallows it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        place = f" (at {frame.f_code.co_filename}:{frame.f_lineno})" if frame else ""
        raise _Alarm(f"{what} did not end within {within_s:g} s{place}")

    begun = time.monotonic()
    old_handler = signal.signal(signal.SIGALRM, ring)
    old_delay, old_interval = signal.setitimer(signal.ITIMER_REAL, within_s, 1.0)
    try:
        yield
    except _Alarm as alarm:
        raise HookTimeout(str(alarm)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler)
        if old_delay:
            signal.setitimer(signal.ITIMER_REAL, max(old_delay - (time.monotonic() - begun), 0.01), old_interval)


class _Alarm(BaseException):
    """Not an Exception: `except Exception` in a plugin must not catch it."""


async def _contained(what: str, call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        _must_speak(what, error)
        raise
    except BaseException as error:  # SystemExit in a task would end the hub
        raise PluginContractError(f"{what} raised {described(error)}") from error


def _must_speak(what: str, error: Exception) -> None:
    try:
        str(error)
    except Exception:  # noqa: BLE001 - an exception class whose own text is broken
        raise PluginContractError(f"{what} raised {type(error).__name__}") from None
