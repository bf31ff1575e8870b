"""The command line on a ledger of its own, without a hub that runs."""

from __future__ import annotations

import json
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.api import Channel, Delivery, DeliveryState, Draft, Item, Played, Sha256
from hub.cli.main import main
from hub.control import SOCKET
from hub.ledger import deliveries, facts, items
from hub.ledger.database import open_for_writing, transaction
from hub.testing import NOON, make_asset
from tests.hub.world import WITA


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A settings file, its folders, and `siarhub` on them."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "siarhub.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.db"

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *(str(one) for one in arguments)])

    def json(self, *arguments: object, code: int = 0) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def accept(
        self, title: str = "Siaga Karhutla", *, played: bool = False, seconds: float = 6.0, **facts_of_it: Any
    ) -> Item:
        """An item with one delivery to a screen called "gate"."""
        db = open_for_writing(self.ledger)
        draft = Draft(
            title=title, assets=(make_asset(),), channels=frozenset(Channel), start=NOON,
            end=NOON + timedelta(days=30), **facts_of_it,
        )  # fmt: skip
        with transaction(db):
            item = items.accept(db, draft, name=title, sidecar="", plugins=(), now=NOON, zone=WITA)
            delivery = Delivery(key=f"{item.number}/gate", item=item.number, destination="gate")
            deliveries.plan(db, item, "videotron", [delivery], now=NOON, transcode_at=NOON)
            if played:
                self._play(db, item, delivery, seconds)
        db.close()
        return item

    def _play(self, db: sqlite3.Connection, item: Item, delivery: Delivery, seconds: float) -> None:
        row = deliveries.get(db, "videotron", delivery.key)
        assert row is not None
        deliveries.change(db, row, DeliveryState.PLAYED, now=NOON)
        proof = Played(
            delivery=delivery.key, item=item.number, destination="gate", rendition=Sha256("a" * 64),
            started_at=NOON, seconds=seconds, complete=True,
        )  # fmt: skip
        facts.add(db, "videotron", "1", proof, now=NOON)
        facts.count_play(db, proof, WITA)

    @contextmanager
    def hub_runs(self) -> Iterator[None]:
        """What commands see of a hub that runs: the socket for orders."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(self.state / SOCKET))
            yield


@pytest.fixture
def office() -> Iterator[Office]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:  # short: UNIX sockets allow 107 bytes
        office = Office(folder=Path(name))
        office.state.mkdir()
        (office.folder / "plugins").mkdir()
        office.config.write_text(
            f'[hub]\nstate_dir = "{name}/state"\nroot = "{name}/root"\nplugin_dir = "{name}/plugins"\n'
        )
        yield office
