"""A fresh ledger, written to without a thread in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.ledger.database import open_for_writing


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def db(ledger: Path) -> Iterator[sqlite3.Connection]:
    connection = open_for_writing(ledger)
    yield connection
    connection.close()
