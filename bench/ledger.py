"""A ledger of 100,000 items against one of 1,000: start-up of the hub to its first status, and the first page of items.

Each ledger holds the same few live items; all others have been shown, proved and filed, as years of work leave them
behind. One item is brought through its life by the ledger's own functions, and its rows are copied under other numbers.
The archive is left out: at its first start it would count the whole journal, which real years spread over years.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.measure import Cost, Measure, cost_of, cpu_of, race
from hub.api import (
    Channel,
    Delivered,
    Delivery,
    Draft,
    Filed,
    Item,
    ItemState,
    Played,
    Rendition,
    Sha256,
    VideoProfile,
    Want,
)
from hub.api.models import DeliveryState
from hub.ledger import deliveries, facts, items, renditions
from hub.ledger.database import open_for_writing, transaction
from hub.testing import make_asset, make_media

MANY, FEW, LIVE = 100_000, 1_000, 20
TARGET = 3.0
WITHIN_S = 120.0
WITA = ZoneInfo("Asia/Makassar")
PROFILE = VideoProfile(width=768, height=384)
PER_MONTH = 500
SIARHUB = Path(sys.executable).with_name("siarhub")


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        many, few = (_office(Path(name) / str(count), count) for count in (MANY, FEW))
        for office in (many, few):
            _start(office)  # what a first start does, such as building what it remembers, is not what is measured
        starting = race(lambda number: _start(many), lambda number: _start(few))
        listing = race(lambda number: _list(many), lambda number: _list(few))
        note = f"ledger of {(many / 'state' / 'ledger.db').stat().st_size >> 20} MiB"
        yield starting.wall(f"ledger-start-{MANY}-items", TARGET, note=note)
        yield starting.cpu(f"ledger-start-cpu-{MANY}-items", TARGET)
        yield listing.wall(f"ledger-items-{MANY}-items", TARGET)


def _start(office: Path) -> Cost:
    """A start of the hub until its first status, then an orderly stop."""
    status = office / "state" / "status.json"
    status.unlink(missing_ok=True)
    began = time.monotonic()
    with (office / "hub.log").open("ab") as log:
        hub = subprocess.Popen([SIARHUB, "run", "--config", office / "siarhub.toml"], stdout=log, stderr=log)
    try:
        _until(status.exists, hub)
        wall, (own, tools) = time.monotonic() - began, cpu_of(hub.pid)
    finally:
        hub.send_signal(signal.SIGTERM)
        hub.wait(timeout=WITHIN_S)
    return Cost(wall_s=wall, cpu_s=own + tools)


def _list(office: Path) -> Cost:
    return cost_of([str(SIARHUB), "items", "--json", "--config", str(office / "siarhub.toml")])


def _until(holds: Callable[[], bool], hub: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        if hub.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the hub did not start: see hub.log")
        time.sleep(0.002)


def _office(folder: Path, count: int) -> Path:
    (folder / "state").mkdir(parents=True)
    (folder / "siarhub.toml").write_text(f"""
