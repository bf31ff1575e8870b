"""A whole player that is killed, as seen on its output."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

RESTARTED_AFTER_S = 0.2  # by systemd, as its unit says


async def test_a_killed_player_leaves_the_screen_dark_for_less_than_three_seconds(
    hub: Any, command: Any, films: Any, recording: Any, colours: Any, display: str, eventually: Any
) -> None:
    config = command.config.read_text().replace('vo = "null"', 'vo = "x11"')
    config = config.replace("width = 64", "width = 320").replace("height = 48", "height = 180")
    command.config.write_text(config.replace(str(films["long"].path), str(colours["white"])))
    command.start()

    async with recording() as recorded:
        await eventually(lambda: recorded.seen[-1] == "white")
        before = recorded.black
        command.end(signal.SIGKILL)
        await asyncio.sleep(RESTARTED_AFTER_S)
        command.start()
        await eventually(lambda: recorded.black > before)
        await eventually(lambda: recorded.seen[-1] == "white")

    command.end()
    assert recorded.black - before < 300  # of a hundred a second
