"""How the hub is: gathers it from every part, and keeps `status.json` true for the commands that read it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import structlog

from hub.api import Clock, Health, HealthState
from hub.api.service import sd_notify
from hub.intake.service import Intake
from hub.intake.status import IntakeStatus
from hub.journal import Teller
from hub.ledger import jobs
from hub.ledger.database import Database
from hub.observe.health import Part, Status, write_status
from hub.observe.lag import LagWatch
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginRecord, PluginState
from hub.supervision import Plugins
from hub.transcoding import Transcoding

TICK_S = 1.0  # how current the progress of transcodes is
TICKS = 5  # from one look at everything to the next
REFRESH_S = 60.0
RECENT_BLOCK_S = 600.0
NAMED = 3  # items in one summary; siarhub items has all

log = structlog.get_logger("wellness")


class Wellness:
    """Looks every few seconds; writes when something has changed, and once a minute anyway.

    While something is transcoded it writes each second, with the progress alone renewed.
    """

    def __init__(
        self,
        state_dir: Path,
        database: Database,
        host: PluginHost,
        plugins: Plugins,
        tellers: Sequence[Teller],
        intake: Intake,
        transcoding: Transcoding,
        lag: LagWatch,
        clock: Clock,
    ) -> None:
        self._state_dir = state_dir
        self._database = database
        self._host = host
        self._plugins = plugins
        self._tellers = tellers
        self._intake = intake
        self._transcoding = transcoding
        self._lag = lag
        self._clock = clock
        self._started_at = clock.now()
        self._version = version("siarhub")

    async def run(self) -> None:
        last, written = None, 0.0
        while True:
            status = await self._status()
            content = (status.parts, status.jobs, status.intake, status.transcoding)
            if content != last or self._clock.monotonic() - written > REFRESH_S:
                sd_notify(f"STATUS={status.state}: {sum(status.jobs.values())} jobs")
                if await asyncio.to_thread(self._written, status):
                    last, written = content, self._clock.monotonic()
            await self._follow(status)

    async def _follow(self, status: Status) -> None:
        """Until the next look; the only thing asked meanwhile stands in memory."""
        for _ in range(TICKS):
            await asyncio.sleep(TICK_S)
            under_way = self._transcoding.progress()
            if under_way or status.transcoding:
                status = replace(status, transcoding=under_way, written_at=self._clock.now())
                await asyncio.to_thread(self._written, status)

    def _written(self, status: Status) -> bool:
        try:
            write_status(self._state_dir, status)
        except OSError as error:  # a full disk must not end the hub; written when there is space
            log.warning("status_not_written", error=error.strerror)
            return False
        return True

    async def _status(self) -> Status:
        counts, failed = await self._database.read(lambda db: (jobs.counts(db), failed_deliveries(db)))
        records = self._plugins.records
        intake = self._intake.status()
        parts = [
            intake_part(intake),
            _jobs_part(counts),
            transcoding_part(self._transcoding.troubles()),
            deliveries_part(failed),
            *[await self._plugin_part(record) for record in records],
            *self._lag_part(),
        ]
        return Status(
            version=self._version,
            pid=os.getpid(),
            started_at=self._started_at,
            written_at=self._clock.now(),
            parts=tuple(parts),
            jobs=counts,
            intake=asdict(intake),
            transcoding=self._transcoding.progress(),
            plugins=tuple(asdict(record) for record in records),
        )

    async def _plugin_part(self, record: PluginRecord) -> Part:
        if record.state is PluginState.DISABLED:
            return Part(name=record.name, state="ok", summary="disabled")
        if record.state is not PluginState.RUNNING:
            return Part(name=record.name, state="down", summary=f"{record.state}: {record.reason}")
        troubles = self._plugins.troubles(record.name)
        troubles += [f"facts: {one.trouble}" for one in self._tellers if one.name == record.name and one.trouble]
        if why := self._host.check_trouble(record.name):
            troubles.append(f"hub_check_item: {why}")
        health = await self._host.health(record.name)
        if troubles:
            health = Health(state=HealthState.DOWN, summary="; ".join(filter(None, (*troubles, health.summary))))
        return Part(name=record.name, state=health.state, summary=health.summary)

    def _lag_part(self) -> list[Part]:
        block = self._lag.last
        if block is None or self._clock.monotonic() - block.at_monotonic > RECENT_BLOCK_S:
            return []
        summary = f"{block.culprit} blocked the hub for {block.seconds:.1f} s at {block.place}"
        return [Part(name="loop", state="degraded", summary=summary)]


def intake_part(intake: IntakeStatus) -> Part:
    """A dead watch is red: people drop files, and nothing happens until the next look round."""
    summary = "; ".join(filter(None, (intake.paused, intake.trouble)))
    state = "down" if intake.dead else "degraded" if summary else "ok"
    return Part(name="intake", state=state, summary=summary)


def failed_deliveries(db: sqlite3.Connection) -> list[str]:
    """The item's number for each failed delivery of an item that may still be shown, oldest first."""
    rows = db.execute(
        "SELECT item.number FROM delivery JOIN item ON item.number = delivery.item"
        " WHERE delivery.state = 'failed' AND item.state IN ('accepted', 'active') ORDER BY item.month, item.serial"
    )
    return [row["number"] for row in rows]


def transcoding_part(troubles: Sequence[str]) -> Part:
    """These are tried again by themselves, but somebody may have to make room."""
    if not troubles:
        return Part(name="transcoding", state="ok")
    more = f" ({len(troubles) - 1} more)" if troubles[1:] else ""
    return Part(name="transcoding", state="degraded", summary=f"put off: {troubles[0]}{more}")


def deliveries_part(failed: Sequence[str]) -> Part:
    """Nothing tries these again by itself: a person must act."""
    if not failed:
        return Part(name="deliveries", state="ok")
    numbers = list(dict.fromkeys(failed))
    named = ", ".join([*numbers[:NAMED], *(["..."] if numbers[NAMED:] else [])])
    count = f"{len(failed)} delivery" if len(failed) == 1 else f"{len(failed)} deliveries"
    remedy = "siarhub show ITEM says why; then siarhub retry ITEM, or siarhub withdraw ITEM"
    return Part(name="deliveries", state="degraded", summary=f"{count} failed ({named}); {remedy}")


def _jobs_part(counts: dict[str, int]) -> Part:
    dead = sum(count for name, count in counts.items() if name.endswith(" dead"))
    if not dead:
        return Part(name="jobs", state="ok")
    return Part(
        name="jobs", state="degraded", summary=f"{dead} steps were given up; see siarhub items, then siarhub retry ITEM"
    )
