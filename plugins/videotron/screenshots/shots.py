"""Screen truth: the pictures that players send of their screens, against what was approved.

A player's word is signed, its picture is hostile all the same. One bad picture asks for a second at once; two bad ones
in a row are an alarm, which a good one ends.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from hub.api import Clock, Log, Outcome
from plugins.videotron.protocol import Attack, Refused, Shot, Shows, decode_signed
from plugins.videotron.screens.condition import Truth
from plugins.videotron.screens.roster import Roster
from plugins.videotron.screenshots.album import Album
from plugins.videotron.screenshots.developing import AROUND_S, Developed, NoPicture, develop, frames_around, still_of
from plugins.videotron.screenshots.pictures import nearest

SCREENSHOT = "videotron.screenshot"  # the order; {"screen"}
MOST_JPEG_BYTES = 60 * 1024
MOST_SIDE = 480
LATE = timedelta(minutes=10)  # on the way, behind blocks on a slow line
NEWEST_ENOUGH = timedelta(seconds=10)
RARE_S = 5.0  # a player sends one in ten seconds at most
REMEMBERED = 200  # of each player; half an hour of them at the fastest
ANSWER_WITHIN_S = 10.0
ASK_AGAIN_S = 4.0
ALARMS = {"mismatch": "wrong picture", "black": "black picture"}


class Verdict(StrEnum):
    MATCH = "match"
    MISMATCH = "mismatch"
    BLACK = "black"  # where it should not be
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What the hub gave a player to show."""

    path: Path
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    verdict: Verdict
    text: str = ""
    approved: bytes | None = None  # the picture that should have been there, as a JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person who asked for a screenshot is told; it travels as three lines."""

    picture: str
    verdict: str
    text: str

    @classmethod
    def read(cls, message: str) -> Answer:
        picture, verdict, text = message.split("\n", 2)
        return cls(picture=picture, verdict=verdict, text=text)

    def write(self) -> str:
        return f"{self.picture}\n{self.verdict}\n{self.text}"

    @property
    def wrong(self) -> bool:
        return self.verdict in ALARMS


FilmOf = Callable[[str, str], Film | None]
Ask = Callable[[str], Awaitable[int]]


