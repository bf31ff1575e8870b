"""Whether two pictures show the same: pure functions on 32 x 32 pixels of RGB, which is how all are compared.

Three measures, because each is blind to something: the perceptual hash sees shapes and no colours, the mean difference
sees colours and overlooks a small cover, the worst cells see that cover. Thresholds: see `LIMITS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

SIDE = 32
BYTES = SIDE * SIDE * 3
CELLS = 8  # a side
WORST = 6  # of the 64 cells
BLACK_LUMA = 20  # of 255; video black comes out of a decoder at up to 16
NOISE = 200.0  # of a frequency: JPEG and scaling move it by half of this at most
FLAT = 6.0  # standard deviation of the brightness below which a picture has no shapes to hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two pictures are apart; `hash_bits` is None when one of them has no shapes."""

    hash_bits: int | None  # of 64
    mean: float  # of the colours, 0 to 255
    worst: float  # the same in the cells that differ most

    @property
    def score(self) -> float:
        """The largest of the three in parts of its limit: above 1 the pictures are different ones."""
        bits = 0.0 if self.hash_bits is None else self.hash_bits / LIMITS.hash_bits
        return max(bits, self.mean / LIMITS.mean, self.worst / LIMITS.worst)

    @property
    def same(self) -> bool:
        return self.score <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    hash_bits: float
    mean: float
    worst: float


LIMITS = _Limits(hash_bits=14, mean=14.0, worst=30.0)


class Picture:
    """32 x 32 pixels of RGB, with what is computed from them."""

    __slots__ = ("cells", "contrast", "luma", "waves")

    def __init__(self, rgb: bytes) -> None:
        """Raises: ValueError when it is not 3072 bytes."""
        if len(rgb) != BYTES:
            raise ValueError(f"a picture of {len(rgb)} bytes, not {BYTES}")
        self.luma = _luma(rgb)
        self.cells = _cells(rgb)
        mean = sum(self.luma) / len(self.luma)
        self.contrast = math.sqrt(sum((value - mean) ** 2 for value in self.luma) / len(self.luma))
        self.waves = _spectrum(self.luma)

    @property
    def black(self) -> bool:
        """Whether hardly anything in it is brighter than black (one pixel in a hundred may be)."""
        return sorted(self.luma)[-len(self.luma) // 100] <= BLACK_LUMA


def difference(one: Picture, other: Picture) -> Difference:
    cells = sorted(
        sum(abs(a - b) for a, b in zip(x, y, strict=True)) / 3 for x, y in zip(one.cells, other.cells, strict=True)
    )
    flat = one.contrast < FLAT or other.contrast < FLAT
    return Difference(
        hash_bits=None
        if flat
        else sum(x * y < 0 and abs(x - y) > NOISE for x, y in zip(one.waves, other.waves, strict=True)),
        mean=sum(cells) / len(cells),
        worst=sum(cells[-WORST:]) / WORST,
    )


def nearest(shot: Picture, frames: Sequence[Picture]) -> tuple[int, Difference]:
    """Which of the frames is the most like it (there must be one), and how far it is away."""
    found = [difference(shot, frame) for frame in frames]
    best = min(range(len(found)), key=lambda index: found[index].score)
    return best, found[best]


def _luma(rgb: bytes) -> list[float]:
    return [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in zip(rgb[0::3], rgb[1::3], rgb[2::3], strict=True)]


def _cells(rgb: bytes) -> list[tuple[float, float, float]]:
    size = SIDE // CELLS
    found = []
    for top in range(0, SIDE, size):
        for left in range(0, SIDE, size):
            rows = [rgb[3 * (SIDE * y + left) : 3 * (SIDE * y + left + size)] for y in range(top, top + size)]
            pixels = b"".join(rows)
            red, green, blue = (sum(pixels[channel::3]) / size**2 for channel in range(3))
            found.append((red, green, blue))
    return found


def _spectrum(luma: Sequence[float]) -> tuple[float, ...]:
    """The 64 lowest frequencies of a 32 x 32 DCT, each less their median: pHash is their signs (www.phash.org)."""
    waves = _waves()
    rows = [luma[SIDE * y : SIDE * (y + 1)] for y in range(SIDE)]
    across = [[sum(map(float.__mul__, row, wave)) for row in rows] for wave in waves]
    low = [sum(map(float.__mul__, column, wave)) for wave in waves for column in across]
    median = sorted(low)[len(low) // 2]
    return tuple(value - median for value in low)


@cache
def _waves() -> tuple[tuple[float, ...], ...]:
    """Frequencies 1 to 8: that of 0 is the brightness, which `mean` measures."""
    return tuple(
        tuple(math.cos(math.pi * (2 * x + 1) * frequency / (2 * SIDE)) for x in range(SIDE))
        for frequency in range(1, 9)
    )
