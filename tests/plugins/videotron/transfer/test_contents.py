"""A rendition that the hub has removed is no trap: it is missed, said so, and taken again when it is back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hub.api import Rendition, VideoProfile
from hub.api.files import sha256_of
from hub.testing import make_asset, make_media
from plugins.videotron.transfer.contents import Library

BLOCK = 4096


async def test_a_rendition_removed_under_a_transfer_is_an_error_of_that_file_alone(tmp_path: Path) -> None:
    library, gone, kept = Library(BLOCK), rendition(tmp_path / "gone.mp4"), rendition(tmp_path / "kept.mp4")
    content, other = await library.load(gone, site="an-office"), await library.load(kept, site="an-office")

    gone.path.unlink()  # as the hub's housekeeping does, long after the item has ended

    with pytest.raises(OSError, match="gone"):
        content.read(0)
    assert other.read(0) == [b"k" * BLOCK]
    with pytest.raises(OSError, match="gone"):
        await library.load(gone, site="an-office")
    rendition(gone.path)
    assert (await library.load(gone, site="an-office")).read(0) == [b"g" * BLOCK]


def rendition(path: Path) -> Rendition:
    path.write_bytes(path.name[:1].encode() * 2 * BLOCK)
    media = replace(make_media(), size_bytes=2 * BLOCK)
    profile = VideoProfile(width=64, height=48)
    return Rendition(asset=make_asset().sha256, profile=profile, path=path, sha256=sha256_of(path), media=media)
