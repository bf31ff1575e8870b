"""What the screen of a player shows that is nobody's: its code, in letters of ours, on black."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from plugins.videotron.player.cancelling import never_losing_a_cancellation
from plugins.videotron.player.mpv import Mpv, MpvEvent, MpvGone, MpvRefused
from plugins.videotron.player.ports import Log
from plugins.videotron.player.settings import MpvSettings, ScreenSettings
from plugins.videotron.protocol.enrolment import Size

LOOK_EVERY_S = 1.0
START_AGAIN_S = 3.0
OVERLAY = 1
LETTER = 0.62  # width of a letter, in font sizes; a little more than any monospaced font has


class EnrolScreen:
    """Shows the code for ever; `output` is what mpv says of the output's size, None while it does not."""

    def __init__(
        self, *, mpv: MpvSettings, screen: ScreenSettings, code: Callable[[], str], minutes: Callable[[], int], log: Log
    ) -> None:
        self._settings = mpv
        self._screen = screen
        self._code = code
        self._minutes = minutes
        self._log = log
        self._trouble = ""
        self.output: Size | None = None

    async def run(self) -> None:
        """Until cancelled. mpv may end as often as it likes."""
        while True:
            trouble = await never_losing_a_cancellation(self._show())
            if trouble != self._trouble:
                self._log.warning("enrolment_code_not_shown", reason=trouble)
            self._trouble, self.output = trouble, None
            await asyncio.sleep(START_AGAIN_S)

    async def _show(self) -> str:
        """Why it is not shown any longer."""
        reason = ""
        try:
            mpv = await Mpv.start(self._settings, self._screen)
        except MpvGone as gone:
            return str(gone)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(mpv.listen(asyncio.Queue[MpvEvent]()), name="code: mpv")
                group.create_task(self._draw(mpv), name="code: draw")
        except* (MpvGone, MpvRefused) as failed:
            reason = str(failed.exceptions[0])
        finally:
            await mpv.stop()
        return reason

    async def _draw(self, mpv: Mpv) -> None:
        drawn = ""
        while True:
            width = int(await mpv.command("get_property", "osd-width") or 0)
            height = int(await mpv.command("get_property", "osd-height") or 0)
            if width and height:
                self.output = Size(width=min(width, 16384), height=min(height, 16384))
                text = code_picture(self._code(), self._minutes(), self._lit(width, height))
                if text != drawn:
                    await mpv.command("osd-overlay", OVERLAY, "ass-events", text, width, height)
                    drawn = text
            await asyncio.sleep(LOOK_EVERY_S)

    def _lit(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of the output that the screen shows, as far as the settings say: x, y, width, height."""
        x, y = min(self._screen.x, width - 1), min(self._screen.y, height - 1)
        return x, y, min(self._screen.width, width - x), min(self._screen.height, height - y)


def code_picture(code: str, minutes: int, lit: tuple[int, int, int, int]) -> str:
    """The code as large as it fits there, in one, two or four lines, and how long it lasts: events of ASS."""
    x, y, width, height = lit
    groups = code.split("-")
    ways = [["-".join(groups)], ["-".join(groups[:2]), "-".join(groups[2:])], groups]
    size, lines = max(((_size(way, width, height), way) for way in ways), key=lambda found: found[0])
    text = r"\N".join(lines)
    small = max(8, size // 3)
    style = rf"{{\an5\pos({x + width // 2},{y + height // 2})\bord0\shad0\fnDejaVu Sans Mono\1c&HFFFFFF&\fs{size}}}"
    return rf"{style}{text}\N{{\fs{small}}}Siar Hub  {minutes} min"


def _size(lines: list[str], width: int, height: int) -> int:
    """Of the font: 9/10 of the width for the longest line, 9/10 of the height for all and the small one."""
    longest = max(len(line) for line in lines)
    return int(min(0.9 * width / (LETTER * longest), 0.9 * height / (len(lines) + 0.5) / 1.2))
