"""What the player says of itself: its state, signed with its own key, whenever something changed."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from plugins.videotron.player.connection import Connection
from plugins.videotron.player.library import Library
from plugins.videotron.player.playback import Playback
from plugins.videotron.player.ports import Clock
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.player.rejections import Rejections
from plugins.videotron.player.store import Store
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.trusted import Trusted
from plugins.videotron.protocol import (
    Machine,
    PlayerState,
    Playing,
    Problem,
    Shows,
    Signs,
    Topics,
    cid_of,
    encode_signed,
)

STATE_EVERY_S = 60.0
LOOK_EVERY_S = 1.0
LEAST_PAUSE_S = 0.2  # between two states: the hub drops those of who says more than ten a second
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Facts(Protocol):
    """What the state is made of."""

    store: Store
    trusted: Trusted
    library: Library
    playback: Playback
    proofs: ProofLog
    rejections: Rejections
    time: Timekeeper

    @property
    def shows(self) -> Shows: ...
    @property
    def received(self) -> int: ...
    @property
    def received_per_s(self) -> int: ...
    def problems(self) -> list[Problem]: ...
    def machine(self) -> Machine: ...


class Speaking:
    """Publishes when something changed; a state that the broker did not take is said again."""

    def __init__(
        self,
        *,
        player: str,
        boot: str,
        boots: int,
        topics: Topics,
        clock: Clock,
        identity: Signs,
        agent: Facts,
    ) -> None:
        """`boots`: how often this player has started; it orders its states for the hub."""
        self._player = player
        self._boot = boot
        self._boots = boots
        self._topics = topics
        self._clock = clock
        self._identity = identity
        self._facts = agent
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._n = 0
        self._said: PlayerState | None = None
        self._said_at = float("-inf")

    def wake(self) -> None:
        self._news.set()

    def say_everything(self, *, within_s: float) -> None:
        """The hub started anew: the state is due again, a little later than the others' players'."""
        self._said_at = self._clock.monotonic() - STATE_EVERY_S + within_s

    def state(self, *, online: bool = True) -> PlayerState:
        facts, trusted = self._facts, self._facts.trusted
        epoch, seq = trusted.version
        playing = self._playing()
        return PlayerState(
            player=self._player,
            online=online,
            software=software_name(),
            boot=self._boot,
            boots=self._boots,
            n=self._n,
            keyset=trusted.keyset.version if trusted.keyset else 0,
            epoch=epoch,
            seq=seq,
            override=trusted.override_counter,
            command=trusted.command_counter,
            shows=facts.shows.value,
            playing=playing,
            holds=tuple(sorted({cid_of(sha256) for sha256 in facts.library.held}))[:2000],
            mpv="playing" if playing else facts.playback.condition,
            free_bytes=facts.store.free_bytes(),
            received_bytes=facts.received,
            received_bytes_per_s=facts.received_per_s,
            clock=self._clock.now(),
            time=facts.time.now(),
            chain=facts.proofs.chain,
            proof_seq=facts.proofs.seq,
            proofs_waiting=facts.proofs.waiting,
            machine=facts.machine(),
            problems=tuple(facts.problems()[:20]),
            rejections=facts.rejections.all(),
        )

    def will(self) -> bytes:
        """What the broker says for this player when it is gone."""
        return encode_signed(self.state(online=False), self._identity)

    def summary(self) -> str:
        """One line for `systemctl status`."""
        state = self.state()
        shows = f"{state.shows}, {state.playing.item if state.playing else state.mpv}"
        return f"manifest {state.seq}, {len(state.holds)} films, shows {shows}"

    async def greet(self, connection: Connection) -> None:
        """The first words on a new connection."""
        self._said = None
        await self._speak(connection)

    async def run(self, connection: Connection) -> None:
        """Speak whenever there is something to say, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()
            self._news.clear()
            if connection.up and await self._speak(connection):
                await asyncio.sleep(LEAST_PAUSE_S)

    async def _speak(self, connection: Connection) -> bool:
        """Whether there was something to say."""
        async with self._turn:
            state, now = self.state(), self._clock.monotonic()
            if now - self._said_at < STATE_EVERY_S and self._said and _news_of(state) == _news_of(self._said):
                return False
            self._n += 1
            state = state.model_copy(update={"n": self._n})
            signed = encode_signed(state, self._identity)
            if await connection.publish(self._topics.state(self._player), signed, qos=1, retain=True):
                self._said, self._said_at = state, now
            return True

    def _playing(self) -> Playing | None:
        playback = self._facts.playback
        clip, since = playback.showing, playback.showing_since
        if not clip or not clip.item or not since:
            return None
        return Playing(item=clip.item, cid=cid_of(clip.sha256), since=since, position=playback.position)


def _news_of(state: PlayerState) -> PlayerState:
    """What is worth saying at once: all but the figures that change by themselves."""
    playing = state.playing.model_copy(update={"position": 0.0}) if state.playing else None
    quiet = {
        "n": 0,
        "clock": BEGINNING,
        "time": BEGINNING,
        "free_bytes": 0,
        "received_bytes": 0,
        "received_bytes_per_s": 0,
        "machine": Machine(),
        "proof_seq": 0,
        "proofs_waiting": 0,
        "playing": playing,
    }
    return state.model_copy(update=quiet)


def software_name() -> str:
    try:
        return f"siarhub-player {version('siarhub')}"[:80]
    except PackageNotFoundError:
        return "siarhub-player"
