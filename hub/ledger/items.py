"""Items: accepted once, numbered without gaps or repeats, and the arrivals whose files are still to be moved."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hub.api import Asset, Draft, Item, ItemChanged, ItemNumber, ItemState, Priority, Sha256
from hub.ledger import facts, jobs
from hub.ledger.wire import from_json, moment, stamp, to_json

LIVE = (ItemState.ACCEPTED, ItemState.ACTIVE)


class Place(NamedTuple):
    """An item's place among all: numbers in text do not sort beyond 9999."""

    month: str
    serial: int


def accept(
    db: sqlite3.Connection,
    draft: Draft,
    *,
    name: str,
    sidecar: str,
    plugins: Sequence[str],
    now: datetime,
    zone: ZoneInfo,
) -> Item:
    """Number the draft and keep it, with the jobs and the fact that follow: the one moment of acceptance.

    `name` and the assets' hashes mark the arrival as open until `put_away` says that the dropped files are moved.
    """
    month = now.astimezone(zone).strftime("%Y-%m")
    serial = db.execute("SELECT coalesce(max(serial), 0) + 1 FROM item WHERE month = ?", (month,)).fetchone()[0]
    state = ItemState.ACTIVE if draft.start <= now else ItemState.ACCEPTED
    item = _item(draft, ItemNumber(f"IP-{month}-{serial:04d}"), state, now)
    db.execute(
        "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            item.number, month, serial, item.state, stamp(now), stamp(item.start), stamp(item.end),
            item.priority is Priority.URGENT, to_json(replace(draft, assets=())), sidecar,
        ),
    )  # fmt: skip
    for position, asset in enumerate(draft.assets):
        db.execute("INSERT INTO asset VALUES (?, ?, ?, ?)", (item.number, position, asset.sha256, to_json(asset)))
    hashes = sorted({asset.sha256 for asset in draft.assets})
    db.execute(
        "INSERT OR REPLACE INTO arrival VALUES (?, ?, ?, ?)",
        (name, arrival_digest(hashes), json.dumps(hashes), item.number),
    )
    facts.add(db, "hub", f"item/{item.number}/accepted", ItemChanged(item=item.number, state=item.state), now=now)
    for plugin in plugins:
        jobs.queue_plan(db, item, plugin, now=now)
    return item


def get(db: sqlite3.Connection, number: str) -> Item | None:
    row = db.execute("SELECT * FROM item WHERE number = ?", (number,)).fetchone()
    return _from_row(db, row) if row else None


def all_items(db: sqlite3.Connection, states: Iterable[ItemState] = tuple(ItemState)) -> list[Item]:
    """Items in those states, oldest number first."""
    wanted = tuple(states)
    marks = ", ".join("?" * len(wanted))
    rows = db.execute(f"SELECT * FROM item WHERE state IN ({marks}) ORDER BY month, serial", wanted)  # noqa: S608 - marks
    return [_from_row(db, row) for row in rows.fetchall()]


def page(
    db: sqlite3.Connection,
    *,
    limit: int,
    before: Place | None = None,
    after: Place | None = None,
    states: Iterable[ItemState] = (),
) -> list[Item]:
    """At most `limit` items between two places, oldest number first: those next to `after`, else the newest."""
    forward = after is not None and before is None
    direction = "ASC" if forward else "DESC"
    low, high = after or Place("", 0), before or Place("~", 0)
    rows = []
    # State by state, each along its index: one query for several would sort all items of those states.
    for state in (*states,) or (None,):
        rows += db.execute(
            f"SELECT * FROM item WHERE {'' if state is None else 'state = ? AND'}"  # noqa: S608 - our own words
            " (month, serial) > (?, ?) AND (month, serial) < (?, ?)"
            f" ORDER BY month {direction}, serial {direction} LIMIT ?",
            (*(() if state is None else (state,)), *low, *high, limit),
        ).fetchall()
    rows.sort(key=lambda row: (row["month"], row["serial"]))
    chosen = rows[:limit] if forward else rows[max(0, len(rows) - limit) :]
    return [_from_row(db, row) for row in chosen]


def place_of(db: sqlite3.Connection, number: str) -> Place | None:
    """Where an item stands among all; None when there is no such item."""
    row = db.execute("SELECT month, serial FROM item WHERE number = ?", (number,)).fetchone()
    return Place(row["month"], row["serial"]) if row else None


def known_hashes(db: sqlite3.Connection, beginning: str) -> frozenset[str]:
    """The hashes, of those that begin so, of every original that was ever accepted."""
    end = beginning + "g"  # after every hexadecimal digit
    query = "SELECT DISTINCT sha256 FROM asset WHERE sha256 >= ? AND sha256 < ?"
    return frozenset(row["sha256"] for row in db.execute(query, (beginning, end)))


def bytes_not_filed(db: sqlite3.Connection) -> int:
    """How large the originals of live items are together that the archive does not hold yet."""
    row = db.execute(
        "SELECT coalesce(sum(asset.body ->> '$.media.size_bytes'), 0) AS bytes"
        " FROM item CROSS JOIN asset ON asset.item = item.number WHERE item.state IN ('accepted', 'active')"
        " AND NOT EXISTS (SELECT 1 FROM fact WHERE fact.item = item.number AND fact.kind = 'Filed')"
    ).fetchone()
    return int(row["bytes"])


