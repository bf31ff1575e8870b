from pathlib import Path

from hub.media import drawing, pictures
from hub.media.tools import missing_tools


def test_nothing_is_missing_where_the_tests_run():
    assert missing_tools() == []


def test_a_missing_program_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    said = missing_tools()

    assert "The program ffmpeg is missing. Install it: apt install ffmpeg." in said
    assert "The program pdfinfo is missing. Install it: apt install poppler-utils." in said


def test_an_ffmpeg_without_its_parts_is_named(tmp_path, monkeypatch):
    poor: Path = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\necho ' V..... libx264 H.264'\n")
    poor.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    said = " ".join(missing_tools())

    assert "lacks the encoder libmp3lame" in said
    assert "libx264" not in said
    assert "lacks the filter zscale" in said


def test_pictures_that_cannot_be_drawn_are_named(tmp_path, monkeypatch):
    """A Pillow without AVIF, and no pillow-heif at all."""
    poor = tmp_path / "PIL"
    poor.mkdir()
    for module, name in drawing.DECODERS.values():
        if module.startswith("PIL."):
            (poor / f"{module.removeprefix('PIL.')}.py").write_text(
                f"SUPPORTED = {'Avif' not in name}\nclass {name}: ..."
            )
    monkeypatch.setattr(pictures, "library", lambda: (str(tmp_path),))

    said = pictures.unreadable_pictures()

    assert len(said) == 2
    assert "AVIF cannot be read" in said[0]
    assert "HEIC cannot be read" in said[1]
    assert "pillow-heif" in said[1]
