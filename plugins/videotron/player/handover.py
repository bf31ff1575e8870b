"""From one mpv to the next without a gap: the last picture of one stays until the first of the other lies over it."""

from __future__ import annotations

import asyncio
import os

from plugins.videotron.player.display import on_drm
from plugins.videotron.player.mpv import Mpv, MpvGone
from plugins.videotron.player.settings import MpvSettings

HELD_AT_MOST_S = 5.0
OVER_IT_S = 0.3  # until a new window surely lies over the old one


class Handover:
    """Keeps at most one mpv that has done its work."""

    def __init__(self, settings: MpvSettings) -> None:
        self._settings = settings
        self._held: Mpv | None = None

    @property
    def possible(self) -> bool:
        """Whether two mpv may be on the display at once: never under DRM, which has one master."""
        windows = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
        return self._settings.vo == "null" or (windows and not on_drm(self._settings))

    @property
    def under_way(self) -> bool:
        return self._held is not None

    async def hold(self, mpv: Mpv) -> None:
        """Keep this one, with the picture that it shows; one that was kept before ends."""
        await self.release()
        self._held = mpv

    async def finish(self, successor: Mpv, shows: asyncio.Event) -> None:
        """End the one that is kept once its successor shows a picture. Raises: MpvGone when it shows none."""
        if self._held is None:
            return
        try:
            async with asyncio.timeout(HELD_AT_MOST_S):
                await shows.wait()
        except TimeoutError as error:
            raise MpvGone("the next mpv showed no picture") from error
        await asyncio.sleep(OVER_IT_S)
        await self.release()
        await successor.command("set_property", "force-window", "immediate")

    async def release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await held.stop()