def bytes_not_planned(db: sqlite3.Connection) -> int:
    """How large the originals of items are together for which no plugin has planned anything yet."""
    row = db.execute(
        "SELECT coalesce(sum(asset.body ->> '$.media.size_bytes'), 0) AS bytes"
        " FROM (SELECT DISTINCT item FROM job WHERE kind = 'plan' AND state != 'dead') AS planned"
        " CROSS JOIN asset ON asset.item = planned.item"
        " WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.item = planned.item)"
    ).fetchone()
    return int(row["bytes"])


def asset(db: sqlite3.Connection, sha256: str) -> Asset | None:
    """The asset with these bytes, as it was first dropped."""
    row = db.execute(
        "SELECT asset.body FROM asset JOIN item ON item.number = asset.item WHERE asset.sha256 = ?"
        " ORDER BY item.month, item.serial LIMIT 1",
        (sha256,),
    ).fetchone()
    return from_json(Asset, row["body"]) if row else None


def with_same_bytes(db: sqlite3.Connection, hashes: Iterable[str]) -> list[tuple[Item, str]]:
    """Items made of exactly these files, oldest first, each with the digest of the sidecar it came with."""
    wanted = sorted(set(hashes))
    rows = db.execute(
        "SELECT DISTINCT item.* FROM asset JOIN item ON item.number = asset.item"
        " WHERE asset.sha256 = ? ORDER BY item.month, item.serial",
        (wanted[0],),
    ).fetchall()
    found = [(_from_row(db, row), str(row["sidecar"])) for row in rows]
    return [(item, sidecar) for item, sidecar in found if sorted({a.sha256 for a in item.assets}) == wanted]


def set_state(
    db: sqlite3.Connection, item: Item, state: ItemState, *, now: datetime, reason: str = "", who: str = ""
) -> None:
    """Change the state and tell it, once."""
    db.execute("UPDATE item SET state = ? WHERE number = ?", (state, item.number))
    fact = ItemChanged(item=item.number, state=state, reason=reason, who=who)
    facts.add(db, "hub", f"item/{item.number}/{state}", fact, now=now)


def reason_of(db: sqlite3.Connection, item: Item) -> str:
    """Why the item came to its present state."""
    entry = facts.last_of(db, item.number, ItemChanged)
    return entry.fact.reason if entry and isinstance(entry.fact, ItemChanged) else ""


def crossing_a_boundary(db: sqlite3.Connection, now: datetime) -> list[tuple[Item, ItemState]]:
    """Items whose window has begun or ended, each with the state it must get."""
    rows = db.execute(
        "SELECT *, CASE WHEN end_at <= ?1 THEN 'ended' ELSE 'active' END AS next FROM item"
        " WHERE (state = 'accepted' AND start_at <= ?1) OR (state IN ('accepted', 'active') AND end_at <= ?1)",
        (stamp(now),),
    ).fetchall()
    return [(_from_row(db, row), ItemState(row["next"])) for row in rows]


def next_boundary(db: sqlite3.Connection) -> datetime | None:
    """When the next window begins or ends."""
    row = db.execute(
        "SELECT min(at) AS at FROM (SELECT start_at AS at FROM item WHERE state = 'accepted'"
        " UNION ALL SELECT end_at FROM item WHERE state IN ('accepted', 'active'))"
    ).fetchone()
    return moment(row["at"]) if row["at"] else None


def arrival(db: sqlite3.Connection, name: str, hashes: Iterable[str]) -> ItemNumber | None:
    """The item that this dropped name with these bytes became, while its files may still have to be moved."""
    row = db.execute(
        "SELECT item FROM arrival WHERE name = ? AND digest = ?", (name, arrival_digest(hashes))
    ).fetchone()
    return ItemNumber(row["item"]) if row else None


def open_arrivals(db: sqlite3.Connection) -> list[tuple[str, frozenset[Sha256]]]:
    rows = db.execute("SELECT name, hashes FROM arrival").fetchall()
    return [(row["name"], frozenset(Sha256(h) for h in json.loads(row["hashes"]))) for row in rows]


def put_away(db: sqlite3.Connection, name: str, hashes: Iterable[str], target: str | None) -> ItemNumber | None:
    """The arrival's files are moved (to `target`, or nobody knows where): it is no longer open."""
    number = arrival(db, name, hashes)
    if number is None:
        return None
    if target is not None:
        db.execute("UPDATE item SET target = ? WHERE number = ?", (target, number))
    db.execute("DELETE FROM arrival WHERE name = ? AND digest = ?", (name, arrival_digest(hashes)))
    return number


def target_of(db: sqlite3.Connection, number: str) -> str | None:
    row = db.execute("SELECT target FROM item WHERE number = ?", (number,)).fetchone()
    return row["target"] if row else None


def arrival_digest(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(set(hashes))).encode()).hexdigest()


def _item(draft: Draft, number: ItemNumber, state: ItemState, accepted_at: datetime) -> Item:
    values = {field.name: getattr(draft, field.name) for field in fields(Draft)}
    return Item(**values, number=number, state=state, accepted_at=accepted_at)


def _from_row(db: sqlite3.Connection, row: sqlite3.Row) -> Item:
    bodies = db.execute("SELECT body FROM asset WHERE item = ? ORDER BY position", (row["number"],)).fetchall()
    draft = replace(from_json(Draft, row["draft"]), assets=tuple(from_json(Asset, body["body"]) for body in bodies))
    return _item(draft, ItemNumber(row["number"]), ItemState(row["state"]), moment(row["accepted_at"]))
