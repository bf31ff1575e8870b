"""What the player says by itself: its state, its reports, what it is subscribed to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from plugins.videotron.player.connection import Connection
from plugins.videotron.player.fetching import REPORT_DIRTY_S, Fetching
from plugins.videotron.player.following import Following
from plugins.videotron.player.library import Library
from plugins.videotron.player.playback import Playback
from plugins.videotron.player.ports import Clock
from plugins.videotron.player.store import Store
from plugins.videotron.protocol import PlayerState, Playing, Report, Topics, cid_of, encode, encode_report

STATE_EVERY_S = 60.0
IDLE_S = 1.0


class Facts(Protocol):
    """What the state is made of."""

    store: Store
    fetching: Fetching
    following: Following
    library: Library
    playback: Playback

    def errors(self) -> list[str]: ...


class Speaking:
    """Publishes when something changed; a message that the broker did not take is said again."""

    def __init__(self, *, player: str, boot: str, topics: Topics, clock: Clock, agent: Facts) -> None:
        self._player = player
        self._boot = boot
        self._topics = topics
        self._clock = clock
        self._facts = agent
        self._news = asyncio.Event()
        self._done: deque[tuple[str, Report]] = deque()
        self._turn = asyncio.Lock()
        self._said: PlayerState | None = None
        self._said_at = float("-inf")

    def wake(self) -> None:
        self._news.set()

    def done(self, sha256: str, report: Report) -> None:
        """A film is whole: tell the hub, until the broker has it."""
        self._done.append((cid_of(sha256), report))
        self._news.set()

    def say_everything(self, *, within_s: float) -> None:
        """The hub started anew: the state is due again, a little later than the others' players'."""
        self._said_at = self._clock.monotonic() - STATE_EVERY_S + within_s

    def state(self, *, online: bool = True) -> PlayerState:
        facts = self._facts
        clip, since = facts.playback.showing, facts.playback.showing_since
        playing = (
            Playing(item=clip.item, cid=cid_of(clip.sha256), since=since) if clip and clip.item and since else None
        )
        return PlayerState(
            player=self._player,
            online=online,
            software=_software(),
            boot=self._boot,
            serial=facts.following.serial,
            playing=playing,
            holds=tuple(sorted({cid_of(sha256) for sha256 in facts.library.held}))[:2000],
            mpv="playing" if playing else facts.playback.condition,
            free_bytes=facts.store.free_bytes(),
            clock=self._clock.now(),
            errors=tuple(error[:300] for error in facts.errors()),
        )

    def will(self) -> bytes:
        """What the broker says for this player when it is gone."""
        return encode(self.state(online=False))

    def summary(self) -> str:
        """One line for `systemctl status`."""
        state = self.state()
        shows = state.playing.item if state.playing else state.mpv
        return f"play list {state.serial}, {len(state.holds)} films, shows {shows}"

    async def greet(self, connection: Connection) -> None:
        """The first words on a new connection."""
        self._said = None
        await self._speak(connection)  # not `run`: what waits must not wait for its next turn

    async def run(self, connection: Connection) -> None:
        """Speak whenever there is something to say, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPORT_DIRTY_S if self._facts.fetching.wanted else IDLE_S):
                    await self._news.wait()
            self._news.clear()
            if connection.up:
                await self._speak(connection)

    async def _speak(self, connection: Connection) -> None:
        async with self._turn:
            await self._speak_in_turn(connection)

    async def _speak_in_turn(self, connection: Connection) -> None:
        await connection.subscribe_to(self._subscriptions())
        for cid, report in list(self._facts.fetching.due_reports()):
            await connection.publish(self._topics.report(cid, self._player), encode_report(report), qos=0)
        while self._done:
            cid, report = self._done[0]
            if not await connection.publish(self._topics.report(cid, self._player), encode_report(report), qos=1):
                return
            self._done.popleft()
        await self._say_state(connection)

    async def _say_state(self, connection: Connection) -> None:
        state, now = self.state(), self._clock.monotonic()
        if now - self._said_at < STATE_EVERY_S and _same(state, self._said):
            return
        if await connection.publish(self._topics.state(self._player), encode(state), qos=1, retain=True):
            self._said, self._said_at = state, now

    def _subscriptions(self) -> dict[str, int]:
        topics, player = self._topics, self._player
        wanted = {topics.hub: 1, topics.playlist(player): 1, topics.control(player): 0, topics.unicast(player): 1}
        for cid in self._facts.fetching.wanted:
            wanted |= {topics.block_list(cid): 1, topics.group(cid): 1}
        return wanted


def _same(state: PlayerState, said: PlayerState | None) -> bool:
    return said is not None and state == said.model_copy(update={"clock": state.clock, "free_bytes": state.free_bytes})


def _software() -> str:
    try:
        return f"siarhub-player {version('siarhub')}"[:80]
    except PackageNotFoundError:
        return "siarhub-player"
