"""What is on the screen when nothing else may be: a calm gradient, or the film that the settings name. Never black."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hub.api.files import fsync_folder, sha256_of, write_atomically
from plugins.videotron.player.clips import Clip
from plugins.videotron.player.command import start_of
from plugins.videotron.player.mpv import MpvGone
from plugins.videotron.player.ports import Log
from plugins.videotron.player.settings import MpvSettings, PlayerSettings

FRAMES = 100  # four seconds
MAKE_WITHIN_S = 60
TRY_AGAIN_S = 5.0


class Fallback:
    """Holds `clip` ready from the first start on; `on_ready` is told when there is one, or another one."""

    def __init__(self, settings: PlayerSettings, *, log: Log, on_ready: Callable[[Clip], None]) -> None:
        self._settings = settings
        self._log = log
        self._on_ready = on_ready
        self._spoiled = asyncio.Event()
        self._distrusted: Path | None = None
        self.clip: Clip | None = None

    def spoiled(self) -> None:
        """It could not be shown: another one is made."""
        if self.clip is not None:
            self._distrusted = self.clip.path
            self._spoiled.set()

    async def run(self) -> None:
        """Make it, and make it anew when it is spoiled or could not be made, until cancelled."""
        while True:
            self._spoiled.clear()
            try:
                self.clip = await fallback_clip(self._settings, distrusted=self._distrusted)
                self._on_ready(self.clip)
            except (MpvGone, OSError) as error:
                self._log.error("fallback_missing", reason=str(error))
            await self._until_it_is_needed()

    async def _until_it_is_needed(self) -> None:
        if self.clip is not None:
            await self._spoiled.wait()
            self._log.error("fallback_not_playable", path=str(self._distrusted))
        await asyncio.sleep(TRY_AGAIN_S)


async def fallback_clip(settings: PlayerSettings, *, distrusted: Path | None = None) -> Clip:
    """The clip to show when nothing else may be; made by mpv at the first start, and again when it is spoiled.

    `distrusted` could not be shown, whatever its bytes say. Raises: MpvGone, OSError when none can be made.
    """
    if settings.fallback is not None and settings.fallback != distrusted and settings.fallback.is_file():
        return Clip(key="fallback", path=settings.fallback)
    width, height = (n - n % 2 for n in (settings.screen.width, settings.screen.height))
    name = f"fallback-{width}x{height}.mp4"
    path = settings.state_dir / name
    if path != distrusted and await asyncio.to_thread(_is_right, path):
        return Clip(key="fallback", path=path)
    try:
        await _make(settings.mpv, width, height, path)
    except (MpvGone, OSError):  # a full disk, or one that is read-only now: the memory of the machine will do
        path = Path(tempfile.gettempdir()) / f"siarhub-{settings.player}-{name}"
        await _make(settings.mpv, width, height, path)
    return Clip(key="fallback", path=path)


def _is_right(path: Path) -> bool:
    """Whether the film is the one that was made: its hash lies beside it."""
    try:
        return _hash_beside(path).read_text(encoding="ascii").strip() == sha256_of(path)
    except (OSError, UnicodeDecodeError):
        return False


def _hash_beside(path: Path) -> Path:
    return path.with_suffix(".sha256")


async def _make(mpv: MpvSettings, width: int, height: int, path: Path) -> None:
    temporary = path.with_name(f".{path.stem}.tmp.mp4")
    corners = f"x0=0:y0=0:x1={width - 1}:y1={height - 1}"
    picture = f"gradients=s={width}x{height}:c0=0x0b2d4d:c1=0x0f6b5c:n=2:speed=0.00001:{corners}:r=25:d=0.04"
    # One picture is drawn and then repeated: a first start waits less than a second for it.
    await make_film(mpv, f"{picture},format=yuv420p,loop=loop={FRAMES - 1}:size=1", temporary)
    await asyncio.to_thread(_keep, temporary, path)


def _keep(temporary: Path, path: Path) -> None:
    fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    _hash_beside(path).unlink(missing_ok=True)
    temporary.replace(path)
    fsync_folder(path.parent)
    write_atomically(_hash_beside(path), f"{sha256_of(path)}\n".encode())


async def make_film(mpv: MpvSettings, source: str, target: Path) -> None:
    """Let mpv itself encode a lavfi source to an MP4 without sound, so that the player needs no ffmpeg program.

    Raises: MpvGone when it fails; OSError when the disk is why.
    """
    await asyncio.to_thread(target.write_bytes, b"")  # says at once, and why, when the folder cannot be written
    argv = [*await asyncio.to_thread(start_of, mpv), "--demuxer-lavf-format=lavfi", "--no-audio", f"--o={target}"]
    argv += ["--of=mp4", "--ovc=libx264", "--ovcopts=preset=ultrafast", "--vf=format=yuv420p", f"av://lavfi:{source}"]
    devnull = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*argv, stdin=devnull, stdout=devnull, stderr=devnull)
    try:
        async with asyncio.timeout(MAKE_WITHIN_S):
            code = await process.wait()
    except TimeoutError as error:
        raise MpvGone(f"mpv did not make {target.name} within {MAKE_WITHIN_S} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise MpvGone(f"mpv could not make {target.name} (exit code {code})")
