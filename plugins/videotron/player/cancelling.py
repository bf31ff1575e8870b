"""Keeps a cancellation from being lost on the way: Python 3.11 has two places that do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def never_losing_a_cancellation(call: Coroutine[Any, Any, T]) -> T:
    """What `call` returns; it must raise nothing that is expected.

    A TaskGroup whose child fails in the moment of a cancellation raises the child's error and forgets the
    cancellation; `asyncio.wait_for` (in aiomqtt) returns an answer that came with it. Both were seen when mpv and the
    player were ended together, as systemd does. In a task of its own the call can lose only that task's; ours waits
    here, and is raised here.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call)
        await asyncio.wait({task})
    return task.result()


async def to_its_end(call: Coroutine[Any, Any, None]) -> None:
    """Carry out `call` whole, also when we are cancelled meanwhile: that is raised after it."""
    task = asyncio.ensure_future(call)  # noqa: TID251 - no TaskGroup: it would cancel it; it is awaited in any case
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task  # a shield leaves it alone at once, and the loop may end before it does
        raise