[hub]
root = "{folder}/srv"
state_dir = "{folder}/state"
plugin_dir = "{folder}/plugins"
[intake]
min_free_bytes = 0
[plugins.archive]
enabled = false
[plugins.radio]
socket = "{folder}/no.sock"
[plugins.videotron.broker]
port = 9
""")
    db = open_for_writing(folder / "state" / "ledger.db")
    db.execute("PRAGMA journal_mode = OFF")  # only while it is made: the hub's start turns it back
    with transaction(db):
        _past(db, count - LIVE)
        for number in range(LIVE):
            _accept(db, f"live {number}", datetime.now(UTC))
        for name in ("hub/receipts", "archive", "videotron", "radio"):
            facts.move_cursor(db, name, facts.newest(db))
    db.close()
    _originals(folder)
    return folder


def _past(db: sqlite3.Connection, count: int) -> None:
    """`count` items that are over, month by month."""
    first = datetime.now(UTC) - timedelta(days=30 * (count // PER_MONTH + 3))
    pattern = _life(db, first)
    db.execute("CREATE TEMP TABLE place (number TEXT, month TEXT, serial INTEGER, sha256 TEXT)")
    db.executemany("INSERT INTO place VALUES (?, ?, ?, ?)", (_place(first, one) for one in range(1, count)))
    for table in ("item", "asset", "rendition", "delivery", "want", "fact", "play_total"):
        _multiply(db, table, pattern)
    db.execute("DROP TABLE place")


def _place(first: datetime, one: int) -> tuple[str, str, int, str]:
    months = first.year * 12 + first.month + one // PER_MONTH  # the pattern's own month is the one before
    month, serial = f"{months // 12:04}-{months % 12 + 1:02}", one % PER_MONTH + 1
    return f"IP-{month}-{serial:04}", month, serial, f"{one * 2654435761 % 2**32:08x}{one:056x}"


def _multiply(db: sqlite3.Connection, table: str, pattern: Item) -> None:
    """Every row of the pattern once for each place: its number and its hash are replaced wherever they stand."""
    columns = db.execute(f"PRAGMA table_info({table})").fetchall()
    own = {"month": "place.month", "serial": "place.serial", "seq": "NULL"}
    values = ", ".join(own.get(c["name"]) or _replaced(c["name"], c["type"], pattern) for c in columns)
    db.execute(f"INSERT INTO {table} SELECT {values} FROM {table} AS pattern CROSS JOIN place")  # noqa: S608 - our words


def _replaced(column: str, kind: str, pattern: Item) -> str:
    if kind != "TEXT":
        return f"pattern.{column}"
    number, sha256 = pattern.number, pattern.assets[0].sha256
    return f"replace(replace(pattern.{column}, '{number}', place.number), '{sha256}', place.sha256)"


def _life(db: sqlite3.Connection, at: datetime) -> Item:
    """One item from its acceptance to its end."""
    item = _accept(db, "Imbauan Siaga Karhutla", at)
    for plugin in ("videotron", "archive"):
        key = f"{item.number}/{plugin}"
        wants = (Want(asset=item.assets[0].sha256, profile=PROFILE),) if plugin == "videotron" else ()
        delivery = Delivery(key=key, item=item.number, destination=plugin, wants=wants)
        deliveries.plan(db, item, plugin, [delivery], now=at, transcode_at=at)
        _walk(db, plugin, key, at)
    for play in range(3):
        _prove(db, item, at + timedelta(minutes=play))
    facts.add(
        db, "archive", item.number, Filed(item=item.number, month="2020-01", path="x", never_played=False), now=at
    )
    items.put_away(db, item.title, [item.assets[0].sha256], "/srv/siarhub/Diterima/x.mp4")
    items.set_state(db, item, ItemState.ENDED, now=at + timedelta(days=30))
    db.execute("UPDATE rendition SET state = 'removed'")
    db.execute("DELETE FROM job")
    return item


def _walk(db: sqlite3.Connection, plugin: str, key: str, at: datetime) -> None:
    for made in renditions.wanted_by(db, plugin, key):
        digest = Sha256(made["asset"])
        renditions.made(
            db,
            Rendition(asset=digest, profile=PROFILE, path=Path("/x") / digest, sha256=digest, media=make_media()),
        )
    for state in (DeliveryState.READY, DeliveryState.HANDED_OVER):
        row = deliveries.get(db, plugin, key)
        if row is not None:
            deliveries.change(db, row, state, now=at)
    fact = Delivered(delivery=key, at=at)
    facts.add(db, plugin, f"delivered/{key}", fact, now=at)
    deliveries.apply_fact(db, plugin, fact, now=at)


def _prove(db: sqlite3.Connection, item: Item, at: datetime) -> None:
    proof = Played(
        delivery=f"{item.number}/videotron", item=item.number, destination="videotron",
        rendition=item.assets[0].sha256, started_at=at, seconds=15.0, complete=True,
    )  # fmt: skip
    facts.add(db, "videotron", f"{item.number}/{at:%H%M%S}", proof, now=at)
    facts.count_play(db, proof, WITA)
    deliveries.apply_fact(db, "videotron", proof, now=at)


def _accept(db: sqlite3.Connection, title: str, at: datetime) -> Item:
    sha256 = Sha256(f"{hash(title) % 2**256:064x}")
    asset = replace(make_asset(name=f"{title}.mp4"), sha256=sha256)
    draft = Draft(title=title, assets=(asset,), channels=frozenset(Channel), start=at, end=at + timedelta(days=30))
    item = items.accept(db, draft, name=title, sidecar="", plugins=(), now=at, zone=WITA)
    items.put_away(db, title, [sha256], None)
    return item


def _originals(folder: Path) -> None:
    """A copy of each original in the vault, as long as nothing."""
    db = sqlite3.connect(folder / "state" / "ledger.db")
    vault = folder / "state" / "vault"
    for shard in range(256):
        (vault / f"{shard:02x}").mkdir(parents=True)
    for (sha256,) in db.execute("SELECT sha256 FROM asset"):
        os.close(os.open(vault / sha256[:2] / sha256, os.O_CREAT | os.O_WRONLY, 0o444))
    db.close()


if __name__ == "__main__":
    # `python -m bench.ledger FOLDER COUNT` makes one, to look at.
    made = _office(Path(sys.argv[1]), int(sys.argv[2]))
    shutil.copy(made / "siarhub.toml", made / "siarhub.toml.kept")
