from pathlib import Path

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
