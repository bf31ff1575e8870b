"""Players without a screen: the player's own Connection, Fetching and Store, no mpv. Several in one process.

`python -m bench.transfer_player JOB.json`: prints `ready`, then a line of JSON for each file that is whole, and one
with the processor time when all are. Each begins when its time has come on the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import structlog

from bench.transfer_wire import HubsKey
from hub.clock import SystemClock
from plugins.videotron.player.connection import Connection
from plugins.videotron.player.fetching import Fetching
from plugins.videotron.player.reporting import Reporting
from plugins.videotron.player.settings import BrokerSettings
from plugins.videotron.player.store import Store
from plugins.videotron.protocol import BlockFlag, File, Report, Topics, WireError, decode_block


class Player:
    """One player with files to fetch; `loss` is the part of the blocks that never arrive at it."""

    def __init__(self, job: dict[str, Any], player: dict[str, Any]) -> None:
        self.name, self._loss, self._random = player["player"], player.get("loss", 0.0), random.Random(player["player"])
        self._topics, self._clock, log = Topics(), SystemClock(), structlog.get_logger()
        self._wanted = {one["cid"]: File(**one) for one in job["files"]}
        self.done = asyncio.Event()
        self.blocks = self.lost = self._held = 0
        self.again = self.overheard = (
            0  # blocks that it had: sent to it alone, or to the group, where others lacked them
        )
        self.fetching = Fetching(
            store=Store(Path(player["folder"]), keep_free_bytes=0), boot=random.getrandbits(63), clock=self._clock,
            log=log, on_done=self._came, judge=HubsKey(job["key"]).judge,
        )  # fmt: skip
        self.connection = Connection(
            settings=BrokerSettings(
                port=player["port"], password=player["password"], receive_maximum=player["receive_maximum"]
            ),
            player=self.name,
            will=(self._topics.state(self.name), lambda: b""),
            log=log,
        )
        fixed = {self._topics.hub: 1, self._topics.control(self.name): 0, self._topics.unicast(self.name): 1}
        self.reporting = Reporting(
            player=self.name, topics=self._topics, fetching=self.fetching, connection=self.connection,
            clock=self._clock, others=lambda: fixed,
        )  # fmt: skip

    async def run(self, begin_at: float) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.reporting.run())]
            await asyncio.sleep(max(0.0, begin_at - time.monotonic()))
            tasks.append(group.create_task(self.connection.run(self)))
            await self.fetching.want(self._wanted)
            self.reporting.wake()
            await self.done.wait()
            await self.reporting.until_said()
            for task in tasks:
                task.cancel()

    async def connected(self) -> None:
        await self.reporting.greet()

    async def take(self, topic: str, payload: bytes) -> None:
        kind, cid, _ = self._topics.parse(topic)
        try:
            if kind == "block_list":
                await self.fetching.take_list(cid, payload)
                self._held = self._held or self.fetching.held
            elif kind in ("group", "unicast"):
                await self._take_block(cid, payload)
            elif kind == "hub":
                self.fetching.report_all(forget_sequences=True)
            elif kind == "control":
                _say(event="control", player=self.name, text=payload.decode(), at=time.monotonic())
        except WireError as error:
            print(self.name, error, file=sys.stderr)
        self.reporting.wake()

    async def _take_block(self, cid: str, payload: bytes) -> None:
        block, written = decode_block(payload), self.fetching.written
        if not block.is_flush:
            self.blocks += 1
            if self._random.random() < self._loss:
                self.lost += 1
                return
        await self.fetching.take_block(cid, payload)
        if not block.is_flush and self.fetching.written == written:
            self.again += bool(block.flags & BlockFlag.UNICAST)
            self.overheard += bool(block.flags & BlockFlag.GROUP)

    def _came(self, report: Report, sha256: str) -> None:
        self.reporting.done(sha256, report)
        _say(
            event="fetched", player=self.name, sha256=sha256, at=time.monotonic(), blocks=self.blocks, lost=self.lost,
            again=self.again, overheard=self.overheard, held=self._held,
        )  # fmt: skip
        if not self.fetching.wanted:
            self.done.set()


async def main(job: dict[str, Any]) -> None:
    players = [Player(job, one) for one in job["players"]]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # the moment has come
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    async with asyncio.TaskGroup() as group:
        for player, one in zip(players, job["players"], strict=True):
            group.create_task(player.run(began + one.get("after_s", 0.0)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    _say(event="end", cpu_s=cpu_s)


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
