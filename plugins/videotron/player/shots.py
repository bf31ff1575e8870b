"""What really stands on the screen, as a small signed picture: when the hub asks, and now and then by itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.videotron.player.geometry import picture_size
from plugins.videotron.player.mpv import MpvGone, MpvRefused
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.settings import ScreenSettings
from plugins.videotron.protocol import Shot, Signs, encode_signed

MOST_SIDE = 480
MOST_BYTES = 60 * 1024
QUALITIES = (60, 45, 30, 20)
TINY_PIXELS = 128 * 128  # a picture so small is sent as it is: its colours must not run
AT_MOST_EVERY_S = 10.0
FIRST_WITHIN_S = 120.0
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the player means to show."""

    shows: str  # of `protocol.Shows`
    item: str = ""
    cid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A picture that fits into a message."""

    jpeg: bytes
    width: int
    height: int


class Shooter:
    """`take` puts the picture of now into a file and returns the place in the film; `publish` says whether it went."""

    def __init__(
        self,
        *,
        player: str,
        boot: str,
        folder: Path,
        screen: ScreenSettings,
        every_min: float,
        take: Callable[[Path], Awaitable[float]],
        standing: Callable[[], Standing],
        publish: Callable[[bytes], Awaitable[bool]],
        identity: Signs,
        clock: Clock,
        log: Log,
    ) -> None:
        self._player = player
        self._boot = boot
        self._path = folder / "shot.jpg"
        self._screen = screen
        self._every_s = every_min * 60
        self._take = take
        self._standing = standing
        self._publish = publish
        self._identity = identity
        self._clock = clock
        self._log = log
        self._command = 0  # that waits for its picture
        self._asked = asyncio.Event()
        self._sent_at = float("-inf")

    def ask(self, command: int) -> None:
        """Send a picture as soon as one may be sent; `command` is the counter of who asked."""
        self._command = max(command, self._command)
        self._asked.set()

    async def run(self) -> None:
        """Take pictures until cancelled."""
        due = self._clock.monotonic() + random.uniform(0.2, 1) * min(FIRST_WITHIN_S, self._every_s)  # noqa: S311
        while True:
            await self._until(due if self._every_s else None)
            await asyncio.sleep(max(0.0, self._sent_at + AT_MOST_EVERY_S - self._clock.monotonic()))
            command, self._command = self._command, 0
            self._asked.clear()
            await self._shoot(command)
            if self._clock.monotonic() >= due:
                due = self._clock.monotonic() + self._every_s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads players

    async def _until(self, due: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock.monotonic())):
                await self._asked.wait()

    async def _shoot(self, command: int) -> None:
        try:
            shot = await self._picture(command)
        except (MpvGone, MpvRefused, OSError, ValueError) as error:
            self._log.warning("screenshot_was_not_taken", command=command, reason=str(error)[:300])
            return
        self._sent_at = self._clock.monotonic()
        sent = await self._publish(encode_signed(shot, self._identity))
        self._log.info("screenshot_was_sent", command=command, item=shot.item, sent=sent, bytes=len(shot.jpeg))

    async def _picture(self, command: int) -> Shot:
        """Of one film, not of the moment at which it changed."""
        for _ in range(TRIES):
            before = self._standing()
            position = await self._take(self._path)
            at = self._clock.now()
            if before == self._standing():
                break
        small = await asyncio.to_thread(shrink, self._path, self._screen)
        return Shot(
            player=self._player,
            boot=self._boot,
            at=at,
            command=command,
            shows=before.shows,
            item=before.item or None,
            cid=before.cid or None,
            position=min(max(position, 0.0), 86400.0),
            width=small.width,
            height=small.height,
            jpeg=base64.b64encode(small.jpeg).decode(),
        )


def shrink(path: Path, screen: ScreenSettings) -> Small:
    """The screen's part of a picture of the whole output, unfolded, small enough to send; the file is deleted. Blocks.

    Raises: OSError, ValueError when it is no picture.
    """
    from PIL import Image  # a tenth of a second and ten megabytes that only pictures need

    try:
        with Image.open(path, formats=("JPEG", "PNG")) as whole:
            picture = canvas(whole.convert("RGB"), screen)
    finally:
        path.unlink(missing_ok=True)
    picture.thumbnail((MOST_SIDE, MOST_SIDE))
    if picture.width * picture.height <= TINY_PIXELS:
        return Small(jpeg=_jpeg(picture, 90, subsampling=0), width=picture.width, height=picture.height)
    while True:
        for quality in QUALITIES:
            if len(jpeg := _jpeg(picture, quality)) <= MOST_BYTES:
                return Small(jpeg=jpeg, width=picture.width, height=picture.height)
        picture.thumbnail((max(1, picture.width // 2), max(1, picture.height // 2)))


def canvas(picture: Any, screen: ScreenSettings) -> Any:
    """The film's own rectangle of a picture of the output, its strips back in their places."""
    width, height = picture_size(screen)
    right, bottom = screen.x + width, screen.y + height
    if picture.size != (width, height) and right <= picture.width and bottom <= picture.height:
        picture = picture.crop((screen.x, screen.y, right, bottom))
    if not screen.strips:
        return picture
    unfolded = picture.resize((screen.width, screen.height))
    unfolded.paste((0, 0, 0), (0, 0, screen.width, screen.height))
    for strip in screen.strips:
        piece = (strip.to_x, strip.to_y, strip.to_x + strip.width, strip.to_y + strip.height)
        unfolded.paste(picture.crop(piece), (strip.x, strip.y))
    return unfolded


def _jpeg(picture: Any, quality: int, *, subsampling: int = 2) -> bytes:
    drawn = io.BytesIO()
    picture.save(drawn, "JPEG", quality=quality, subsampling=subsampling)
    return drawn.getvalue()