class Shots:
    """One for the plugin. `film_of` gives the film of a content id in what a player was told to show; `ask` sends a
    player the command to take a picture and returns its counter."""

    def __init__(self, folder: Path, *, roster: Roster, film_of: FilmOf, ask: Ask, clock: Clock, log: Log) -> None:
        self._album = Album(folder)
        self._roster = roster
        self._film_of = film_of
        self._ask = ask
        self._clock = clock
        self._log = log
        self._waiting: dict[str, Shot] = {}  # to be developed: the newest of each player
        self._came = asyncio.Event()
        self._judged = asyncio.Condition()
        self._answered: dict[str, int] = {}  # by player: counter of the last command whose picture was judged
        self._taken: dict[str, tuple[str, deque[datetime]]] = {}  # by player: its boot, and when pictures were taken
        self._came_at: dict[str, float] = {}
        self._bad: dict[str, int] = {}  # by player: bad ones in a row
        self.truths: dict[str, Truth] = {}

    def take(self, player: str, payload: bytes, keys: Mapping[str, bytes]) -> None:
        """Note a picture for looking at. Raises: WireError, Refused."""
        shot = decode_signed(Shot, payload, keys)
        if shot.player != player:
            raise Refused(Attack.WRONG_AUDIENCE, f"it calls itself {shot.player}")
        if max(shot.width, shot.height) > MOST_SIDE or len(shot.jpeg) > 4 * MOST_JPEG_BYTES // 3 + 4:
            raise Refused(Attack.TOO_LARGE, f"a screenshot of {shot.width}x{shot.height}, {len(shot.jpeg)} bytes")
        self._must_be_new(player, shot)
        self._must_be_rare(player)
        self._note(player, shot)
        self._waiting[player] = shot
        self._came.set()

    def recall(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over the alarms of an earlier run from its snapshot."""
        for row in rows:
            player, told = str(row.get("player")), row.get("shot")
            if told and player in self._roster:
                self.truths[player] = Truth(**{**told, "at": datetime.fromisoformat(told["at"])})
                self._bad[player] = 2 if told["alarm"] else 0

    async def run(self) -> None:
        """Look at what comes, one picture at a time, until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                player, shot = next(iter(self._waiting.items()))
                del self._waiting[player]
                await self._look_at(player, shot)

    async def request(self, player: str) -> Outcome:
        """The path of a picture of now and what it shows, or why there is none."""
        if not self._roster.online(player):
            last = self._roster.last_seen(player)
            heard = f"was last heard {last:%Y-%m-%d %H:%M} UTC" if last else "was never heard"
            return Outcome(done=False, message=f"{player} is offline: it {heard}")
        truth = self.truths.get(player)
        if truth is None or self._clock.now() - truth.at > NEWEST_ENOUGH:
            counter = await self._ask(player)
            if not await self._answer(player, counter, within_s=ASK_AGAIN_S):
                await self._ask(player)  # a command is lost with the network; two of them bring one picture
                if not await self._answer(player, counter, within_s=ANSWER_WITHIN_S - ASK_AGAIN_S):
                    return Outcome(done=False, message=self._why_none(player))
        return _told(player, self.truths.get(player))

    def _why_none(self, player: str) -> str:
        state, said = self._roster.state(player), f"{player} sent no screenshot within {ANSWER_WITHIN_S:g} s"
        if state is not None and state.shows in (Shows.BLACKOUT, Shows.NOTHING):
            return f"{said}: it shows {'nothing, on order' if state.shows == Shows.BLACKOUT else 'nothing'}"
        return said

    async def _answer(self, player: str, counter: int, *, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s), self._judged:
                await self._judged.wait_for(lambda: self._answered.get(player, 0) >= counter)
        except TimeoutError:
            return False
        return True

    def _must_be_new(self, player: str, shot: Shot) -> None:
        seen = self._roster.seen(player)
        if seen.state is not None and seen.state.boot != shot.boot:
            raise Refused(Attack.REPLAYED, "a screenshot from before the player started")
        boot, taken = self._taken.get(player, ("", deque()))
        if boot == shot.boot and shot.at in taken:
            raise Refused(Attack.REPLAYED, "a screenshot that came before")
        offset = seen.clock_offset or timedelta(0)
        if seen.clock_offset is not None and abs(self._clock.now() + offset - shot.at) > LATE:
            raise Refused(Attack.REPLAYED, f"a screenshot of {shot.at:%Y-%m-%d %H:%M:%S} UTC, by the player's clock")

    def _must_be_rare(self, player: str) -> None:
        """Each costs half a second of work."""
        now = self._clock.monotonic()
        if now - self._came_at.get(player, float("-inf")) < RARE_S:
            raise Refused(Attack.OVER_LIMIT, f"more than one screenshot in {RARE_S:g} s")
        self._came_at[player] = now

    def _note(self, player: str, shot: Shot) -> None:
        """Each moment, not the last alone: a clock that is put right may go back."""
        if self._taken.get(player, ("",))[0] != shot.boot:
            self._taken[player] = (shot.boot, deque(maxlen=REMEMBERED))
        self._taken[player][1].append(shot.at)

    async def _look_at(self, player: str, shot: Shot) -> None:
        try:
            jpeg = base64.b64decode(shot.jpeg, validate=True)
            developed = await develop(jpeg, width=shot.width, height=shot.height)
            judgement = await self._judge(player, shot, developed)
            truth = await self._keep(player, developed, judgement)
        except (NoPicture, binascii.Error, OSError) as error:
            self._log.warning("screenshot_was_not_taken_in", player=player, reason=str(error)[:300])
            truth = Truth(at=self._clock.now(), verdict=Verdict.CANNOT_TELL, text=f"not readable: {error}"[:300])
        await self._conclude(player, shot, truth)

    async def _judge(self, player: str, shot: Shot, developed: Developed) -> Judgement:
        if shot.shows == Shows.BLACKOUT:
            black = developed.picture.black
            return Judgement(verdict=Verdict.MATCH if black else Verdict.MISMATCH, text="it should be dark on order")
        film = self._film_of(player, shot.cid) if shot.cid else None
        if film is None:
            return Judgement(verdict=Verdict.CANNOT_TELL, text=f"it shows {shot.shows}: no film of this hub's")
        try:
            return await self._compare(shot, developed, film)
        except NoPicture as error:
            return Judgement(verdict=Verdict.CANNOT_TELL, text=str(error))

    async def _compare(self, shot: Shot, developed: Developed, film: Film) -> Judgement:
        frames = await frames_around(film.path, shot.position)
        best, found = await asyncio.to_thread(nearest, developed.picture, frames)
        text = f"{found.score:.2f} of what counts as different"
        if found.same:
            return Judgement(verdict=Verdict.MATCH, text=text)
        if not AROUND_S <= shot.position <= film.seconds - AROUND_S:
            return Judgement(verdict=Verdict.CANNOT_TELL, text="taken where one film follows another")
        about = max(0.0, shot.position - AROUND_S + best * 2 * AROUND_S / len(frames))
        approved = await still_of(film.path, about, width=shot.width, height=shot.height)
        dark = developed.picture.black and not frames[best].black
        return Judgement(verdict=Verdict.BLACK if dark else Verdict.MISMATCH, text=text, approved=approved)

    async def _keep(self, player: str, developed: Developed, judgement: Judgement) -> Truth:
        now = self._clock.now()
        picture, approved = await asyncio.to_thread(self._album.put, player, now, developed.jpeg, judgement.approved)
        return Truth(
            at=now,
            verdict=judgement.verdict,
            picture=str(picture),
            approved=str(approved or ""),
            text=judgement.text,
        )

    async def _conclude(self, player: str, shot: Shot, truth: Truth) -> None:
        bad = self._bad.get(player, 0)
        if truth.verdict == Verdict.MATCH:
            bad = 0
        elif truth.verdict in ALARMS:
            bad += 1
        before = self.truths.get(player)
        alarm = ALARMS.get(truth.verdict, before.alarm if before else "") if bad >= 2 else ""
        self._bad[player], self.truths[player] = bad, replace(truth, alarm=alarm)
        self._roster.changed = True
        log = self._log.error if alarm else self._log.info
        log("screenshot_was_judged", player=player, verdict=truth.verdict, alarm=alarm, reason=truth.text)
        async with self._judged:
            self._answered[player] = max(shot.command, self._answered.get(player, 0))
            self._judged.notify_all()
        if bad == 1 and truth.verdict in ALARMS:
            await self._ask(player)


def _told(player: str, truth: Truth | None) -> Outcome:
    if truth is None or not truth.picture:
        return Outcome(done=False, message=truth.text if truth else f"{player} sent no screenshot")
    words = {
        Verdict.MATCH: "it shows what was approved",
        Verdict.MISMATCH: f"it does NOT show what was approved: {truth.approved or truth.text}",
        Verdict.BLACK: f"it is BLACK where it should show {truth.approved}",
    }
    verdict = Verdict(truth.verdict)
    text = words.get(verdict, f"it cannot be told whether that was approved: {truth.text}")
    return Outcome(done=True, message=Answer(picture=truth.picture, verdict=verdict, text=text).write())
