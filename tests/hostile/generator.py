"""All the cases of our own, the same every time for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile import boxes, breakage, documents, pictures, places, playlists
from tests.hostile.case import Case
from tests.hostile.world import World


def cases(world: World, *, short: bool = False, rounds: int = 2) -> Iterator[Case]:
    """Every case, or only the ones of the quick run; `rounds` is how often each kind is broken by chance."""
    for case in _every(world, rounds=1 if short else rounds):
        if case.short or not short:
            yield case


def _every(world: World, *, rounds: int) -> Iterator[Case]:
    yield from playlists.cases(world)
    yield from places.cases(world)
    yield from boxes.cases(world)
    yield from pictures.cases(world)
    yield from documents.cases(world)
    yield from breakage.cases(world, rounds)
