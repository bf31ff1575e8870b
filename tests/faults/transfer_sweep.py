"""Kills a player, the hub or the broker in the middle of a film that four players fetch, at several moments."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.transfer_kills import KILLS, survive
from bench.transfer_rig import Film
from tests.faults.row import Judged, Row, row_of

SIZE = 4 << 20
BLOCK_BYTES = 16384
TAKES_S = 3.0
MOMENTS = (0.1, 0.3, 0.5, 0.7, 0.9)
SHORT_MOMENTS = (0.5,)
ON_THE_WAY = 16  # blocks that the dead one had sent may come to a player again


def main(short: bool = False) -> Row:
    """Kill each at every moment (at one when short)."""
    return row_of("transfer-kill", _sweep(SHORT_MOMENTS if short else MOMENTS))


def _sweep(moments: tuple[float, ...]) -> Iterator[Judged]:
    with tempfile.TemporaryDirectory(prefix="siar-", ignore_cleanup_errors=True) as scratch:
        film = Film.random(Path(scratch) / "film.bin", SIZE)
        for name in KILLS:
            for at in moments:
                folder = Path(scratch) / f"{name}-{at}"
                done = asyncio.run(survive(folder, film, name, at=at, block_bytes=BLOCK_BYTES, takes_s=TAKES_S))
                again = done.again > ON_THE_WAY
                yield Judged(lost=not done.whole, doubled=again, why=f"{name} killed at {at:.0%}: {done}")
