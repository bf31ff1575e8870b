"""How mpv is: where it is in the film, what it drops, how much memory it holds, and whether the picture moves."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.videotron.player.mpv import Mpv, MpvRefused

MB = 1 << 20
FIELDS = (
    "time-pos",
    "duration",
    "frame-drop-count",
    "decoder-frame-drop-count",
    "hwdec-current",
    "current-vo",
    "osd-width",
    "osd-height",
)
QUESTION = "|".join(f"${{={field}}}" for field in FIELDS)
DRAWN = "vo/video-draw/cpu"  # time spent on drawing pictures since it was last asked for: 0 = none was drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """How mpv was when it was last asked, about a second ago at most."""

    position_s: float | None = None  # in the film; None between two, and while nothing is shown
    duration_s: float | None = None  # of the film, as its container says
    dropped_by_output: int = 0  # frames, since the player started: too late for the screen
    dropped_by_decoder: int = 0
    hwdec: str = ""  # the hardware decoder in use, or no
    output: str = ""  # mpv's current-vo; "" = none could be opened
    width: int = 0  # of the output, in pixels
    height: int = 0
    memory_mb: float = 0.0  # of the mpv process
    drew: bool | None = None  # whether a picture was drawn since the last look; None = mpv cannot tell


class Gauge:
    """Reads the vitals of one mpv; what it dropped is added up, for mpv counts from 0 again with each film."""

    def __init__(self, mpv: Mpv, before: Vitals) -> None:
        self._mpv = mpv
        self._by_output = _Sum(before.dropped_by_output)
        self._by_decoder = _Sum(before.dropped_by_decoder)

    async def read(self) -> Vitals:
        """The vitals now. Raises: MpvGone when mpv does not answer."""
        said = str(await self._mpv.command("expand-text", QUESTION)).split("|")
        facts = {field: _number(text) for field, text in zip(FIELDS, said, strict=False)}
        words = {field: _word(text) for field, text in zip(FIELDS, said, strict=False)}
        return Vitals(
            position_s=facts.get("time-pos"),
            duration_s=facts.get("duration"),
            dropped_by_output=self._by_output.add(int(facts.get("frame-drop-count") or 0)),
            dropped_by_decoder=self._by_decoder.add(int(facts.get("decoder-frame-drop-count") or 0)),
            hwdec=words.get("hwdec-current", ""),
            output=words.get("current-vo", ""),
            width=int(facts.get("osd-width") or 0),
            height=int(facts.get("osd-height") or 0),
            memory_mb=await asyncio.to_thread(resident_mb, self._mpv.pid),
            drew=await self._drew(),
        )

    async def _drew(self) -> bool | None:
        try:
            parts: Any = await self._mpv.command("get_property", "perf-info")
        except MpvRefused:
            return None
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and part.get("name") == DRAWN:
                return bool(part.get("value"))
        return None


class _Sum:
    def __init__(self, total: int) -> None:
        self._total = total
        self._last = 0

    def add(self, count: int) -> int:
        self._total += count - self._last if count >= self._last else count
        self._last = count
        return self._total


class Progress:
    """How long the picture has not moved: both the place in the film and what is drawn must."""

    def __init__(self, now: float) -> None:
        self._moved_at = self._drawn_at = now
        self._position: float | None = None
        self._tells = False

    def began(self, now: float) -> None:
        """A film's first picture is out."""
        self._moved_at, self._position = now, None

    def rest(self, now: float) -> None:
        """Nothing is to move now."""
        self._moved_at = self._drawn_at = now

    def note(self, now: float, *, position: float | None, drew: bool | None) -> None:
        if position != self._position:
            self._moved_at, self._position = now, position
        self._tells = self._tells or drew is not None
        if drew or not self._tells:
            self._drawn_at = now

    def still_s(self, now: float) -> float:
        return now - min(self._moved_at, self._drawn_at)


def resident_mb(pid: int, proc: Path = Path("/proc")) -> float:
    """The memory that this process holds; 0 when it is gone. Blocks."""
    try:
        pages = int((proc / str(pid) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _word(text: str) -> str:
    return "" if text.startswith("(") else text  # "(unavailable)", "(error)"
