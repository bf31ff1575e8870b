"""One hostile file: how it is made and what must come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Must(StrEnum):
    """What the hub has to do with a file."""

    REFUSE = "refuse"  # with a reason
    TAKE = "take"  # and make a verified rendition of it
    DECIDE = "decide"  # one of the two; never hang, crash or answer with nothing


Make = Callable[[Path], object]


@contextlib.contextmanager
def nothing_more(path: Path) -> Iterator[None]:
    yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`make` writes the file to the path that it is given; `during` goes on while the hub looks at it."""

    name: str  # a file name, unique
    must: Must
    make: Make
    during: Callable[[Path], AbstractContextManager[object]] = nothing_more
    short: bool = False  # also in the quick run of the tests


def of_bytes(name: str, must: Must, data: bytes, *, short: bool = False) -> Case:
    return Case(name=name, must=must, make=lambda path: path.write_bytes(data), short=short)


def lazily(name: str, must: Must, data: Callable[[], bytes], *, short: bool = False) -> Case:
    """As `of_bytes`, for what takes a while to make."""
    return Case(name=name, must=must, make=lambda path: path.write_bytes(data()), short=short)
