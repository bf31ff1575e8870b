"""The sounds that the playout may air are the radio's own, whatever becomes of the hub's renditions."""

from __future__ import annotations

from pathlib import Path

from hub.api.files import sha256_of
from plugins.radio import media


def test_a_placed_sound_outlives_the_rendition_that_it_was_made_of(tmp_path: Path) -> None:
    rendition = tmp_path / "rendition.wav"
    rendition.write_bytes(b"sound")
    digest = sha256_of(rendition)
    placed = media.place(rendition, digest, tmp_path / "media")

    rendition.unlink()  # as the hub's housekeeping does

    assert media.is_whole(placed, digest)
