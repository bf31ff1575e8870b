from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hub.api import Asset, Fit, Rendition, VideoProfile
from hub.api.files import sha256_of
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.media.transcoder import Transcoder
from tests.hub.media.looking import Show

SCREEN = VideoProfile(width=192, height=64, fit=Fit.FILL, still_s=0.4)


@pytest.fixture
def settings() -> MediaSettings:
    return MediaSettings(keep_free_mib=16, nice=0, idle_io=False)


@pytest.fixture
def transcoder(settings: MediaSettings, tmp_path: Path) -> Transcoder:
    return Transcoder(settings, tmp_path / "renditions")


@pytest.fixture
def asset_of(settings: MediaSettings) -> Callable[[Path], Awaitable[Asset]]:
    async def make(path: Path) -> Asset:
        media = await probe(path, settings=settings)
        return Asset(sha256=sha256_of(path), path=path, original_name=path.name, media=media)

    return make


@pytest.fixture
def show(tmp_path: Path, transcoder: Transcoder, asset_of: Callable[[Path], Awaitable[Asset]]) -> Show:
    """Drop a file and make it for a screen."""

    async def make(path: Path, profile: VideoProfile = SCREEN) -> Rendition:
        (made,) = await transcoder.make(await asset_of(path), [profile])
        assert isinstance(made, Rendition), made
        return made

    return make
