"""One mpv that shows the program: what it has waiting, what it shows, what came of each clip, and when it must go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from plugins.videotron.player.clips import Clip, Play, Result
from plugins.videotron.player.faults import STOOD_STILL
from plugins.videotron.player.mpv import Mpv, MpvEvent, MpvGone, MpvRefused
from plugins.videotron.player.onscreen import OnScreen
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.program import Program
from plugins.videotron.player.settings import MpvSettings
from plugins.videotron.player.vitals import Gauge, Progress, Vitals

LOOK_EVERY_S = 1.0
TRY_AGAIN_S = 1.0  # when nothing of the program could be shown
ENTRIES_KEPT = 32
REFUSALS_TOLERATED = 3

Command = tuple[str | int, ...]


class Worn(Exception):
    """Not a fault: mpv has reached the end of a clip, and is to be replaced there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who is told what comes of it."""

    on_play: Callable[[Play], None]
    on_broken: Callable[[Clip], None]
    on_first_picture: Callable[[Clip, datetime], None]
    on_vitals: Callable[[Projector], None]


class Projector:
    """`run` shows the program with this mpv until it is gone or worn; its facts are kept up to date meanwhile."""

    def __init__(
        self,
        mpv: Mpv,
        *,
        settings: MpvSettings,
        has_window: bool,
        program: Program,
        audience: Audience,
        clock: Clock,
        log: Log,
    ) -> None:
        self.mpv = mpv
        self._has_window = has_window  # False: it gets one with its first picture
        self._stalled_after_s = settings.stalled_after_s
        self._program = program
        self._audience = audience
        self._clock = clock
        self._log = log
        self._events: asyncio.Queue[MpvEvent] = asyncio.Queue()
        self._entries: dict[int, Clip] = {}  # mpv's playlist entries, ours by their id
        self._loading = asyncio.Lock()  # an entry may start before its id is known here
        self._tried_at = float("-inf")
        self._refused = 0  # so many times in a row
        self._worn = ""  # why it is to be replaced at the end of the clip
        self._holding = False  # it stops at the end of the clip
        self._cut = ""  # why the clip on the screen is cut
        self.showing: OnScreen | None = None
        self.progress = Progress(clock.monotonic())
        self.vitals = Vitals()
        self.first_picture = asyncio.Event()

    async def run(self, before: Vitals) -> None:
        """Show the program; `before` are the vitals of the mpv before this one.

        Raises: an ExceptionGroup of MpvGone or Worn, always.
        """
        self.vitals = before
        self._program.changed.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.mpv.listen(self._events), name="mpv: listen")
            group.create_task(self._follow_events(), name="mpv: follow events")
            group.create_task(self._follow_changes(), name="mpv: follow changes")
            group.create_task(self._watch(Gauge(self.mpv, before)), name="mpv: watch")

    def wear_out(self, reason: str) -> None:
        """This mpv is to be replaced at the end of the clip: `run` raises Worn there, its last picture still shown."""
        if not self._worn:
            self._worn = reason
            self._program.changed.set()

    def end(self, reason: str) -> None:
        """This mpv shows nothing any more; a clip that was on the screen was shown in part."""
        self._ended(Result.PARTIAL, reason)

    # --- what the program wants

    async def _follow_changes(self) -> None:
        observed = enumerate(("idle-active", "eof-reached"), start=1)
        await self.mpv.commands(("request_log_messages", "error"), *(("observe_property", n, p) for n, p in observed))
        while True:
            await self._program.changed.wait()
            self._program.changed.clear()
            await self._follow()

    async def _follow(self) -> None:
        current = self.showing
        if self._program.empty:
            await self._clear()
        elif current is not None and current.clip in self._program.loop:
            if current.started_at is not None:  # else the list is in use: its next entry may be wanted at any moment
                await self._line_up()
        elif current is not None or await self._is_idle():
            await self._jump(at_once=current is not None)
        # else: between two clips; `_started` and `_first_picture` see to the rest

    async def _clear(self) -> None:
        """Black: on order, or because there is nothing to show."""
        if self._worn:
            raise Worn(self._worn)
        self._cut = "black on order" if self._program.dark else "nothing is to be shown"
        await self.mpv.command("stop")

    async def _jump(self, *, at_once: bool) -> None:
        """Cut to the program; the last picture stays until the first new one."""
        if self._worn:
            raise Worn(self._worn)
        if not at_once and (wait_s := self._tried_at + TRY_AGAIN_S - self._clock.monotonic()) > 0:
            return await self._try_later(wait_s)
        self._cut, self._tried_at = "what is to be shown has changed", self._clock.monotonic()
        # The list is whole before its first entry is tried: mpv goes on to the next if that is broken.
        away: list[Command] = [("playlist-play-index", 1), ("playlist-remove", 0)] if at_once else []
        return await self._load(("playlist-clear",) if at_once else ("stop",), self._program.waiting(), away)

    async def _try_later(self, wait_s: float) -> None:
        """Nothing could be shown a moment ago: pause, unless something changes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._program.changed.wait()
        self._tried_at = float("-inf")
        self._program.changed.set()

    async def _line_up(self) -> None:
        """Make what follows in the program all that mpv has waiting."""
        if not self._worn:
            return await self._load(("playlist-clear",), self._program.waiting(), [])
        await self.mpv.commands(
            ("playlist-clear",), ("set_property", "loop-playlist", "no"), ("set_property", "keep-open", "yes")
        )
        self._holding = True
        return None

    async def _load(self, first: Command, clips: list[Clip], then: list[Command]) -> None:
        appended: list[Command] = [("loadfile", str(clip.path), "append-play") for clip in clips]
        async with self._loading:
            answers = await self.mpv.commands(first, *appended, *then)
            self._remember(clips, answers[1:])
        refusals = [answer for answer in answers if isinstance(answer, MpvRefused)]
        self._refused = self._refused + 1 if refusals else 0
        if self._refused > REFUSALS_TOLERATED:
            raise MpvGone(f"mpv would not load what follows: {refusals[0]}")
        if refusals:
            self._program.changed.set()  # mpv was no longer where it seemed to be: once more, from where it is now

    def _remember(self, clips: list[Clip], answers: list[Any]) -> None:
        for clip, answer in zip(clips, answers, strict=False):
            if isinstance(answer, dict) and isinstance(entry := answer.get("playlist_entry_id"), int):
                self._entries[entry] = clip
        for entry in sorted(self._entries)[:-ENTRIES_KEPT]:
            del self._entries[entry]

    async def _is_idle(self) -> bool:
        return bool(await self.mpv.command("get_property", "idle-active"))

    # --- what mpv does

    async def _follow_events(self) -> None:
        while True:
            event = await self._events.get()
            match event.name:
                case "start-file":
                    await self._started(event.entry)
                case "playback-restart":
                    await self._first_picture()
                case "end-file":
                    await self._check_output(event)
                    self._finish(event)
                case "property:idle-active" if event.data:
                    self._program.changed.set()
                case "property:eof-reached" if event.data and self._holding:
                    self._at_its_end()
                    raise Worn(self._worn)

    async def _started(self, entry: int) -> None:
        async with self._loading:
            clip = self._entries.get(entry)
        if clip is None:
            return
        clip = self._program.begun(clip)
        self.showing = OnScreen(clip=clip, entry=entry, tried_at=self._clock.now())
        if not self._program.allows(clip):
            self._program.changed.set()  # withdrawn between being lined up and being started

    async def _first_picture(self) -> None:
        showing = self.showing
        if showing is None or showing.started_at is not None:
            return
        showing.started_at, showing.began = self._clock.now(), self._clock.monotonic()
        self.progress.began(showing.began)
        self.first_picture.set()
        self._has_window = True
        self._audience.on_first_picture(showing.clip, showing.started_at)
        if self._program.allows(showing.clip):
            await self._line_up()

    async def _check_output(self, event: MpvEvent) -> None:
        """Without a screen no film can be shown: that is not the film's fault."""
        if event.reason != "error":
            return
        if not self._has_window:  # nobody can say whose fault it is: mpv goes on to the next
            self.showing = None
            return
        with contextlib.suppress(MpvRefused):
            if await self.mpv.command("get_property", "current-vo"):
                return
        self.showing = None
        complaint = self.mpv.complaint
        raise MpvGone(f"mpv has no output: is the screen connected, and is mpv.vo the right one?{complaint}")

    def _finish(self, event: MpvEvent) -> None:
        showing = self.showing
        if showing is None or (event.entry and event.entry != showing.entry):
            return
        never_shown = showing.started_at is None
        if event.reason == "error" or (event.reason == "eof" and never_shown):
            error = event.error or "there is no picture in it"
            self._log.error("clip_not_playable", clip=showing.clip.key, sha256=showing.clip.sha256, error=error)
            self._ended(Result.FAILED if never_shown else Result.PARTIAL, error)
            self._program.failed(showing.clip)
            self._audience.on_broken(showing.clip)
        elif event.reason == "eof":
            self._at_its_end()
        else:
            self._ended(Result.PARTIAL, self._cut or f"mpv: {event.reason}")

    def _at_its_end(self) -> None:
        if self.showing is not None:
            self._ended(*self.showing.at_its_end(self._clock.monotonic()))

    def _ended(self, result: Result, reason: str = "") -> None:
        showing, self.showing = self.showing, None
        play = showing.play(self._clock.monotonic(), result, reason) if showing else None
        if play is not None:
            self._audience.on_play(play)

    # --- how mpv is

    async def _watch(self, gauge: Gauge) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.vitals = await gauge.read()
            now = self._clock.monotonic()
            if self._program.empty:
                self.progress.rest(now)
            else:
                self._look_at_progress(now)
            self._audience.on_vitals(self)

    def _look_at_progress(self, now: float) -> None:
        self.progress.note(now, position=self.vitals.position_s, drew=self.vitals.drew)
        if self.progress.still_s(now) >= self._stalled_after_s:
            raise MpvGone(f"{STOOD_STILL} for {self._stalled_after_s:g} s")
        if self.showing is not None:
            self.showing.note_length(now, self.vitals)
