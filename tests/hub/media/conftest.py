from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hub.api import Asset
from hub.api.files import sha256_of
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.media.transcoder import Transcoder


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
