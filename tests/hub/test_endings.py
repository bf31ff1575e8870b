"""A file that was cut off says so by itself, without being decoded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hub.endings import Missing, keeps_its_end_to_itself, missing_end, unwritten_end
from hub.media import samples

FASTSTART = ("-pix_fmt", "yuv420p", "-movflags", "+faststart")
FRAGMENTS = ("-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov")


def video(**options: object) -> Callable[[Path], object]:
    return lambda path: samples.make_video(path, 1.0, (96, 64), **options)  # type: ignore[arg-type]


def heic(path: Path) -> None:
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(path)


MAKERS: dict[str, Callable[[Path], object]] = {
    "a.mp4": video(),
    "depan.mp4": video(video_options=FASTSTART),
    "potongan.mp4": video(video_options=FRAGMENTS),
    "a.mov": video(),
    "a.mkv": video(),
    "a.avi": video(),
    **{f"a.{ending}": samples.make_audio for ending in ("wav", "mp3", "ogg", "aiff")},
    "sampul.mp3": samples.make_covered_audio,
    **{f"p.{ending}": samples.make_poster for ending in ("png", "jpg", "webp", "gif", "bmp")},
    "progresif.jpg": lambda path: Image.effect_noise((64, 64), 50).save(path, progressive=True),
    "a.heic": heic,
    "a.pdf": lambda path: samples.make_pdf(path, 3),
}


def lacks(path: Path, data: bytes) -> Missing | None:
    path.write_bytes(data)
    with path.open("rb") as file:
        return missing_end(file.fileno())


@pytest.mark.parametrize("name", MAKERS)
def test_a_whole_file_has_its_end_and_a_cut_one_lacks_it(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()

    assert lacks(tmp_path / "seluruhnya", whole) is None
    for percent in (2, 25, 50, 75, 97):
        assert lacks(tmp_path / "terpotong", whole[: len(whole) * percent // 100]), percent


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "p.png", "p.jpg", "progresif.jpg", "p.gif", "a.pdf"])
def test_where_the_end_has_a_mark_zeros_in_its_place_do_not_pass_for_it(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()

    assert lacks(tmp_path / "dipesan", whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


@pytest.mark.parametrize("name", ["a.flac", "a.ts", "p.tiff", "a.aac", "a.flv", "a.wmv", "polos.mp3"])
def test_a_kind_that_looks_the_same_half_and_whole_is_known_as_such(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "polos.mp3":
        samples.make_audio(path, 1.0)
        path.write_bytes(path.read_bytes().replace(b"Xing", bytes(4)).replace(b"Info", bytes(4)))
    elif path.suffix in (".flac", ".aac"):
        samples.make_audio(path, 1.0)
    else:
        (samples.make_poster if path.suffix == ".tiff" else video())(path)

    with path.open("rb") as file:
        assert keeps_its_end_to_itself(file.fileno())


@pytest.mark.parametrize("name", MAKERS)
def test_a_kind_that_tells_its_end_is_not_held_up(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path / name)

    with (tmp_path / name).open("rb") as file:
        assert not keeps_its_end_to_itself(file.fileno())


def test_it_says_how_much_is_there(tmp_path: Path) -> None:
    whole = samples.make_audio(tmp_path / "a.wav", 1.0).read_bytes()

    missing = lacks(tmp_path / "b.wav", whole[: len(whole) // 2])

    assert missing == Missing(have=len(whole) // 2, wanted=len(whole))
    assert missing.percent == 50


def test_what_phones_append_to_a_picture_is_no_missing_end(tmp_path: Path) -> None:
    whole = samples.make_poster(tmp_path / "a.jpg").read_bytes()

    assert lacks(tmp_path / "b.jpg", whole + b"SEFT" * 5000) is None


@pytest.mark.parametrize(
    "data",
    [
        b"Judul: Imbauan\n",
        b"",
        b"\x1aE\xdf\xa3",
        b"RIFF\xff\xff\xff\xffWAVE" + bytes(50),
        b"\xff\xfb\x90\x64" + bytes(500),
        b"fLaC" + bytes(50),
    ],
    ids=["text", "empty", "no segment yet", "written to a pipe", "mp3 without a table", "flac"],
)
def test_what_does_not_tell_is_not_held_up(data: bytes, tmp_path: Path) -> None:
    assert lacks(tmp_path / "x", data) is None


@settings(max_examples=200, deadline=None)
@given(
    head=st.sampled_from([b"\0\0\0\x08ftyp", b"RIFF", b"RF64", b"FORM", b"\x1aE\xdf\xa3", b"OggS", b"ID3\4\0\0",
                          b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF8", b"%PDF-", b"\xff\xfb"]),
    rest=st.binary(max_size=300),
)  # fmt: skip
def test_no_bytes_make_it_stumble(head: bytes, rest: bytes) -> None:
    fd = os.memfd_create("siarhub-test")
    try:
        os.write(fd, head + rest)
        missing = missing_end(fd)
        assert missing is None or missing.have == len(head + rest)
    finally:
        os.close(fd)


def test_boxes_without_end_are_not_counted_to_the_last(tmp_path: Path) -> None:
    box = b"\0\0\0\x08free"

    assert lacks(tmp_path / "a.mp4", box * 100)
    assert lacks(tmp_path / "b.mp4", box * 100_000) is None


def test_an_end_that_was_only_reserved_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(b"G" * 8192)
    with path.open("rb+") as file:
        assert unwritten_end(file.fileno()) is None

        file.truncate(1 << 20)

        missing = unwritten_end(file.fileno())
        if missing is None:
            pytest.skip("this file system does not tell holes")
        assert missing.percent == 0
        file.seek(0)
        file.write(b"G" * (1 << 20))
        file.flush()
        assert unwritten_end(file.fileno()) is None
