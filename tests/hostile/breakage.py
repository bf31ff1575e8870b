"""Every kind of file, broken: cut short, with flipped bytes, with rubbish around it, or under a wrong name."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.hostile.case import Case, Must, of_bytes
from tests.hostile.world import EVERY, World

# A stream without a length of its own may end anywhere: only whoever copied it knows that more was to come.
ENDLESS = frozenset({"ts", "m2ts", "mpg", "flv", "mp3", "aac", "ogg"})
PLAIN = frozenset({"bmp", "webp"})  # zeros are a black picture there
CUTS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
FLIPS = (1, 8, 64, 512)
SHORT = frozenset({"mp4", "mkv", "wav", "png", "pdf"})


def cases(world: World, rounds: int) -> Iterator[Case]:
    """`rounds` is how many seeds each kind is broken with."""
    for kind in EVERY:
        whole, quick = world.whole(kind), kind in SHORT
        yield of_bytes(f"whole.{kind}", Must.TAKE, whole, short=kind in ("mp4", "mp3", "png", "pdf"))
        yield of_bytes(f"misnamed-{kind}.{'jpg' if kind != 'jpg' else 'mp4'}", Must.TAKE, whole)
        yield from _cut(kind, whole, quick)
        yield of_bytes(f"rubbish-behind.{kind}", Must.DECIDE, whole + random.Random(kind).randbytes(5000))
        black = Must.DECIDE if kind in PLAIN else Must.REFUSE
        yield of_bytes(f"zeros-behind-its-head.{kind}", black, whole[:64] + bytes(200_000))
        for one in range(rounds):
            dice = random.Random(f"{world.seed} {kind} {one}")
            yield of_bytes(f"head-and-noise-{one}.{kind}", Must.DECIDE, whole[:32] + dice.randbytes(20_000))
            for count in FLIPS:
                yield of_bytes(f"flipped-{count}-{one}.{kind}", Must.DECIDE, _flipped(whole, count, dice))
            yield of_bytes(f"torn-{one}.{kind}", Must.DECIDE, _torn(whole, dice), short=quick and one == 0)
            yield of_bytes(f"holed-{one}.{kind}", Must.DECIDE, _holed(whole, dice))
    yield of_bytes("empty.mp4", Must.REFUSE, b"", short=True)


def _cut(kind: str, whole: bytes, quick: bool) -> Iterator[Case]:
    yield of_bytes(f"one-byte.{kind}", Must.REFUSE, whole[:1])
    for share in CUTS:
        hopeless = kind not in ENDLESS and share <= 0.5
        must = Must.REFUSE if hopeless else Must.DECIDE
        yield of_bytes(f"cut-{share:.0%}.{kind}", must, whole[: int(len(whole) * share)], short=quick and share == 0.5)


def _flipped(whole: bytes, count: int, dice: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(count):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


def _torn(whole: bytes, dice: random.Random) -> bytes:
    """Pieces in another order, one missing, one twice: as after a bad transfer."""
    head, piece = whole[:48], max(1, len(whole) // 8)
    pieces = [whole[start : start + piece] for start in range(48, len(whole), piece)]
    dice.shuffle(pieces)
    return head + b"".join([*pieces[1:], pieces[-1]])


def _holed(whole: bytes, dice: random.Random) -> bytes:
    data = bytearray(whole)
    start = dice.randrange(len(data))
    length = min(4096, len(data) - start)
    data[start : start + length] = bytes(length)
    return bytes(data)
