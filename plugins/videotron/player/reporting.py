"""Tells the hub what is held of the files on their way, and subscribes to what is fetched now."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping

from plugins.videotron.player.connection import Connection
from plugins.videotron.player.fetching import REPORT_DIRTY_S, Fetching
from plugins.videotron.player.ports import Clock
from plugins.videotron.protocol import Report, Topics, cid_of, encode_report

IDLE_S = 1.0


class Reporting:
    """Reports when one is due; the report that a file is whole is said again until the broker has it."""

    def __init__(
        self,
        *,
        player: str,
        topics: Topics,
        fetching: Fetching,
        connection: Connection,
        clock: Clock,
        others: Callable[[], Mapping[str, int]],
    ) -> None:
        """`others`: the topics, with their QoS, to be subscribed to besides those of the files."""
        self._player = player
        self._topics = topics
        self._fetching = fetching
        self._connection = connection
        self._clock = clock
        self._others = others
        self._news = asyncio.Event()
        self._said = asyncio.Event()
        self._done: deque[tuple[str, Report]] = deque()
        self._turn = asyncio.Lock()
        self._wanted: frozenset[str] = frozenset()  # when it was last subscribed to

    def wake(self) -> None:
        """Something came: a report may be due, or something else be wanted."""
        if self._fetching.due or self._fetching.wanted != self._wanted:
            self._news.set()

    def done(self, sha256: str, report: Report) -> None:
        """A film is whole: tell the hub, until the broker has it."""
        self._said.clear()
        self._done.append((cid_of(sha256), report))
        self._news.set()

    async def until_said(self) -> None:
        """Until the broker has every report that a file is whole."""
        if self._done:
            await self._said.wait()

    async def greet(self) -> None:
        """The first words on a new connection."""
        self._fetching.report_all(forget_sequences=False)
        await self._speak()  # not `run`: what waits must not wait for its next turn

    async def run(self) -> None:
        """Speak whenever there is something to say, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPORT_DIRTY_S if self._fetching.wanted else IDLE_S):
                    await self._news.wait()
            self._news.clear()
            if self._connection.up:
                await self._speak()

    async def _speak(self) -> None:
        async with self._turn:
            self._wanted = self._fetching.wanted
            await self._connection.subscribe_to({**self._others(), **self._of_files()})
            for cid, report in list(self._fetching.due_reports()):
                self._connection.say(self._topic(cid), encode_report(report))
            while self._done:
                cid, report = self._done[0]
                if not await self._connection.publish(self._topic(cid), encode_report(report), qos=1):
                    return
                self._done.popleft()
            self._said.set()

    def _topic(self, cid: str) -> str:
        return self._topics.report(cid, self._player)

    def _of_files(self) -> dict[str, int]:
        topics = self._topics
        return {topic: 1 for cid in self._wanted for topic in (topics.block_list(cid), topics.group(cid))}
