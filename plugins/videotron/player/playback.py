"""Keeps one loop of films on the screen, whatever happens to mpv, and says what was really shown."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from plugins.videotron.player.cancelling import never_losing_a_cancellation
from plugins.videotron.player.mpv import Mpv, MpvEvent, MpvGone, MpvRefused
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.settings import MpvSettings, ScreenSettings

LOOK_EVERY_S = 1.0
LONGEST_BACKOFF_S = 30.0
DEATHS_TOLERATED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One place in the loop. `key` tells places apart; the same film may have several."""

    key: str
    path: Path
    item: str = ""  # "" = the fallback: shown, never proved
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What was shown of one clip: from its first picture on the screen to its last."""

    clip: Clip
    started_at: datetime
    seconds: float
    complete: bool  # to its own end; False: cut, or mpv died


@dataclass(slots=True, kw_only=True)
class _Showing:
    clip: Clip
    entry: int
    started_at: datetime | None = None  # None until its first picture is shown
    began: float = 0.0  # monotonic


class Playback:
    """Plays the loop given to `show` for ever; `on_play` and `on_broken` are told what came of each clip."""

    def __init__(
        self,
        *,
        mpv: MpvSettings,
        screen: ScreenSettings,
        clock: Clock,
        log: Log,
        on_play: Callable[[Play], None],
        on_broken: Callable[[Clip], None],
    ) -> None:
        self._settings = mpv
        self._screen = screen
        self._clock = clock
        self._log = log
        self._on_play = on_play
        self._on_broken = on_broken
        self._loop: tuple[Clip, ...] = ()
        self._changed = asyncio.Event()
        self._mpv: Mpv | None = None
        self._entries: dict[int, Clip] = {}  # mpv's playlist entries, ours by their id
        self._showing: _Showing | None = None
        self._last: Clip | None = None  # where the loop goes on after a restart of mpv
        self._died_in: Clip | None = None  # the clip that was on when mpv ended
        self._deaths: Counter[str] = Counter()  # of mpv, by the clip it died in
        self._moved_at = clock.monotonic()
        self._position: float | None = None
        self.restarts = 0
        self.trouble = ""  # why there is no picture, until there is one
        self.first_picture = asyncio.Event()

    @property
    def showing(self) -> Clip | None:
        """The clip whose picture is on the screen now."""
        return self._showing.clip if self._showing and self._showing.started_at else None

    @property
    def showing_since(self) -> datetime | None:
        """When the first picture of that clip was shown."""
        return self._showing.started_at if self._showing else None

    @property
    def position(self) -> float:
        """Seconds into the film that is showing."""
        return self._position or 0.0

    @property
    def condition(self) -> str:
        """How mpv is, in one word: down, starting, idle (nothing, or the fallback), playing."""
        if self._mpv is None:
            return "down"
        if self.showing is None:
            return "starting" if self._loop else "idle"
        return "playing" if self.showing.item else "idle"

    @property
    def healthy(self) -> bool:
        """Whether the picture moved lately, or nothing is to be shown, or a new mpv is on its way."""
        still_s = self._clock.monotonic() - self._moved_at
        return not self._loop or self._mpv is None or still_s < 2 * self._settings.stalled_after_s

    @property
    def _stalled(self) -> bool:
        return bool(self._loop) and self._clock.monotonic() - self._moved_at >= self._settings.stalled_after_s

    @property
    def pid(self) -> int | None:
        return self._mpv.pid if self._mpv else None

    def show(self, loop: tuple[Clip, ...]) -> None:
        """From now on play this; a clip on the screen that is no longer in it is cut at once."""
        if loop != self._loop:
            self._loop = loop
            self._changed.set()

    async def screenshot(self, target: Path) -> None:
        """Put what mpv shows now into a PNG file, whole or not at all.

        Raises: MpvGone or MpvRefused when there is no picture.
        """
        if self._mpv is None:
            raise MpvGone("mpv is being restarted")
        temporary = target.with_name(f".{target.stem}.tmp.png")
        await self._mpv.command("screenshot-to-file", str(temporary), "video")
        temporary.replace(target)

    async def run(self) -> None:
        """Play until cancelled; an mpv that dies or hangs is replaced, with a pause that grows to 30 s."""
        backoff = 0.2
        while True:
            began = self._clock.monotonic()
            reason = await never_losing_a_cancellation(self._play_with_one_mpv())
            self._log.warning("mpv_ended", reason=reason, restarts=self.restarts)
            self._suspect(self._died_in)
            self.trouble = f"mpv is started anew: {reason}"
            self.restarts += 1
            backoff = 0.2 if self._clock.monotonic() - began > 60 else min(backoff * 2, LONGEST_BACKOFF_S)
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads restarts, guards nothing

    async def _play_with_one_mpv(self) -> str:
        """Why it ended."""
        try:
            mpv = await Mpv.start(self._settings, self._screen)
        except MpvGone as error:
            return str(error)
        self._mpv = mpv
        self._entries = {}
        self._moved_at, self._position = self._clock.monotonic(), None
        events: asyncio.Queue[MpvEvent] = asyncio.Queue()
        self._changed.set()
        reason = ""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(mpv.listen(events), name="mpv: listen")
                group.create_task(self._follow_events(mpv, events), name="mpv: follow events")
                group.create_task(self._follow_changes(mpv), name="mpv: follow changes")
                group.create_task(self._watch_progress(mpv), name="mpv: watch progress")
        except* MpvGone as gone:
            reason = str(gone.exceptions[0])
        finally:
            self._mpv = None
            self._died_in = self._showing.clip if self._showing else None
            self._ended(complete=False)
            await asyncio.shield(mpv.stop())
        return reason

    async def _follow_changes(self, mpv: Mpv) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            current = self._showing
            if current is not None and current.clip in self._loop:
                await self._line_up(mpv, after=current.clip)
            elif self._loop:
                await self._load(mpv, self._next_after(self._last), "replace")
            elif current is not None:
                await mpv.command("stop")

    async def _follow_events(self, mpv: Mpv, events: asyncio.Queue[MpvEvent]) -> None:
        while True:
            event = await events.get()
            if event.name == "start-file":
                await self._started(mpv, event.entry)
            elif event.name == "playback-restart":
                self._first_picture()
            elif event.name == "end-file":
                if event.reason == "error" and not await self._has_output(mpv):
                    self._showing = None  # not the film's fault
                    raise MpvGone("mpv has no output: is the screen connected, and is mpv.vo the right one?")
                self._finish(event)

    async def _has_output(self, mpv: Mpv) -> bool:
        try:
            return bool(await mpv.command("get_property", "current-vo"))
        except MpvRefused:
            return False

    async def _started(self, mpv: Mpv, entry: int) -> None:
        clip = self._entries.get(entry)
        if clip is None:
            return
        self._showing, self._last = _Showing(clip=clip, entry=entry), clip
        self._entries = {entry: clip}
        if clip in self._loop:
            await self._line_up(mpv, after=clip)
        else:
            self._changed.set()  # withdrawn between being lined up and being started

    def _first_picture(self) -> None:
        showing = self._showing
        if showing and showing.started_at is None:
            showing.started_at, showing.began = self._clock.now(), self._clock.monotonic()
            self._moved_at, self._position = showing.began, None
            self.first_picture.set()
            self.trouble = ""

    def _finish(self, event: MpvEvent) -> None:
        showing = self._showing
        if showing is None or (event.entry and event.entry != showing.entry):
            return
        never_shown = showing.started_at is None
        self._ended(complete=event.reason == "eof")
        if event.reason == "error" or (event.reason == "eof" and never_shown):
            self._log.error("clip_not_playable", clip=showing.clip.key, sha256=showing.clip.sha256, error=event.error)
            self._on_broken(showing.clip)
        if not self._entries.keys() - {event.entry}:
            self._changed.set()  # nothing is lined up behind it

    def _suspect(self, clip: Clip | None) -> None:
        """A film in which mpv dies again and again must not keep the others off the screen."""
        if clip is None:
            return
        self._deaths[clip.key] += 1
        if self._deaths[clip.key] >= DEATHS_TOLERATED:
            del self._deaths[clip.key]
            self._on_broken(clip)

    def _ended(self, *, complete: bool) -> None:
        showing, self._showing = self._showing, None
        if showing is None or showing.started_at is None:
            return
        if complete:
            self._deaths.pop(showing.clip.key, None)
        if not showing.clip.item:
            return
        seconds = self._clock.monotonic() - showing.began
        self._on_play(Play(clip=showing.clip, started_at=showing.started_at, seconds=seconds, complete=complete))

    async def _line_up(self, mpv: Mpv, *, after: Clip) -> None:
        """Make the clip that follows `after` the only one that mpv has waiting."""
        await mpv.command("playlist-clear")
        if self._loop:  # it may have been emptied meanwhile
            await self._load(mpv, self._next_after(after), "append-play")

    async def _load(self, mpv: Mpv, clip: Clip, how: str) -> None:
        try:
            answer = await mpv.command("loadfile", str(clip.path), how)
        except MpvRefused as error:
            raise MpvGone(f"mpv would not load {clip.key}: {error}") from error
        if isinstance(answer, dict) and isinstance(entry := answer.get("playlist_entry_id"), int):
            self._entries[entry] = clip

    def _next_after(self, clip: Clip | None) -> Clip:
        keys = [c.key for c in self._loop]
        at = keys.index(clip.key) if clip and clip.key in keys else -1
        return self._loop[(at + 1) % len(self._loop)]

    async def _watch_progress(self, mpv: Mpv) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            position: float | None = None
            with contextlib.suppress(MpvRefused):  # between two files there is no position
                position = await mpv.command("get_property", "time-pos")
            if position != self._position or not self._loop:
                self._moved_at, self._position = self._clock.monotonic(), position
            if self._stalled:
                raise MpvGone(f"the picture stood still for {self._settings.stalled_after_s:g} s")
