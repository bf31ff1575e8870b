"""A JPEG from outside is decoded in a process that can do nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from plugins.videotron.screenshots import darkroom
from plugins.videotron.screenshots.developing import NoPicture, develop, frames_around, still_of


def jpeg(width: int = 96, height: int = 54, kind: str = "JPEG", **options: object) -> bytes:
    drawn = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(drawn, kind, **options)
    return drawn.getvalue()


async def test_a_good_picture_comes_back_drawn_anew():
    sent = jpeg(comment=b"whatever a player wants to say")

    developed = await develop(sent, width=96, height=54)

    assert b"whatever" in sent
    assert b"whatever" not in developed.jpeg
    assert Image.open(io.BytesIO(developed.jpeg)).size == (96, 54)
    assert developed.picture.contrast > 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff" + bytes(500),
        jpeg()[:400],
        jpeg(kind="PNG"),
        jpeg(kind="GIF"),
        jpeg(97, 54),
        jpeg(4000, 4000, quality=1),
        jpeg() + bytes(500_000),
    ],
    ids=["nothing", "zeros", "cut", "png", "gif", "other size", "bomb", "endless"],
)
async def test_what_is_not_the_promised_jpeg_is_refused(data):
    with pytest.raises(NoPicture):
        await develop(data, width=96, height=54)


FORBIDDEN = {
    "open a file": "open('/etc/passwd')",
    "write a file": "os.open('/tmp/x', os.O_CREAT | os.O_WRONLY)",
    "start a process": "os.fork()",
    "become another program": "os.execv('/bin/true', ['true'])",
    "reach the network": "socket.socket()",
    "end another process": "os.kill(os.getppid(), 0)",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_darkroom_gives_up_the_right_to(what):
    code = (
        f"import sys, os, socket; sys.path.insert(0, {str(Path(darkroom.__file__).parent)!r})\n"
        f"import darkroom; darkroom.give_up_rights()\n"
        f"try: {FORBIDDEN[what]}\n"
        "except OSError as error: os.write(1, str(error.errno).encode())\n"
        "else: os.write(1, b'it could')\n"
    )

    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=20)

    assert done.stdout in {b"1", b"24"}, done  # EPERM, EMFILE


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-t", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(path)], check=True)
    return path


@pytest.mark.parametrize(("position", "frames"), [(0.0, 15), (1.0, 30), (1.9, 18)])
async def test_the_frames_around_a_position_come_from_our_own_film(film, position, frames):
    assert abs(len(await frames_around(film, position)) - frames) <= 1


async def test_a_position_beyond_the_film_has_no_picture(film, tmp_path):
    with pytest.raises(NoPicture):
        await frames_around(film, 99.0)
    with pytest.raises(NoPicture):
        await frames_around(tmp_path / "gone.mp4", 0.0)


async def test_a_still_has_the_size_that_was_asked_for(film):
    assert Image.open(io.BytesIO(await still_of(film, 1.0, width=32, height=24))).size == (32, 24)
