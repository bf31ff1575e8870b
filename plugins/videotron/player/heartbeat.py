"""systemd's watchdog, fed only while the player really works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hub.api.service import sd_notify, watchdog_interval_s

STATUS_EVERY_S = 10.0


async def beat(*, healthy: Callable[[], bool], status: Callable[[], str]) -> None:
    """Say READY, then go on for ever saying what the player does; without `healthy`, systemd soon starts it anew."""
    sd_notify("READY=1", f"STATUS={status()}")
    every = min(watchdog_interval_s() or STATUS_EVERY_S, STATUS_EVERY_S)
    while True:
        await asyncio.sleep(every)
        sd_notify(f"STATUS={status()}", *(["WATCHDOG=1"] if healthy() else []))
