"""A stage of its own for each system test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.demo.stage import stage
from tests.system.chain import Chain


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path: UNIX sockets allow 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="siar-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
async def chain(short_folder: Path) -> AsyncIterator[Chain]:
    """The chain with the approval policy `none`: dropped means approved."""
    async with stage(short_folder / "s", approval="none") as ready:
        yield Chain(ready)
