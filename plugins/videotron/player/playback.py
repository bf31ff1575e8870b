"""Keeps one loop of films on the screen, whatever happens to mpv or the display, and says what was really shown."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.videotron.player import display
from plugins.videotron.player.cancelling import never_losing_a_cancellation, to_its_end
from plugins.videotron.player.clips import Clip, Play, Result
from plugins.videotron.player.faults import Faults, PictureFaults, reason_in
from plugins.videotron.player.geometry import misfit
from plugins.videotron.player.handover import Handover
from plugins.videotron.player.mpv import Mpv, MpvGone, MpvRefused
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.program import Program
from plugins.videotron.player.projector import LOOK_EVERY_S, Audience, Projector, Worn
from plugins.videotron.player.settings import MpvSettings, ScreenSettings
from plugins.videotron.player.vitals import Vitals
from plugins.videotron.player.wear import Wear

__all__ = ["Clip", "Play", "Playback", "Result", "Vitals"]

SHORTEST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 30.0
DEATHS_TOLERATED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    reason: str
    planned: bool = False
    showed: bool = False  # a picture: then the next will, too, and is started at once


class Playback:
    """Plays the loop given to `show` for ever; `on_play` and `on_broken` are told what came of each clip."""

    def __init__(
        self,
        *,
        mpv: MpvSettings,
        screen: ScreenSettings,
        clock: Clock,
        log: Log,
        on_begin: Callable[[Clip, datetime], None],
        on_play: Callable[[Play], None],
        on_broken: Callable[[Clip], None],
        connectors: Path = display.DRM,
    ) -> None:
        self._settings = mpv
        self._screen = screen
        self._clock = clock
        self._log = log
        self._connectors = connectors
        self._on_begin = on_begin
        self._on_play = on_play
        self._on_broken = on_broken
        self._audience = Audience(
            on_play=self._played, on_broken=on_broken, on_first_picture=self._picture_came, on_vitals=self._look_at_wear
        )
        self._program = Program()
        self._projector: Projector | None = None
        self._began = clock.monotonic()  # of the mpv that runs
        self._handover = Handover(mpv)
        self._wear = Wear(mpv)
        self._deaths: Counter[str] = Counter()  # of mpv, by the clip it died in
        self._relaunch = asyncio.Event()
        self._why_relaunch = ""
        self._faults = Faults()
        self._vitals = Vitals()
        self.restarts = 0  # of mpv, unplanned
        self.recycles = 0  # planned ones
        self.first_picture = asyncio.Event()

    # --- what is to be shown

    def show(self, loop: tuple[Clip, ...]) -> None:
        """From now on play this; a clip on the screen that is no longer in it is cut at once. Ends `show_black`."""
        self._program.show(loop)

    def show_black(self) -> None:
        """From now on show nothing, on order: no fault, and no stall; the next `show` ends it at once."""
        self._program.darken()

    def keep_ready(self, spare: Clip | None) -> None:
        """What mpv goes on to by itself when nothing of the loop can be shown, before anybody can tell it."""
        if spare != self._program.spare:
            self._program.spare = spare
            self._program.changed.set()

    # --- how it is

    @property
    def showing(self) -> Clip | None:
        """The clip whose picture is on the screen now."""
        showing = self._projector.showing if self._projector else None
        return showing.clip if showing and showing.started_at else None

    @property
    def showing_since(self) -> datetime | None:
        """When the first picture of that clip was shown."""
        showing = self._projector.showing if self._projector else None
        return showing.started_at if showing else None

    @property
    def vitals(self) -> Vitals:
        """How mpv is: position, drops, decoder, output, memory; at most about a second old, from memory."""
        return self._projector.vitals if self._projector else self._vitals

    @property
    def position(self) -> float:
        """Seconds into the film that is showing."""
        showing = self._projector.showing if self._projector else None
        if showing is None or showing.started_at is None:
            return 0.0
        elapsed = self._clock.monotonic() - showing.began
        return (
            elapsed if elapsed < LOOK_EVERY_S else self.vitals.position_s or 0.0
        )  # the vitals may be of the one before

    @property
    def condition(self) -> str:
        """How mpv is, in one word: down, starting, idle (nothing, or the fallback), playing, black (on order)."""
        if self._projector is None:
            return "down"
        if self._program.dark:
            return "black"
        if self.showing is None:
            return "starting" if self._program.loop else "idle"
        return "playing" if self.showing.item else "idle"

    @property
    def healthy(self) -> bool:
        """Whether the picture moved lately, or nothing is to be shown, or a new mpv is on its way."""
        if self._program.empty or self._projector is None:
            return True
        return self._projector.progress.still_s(self._clock.monotonic()) < 2 * self._settings.stalled_after_s

    @property
    def trouble(self) -> str:
        """What is wrong with the picture, or was in the last minutes; "" = nothing."""
        return self.troubles.text

    @property
    def troubles(self) -> PictureFaults:
        """The same, by kind."""
        picture, wanted = self.vitals, self._screen.fullscreen and self._settings.vo != "null"
        size = misfit(self._screen, picture.width, picture.height) if wanted else ""
        return self._faults.all(self._clock.monotonic(), misfit=size)

    @property
    def pid(self) -> int | None:
        return self._projector.mpv.pid if self._projector else None

    async def screenshot(self, target: Path) -> float:
        """Put what stands on the output now into a JPEG or PNG, by its name, whole or not at all.

        Returns how many seconds into the film that is. Of an output that cannot be copied it is the film's own picture.
        Raises: MpvGone or MpvRefused when there is no picture.
        """
        if self._projector is None:
            raise MpvGone("mpv is being restarted")
        mpv, temporary = self._projector.mpv, target.with_name(f".{target.stem}.tmp{target.suffix}")
        position: Any = 0.0
        with contextlib.suppress(MpvRefused):  # between two films there is none
            position = await mpv.command("get_property", "time-pos")
        try:
            await mpv.command("screenshot-to-file", str(temporary), "window")
        except MpvRefused:
            await mpv.command("screenshot-to-file", str(temporary), "video")
        temporary.replace(target)
        return float(position or 0.0)

    # --- keeping it so

    async def run(self) -> None:
        """Play until cancelled; an mpv that dies or hangs is replaced; without a picture the pause grows to 30 s."""
        async with asyncio.TaskGroup() as group:
            group.create_task(display.watch(self._settings, self._judge_display, self._connectors), name="displays")
            group.create_task(self._play(), name="mpv")

    async def _play(self) -> None:
        backoff = SHORTEST_BACKOFF_S
        try:
            while True:
                ending = await never_losing_a_cancellation(self._play_with_one_mpv())
                if ending.planned:
                    self.recycles += 1
                    self._log.info("mpv_was_replaced", reason=ending.reason, recycles=self.recycles)
                    continue
                self.restarts += 1
                self._log.warning("mpv_ended", reason=ending.reason, restarts=self.restarts)
                self._faults.lost(ending.reason)
                backoff = SHORTEST_BACKOFF_S if ending.showed else min(backoff * 2, LONGEST_BACKOFF_S)
                await self._pause(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads restarts, guards nothing
        finally:
            await to_its_end(self._handover.release())

    async def _play_with_one_mpv(self) -> _Ending:
        self._began = self._clock.monotonic()
        try:
            mpv = await Mpv.start(self._settings, self._screen, window_at_once=not self._handover.under_way)
        except MpvGone as error:
            await self._handover.release()
            return _Ending(reason=str(error))
        ending = _Ending(reason="the player was stopped")
        self._projector = projector = self._projector_of(mpv)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(projector.run(self._vitals), name="mpv: show")
                group.create_task(self._handover.finish(mpv, projector.first_picture), name="mpv: take over")
                group.create_task(self._follow_relaunch(), name="mpv: follow the display")
        except* Worn as worn:
            ending = _Ending(reason=reason_in(worn), planned=True)
        except* MpvGone as gone:
            ending = _Ending(reason=reason_in(gone), showed=projector.first_picture.is_set())
        finally:
            self._blame(projector, ending)
            await to_its_end(self._put_away(projector, hold=ending.planned))
        return ending

    def _projector_of(self, mpv: Mpv) -> Projector:
        return Projector(
            mpv,
            settings=self._settings,
            has_window=not self._handover.under_way,
            program=self._program,
            audience=self._audience,
            clock=self._clock,
            log=self._log,
        )

    def _blame(self, projector: Projector, ending: _Ending) -> None:
        """A film in which mpv dies again and again must not keep the others off the screen."""
        showing = projector.showing
        self._vitals = projector.vitals
        self._projector = None
        projector.end(ending.reason)
        if showing is None or ending.planned or ending.reason == self._why_relaunch or self._faults.display:
            return  # not the film's fault
        self._deaths[showing.clip.key] += 1
        if self._deaths[showing.clip.key] >= DEATHS_TOLERATED:
            del self._deaths[showing.clip.key]
            self._on_broken(showing.clip)

    async def _put_away(self, projector: Projector, *, hold: bool) -> None:
        if hold and self._handover.possible and not self._program.empty:
            await self._handover.hold(projector.mpv)
        else:
            await self._handover.release()
            await projector.mpv.stop()

    async def _follow_relaunch(self) -> None:
        await self._relaunch.wait()
        self._relaunch.clear()
        raise MpvGone(self._why_relaunch)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._relaunch.wait()
        self._relaunch.clear()

    # --- what it is told

    def _played(self, play: Play) -> None:
        if play.complete:
            self._deaths.pop(play.clip.key, None)
        if play.clip.item:
            self._on_play(play)

    def _picture_came(self, clip: Clip, at: datetime) -> None:
        if clip.item:
            self._on_begin(clip, at)
        self._faults.back(self._clock.monotonic())
        self.first_picture.set()

    def _look_at_wear(self, projector: Projector) -> None:
        now = self._clock.monotonic()
        reason = self._wear.reason(now=now, age_s=now - self._began, memory_mb=projector.vitals.memory_mb)
        if reason:
            projector.wear_out(reason)

    def _judge_display(self, verdict: display.Verdict) -> None:
        if verdict.trouble != self._faults.display:
            self._faults.display = verdict.trouble
            self._log.warning("display_changed", trouble=verdict.trouble)
        if verdict.relaunch:
            self._why_relaunch = verdict.relaunch
            self._relaunch.set()
