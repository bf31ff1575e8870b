"""What a rendition shows, judged by the colours of single points."""

import io
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hub.api import Rendition

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 180, 60), (30, 60, 200), (230, 220, 40)
CORNERS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)

Show = Callable[..., Awaitable[Rendition]]


def picture(path: Path, at_s: float = 0.0) -> np.ndarray:
    """One picture of a clip as a player shows it: rows, columns, RGB."""
    command = ["ffmpeg", "-v", "error", "-ss", str(at_s), "-i", path, "-frames:v", "1", "-f", "image2pipe"]
    data = subprocess.run([*command, "-c:v", "ppm", "-"], check=True, capture_output=True).stdout
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


def frames_of(path: Path) -> int:
    command = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
        "-of",
        "csv=p=0",
    ]
    return int(subprocess.run([*command, path], check=True, capture_output=True).stdout)


def corners(path: Path, at_s: float = 0.0) -> list[tuple[int, ...]]:
    """The colours in the middle of each quarter, rounded to those of CORNERS where they are near."""
    shown = picture(path, at_s)
    height, width = shown.shape[:2]
    places = [(height // 4, width // 4), (height // 4, width * 3 // 4)]
    places += [(height * 3 // 4, width // 4), (height * 3 // 4, width * 3 // 4)]
    return [nearest(shown[place]) for place in places]


def nearest(pixel: Sequence[int], tolerance: int = 14) -> tuple[int, ...]:
    for colour in (*CORNERS, BLACK, WHITE, GREY):
        if np.abs(np.array(pixel) - colour).max() <= tolerance:
            return colour
    return tuple(int(value) for value in pixel)


def quarters(size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Image.Image:
    """A picture of four colours, so that any turn and any mirror shows."""
    made = Image.new("RGB", size)
    width, height = size
    for (x, y), colour in zip(((0, 0), (1, 0), (0, 1), (1, 1)), CORNERS, strict=True):
        box = (x * width // 2, y * height // 2, (x + 1) * width // 2 - 1, (y + 1) * height // 2 - 1)
        ImageDraw.Draw(made).rectangle(box, fill=colour)
    return made.quantize(8) if mode == "P" else made.convert(mode)
