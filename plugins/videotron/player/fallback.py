"""What is on the screen when nothing else may be: a calm gradient, or the film that the settings name. Never black."""

from __future__ import annotations

from pathlib import Path

from hub.api.files import fsync_folder
from plugins.videotron.player.mpv import make_film
from plugins.videotron.player.playback import Clip
from plugins.videotron.player.settings import PlayerSettings

SECONDS = 10


async def fallback_clip(settings: PlayerSettings) -> Clip:
    """The clip to show when the play list gives nothing; made by mpv at the first start and kept.

    Raises: MpvGone, OSError when it cannot be made.
    """
    if settings.fallback is not None and settings.fallback.is_file():
        return Clip(key="fallback", path=settings.fallback)
    width, height = (n - n % 2 for n in (settings.screen.width, settings.screen.height))
    path = settings.state_dir / f"fallback-{width}x{height}.mp4"
    if not path.exists():
        await _make(settings, width, height, path)
    return Clip(key="fallback", path=path)


async def _make(settings: PlayerSettings, width: int, height: int, path: Path) -> None:
    colours = "c0=0x0b2d4d:c1=0x0f6b5c:n=2:speed=0.00001"
    corners = f"x0=0:y0=0:x1={width - 1}:y1={height - 1}"
    temporary = path.with_name(f".{path.stem}.tmp.mp4")
    source = f"gradients=s={width}x{height}:{colours}:{corners}:r=25:d={SECONDS}"
    await make_film(settings.mpv, source, temporary)
    temporary.replace(path)
    fsync_folder(path.parent)
