"""Rows of the airing queue: read, added, moved from state to state with an event each.

All of it within the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from hub.api import AiringState
from plugins.radio.database import text_of
from plugins.radio.records import Airing, Programme, airing_from, token_parts
from plugins.radio.times import Slot


def insert(db: sqlite3.Connection, programme: Programme, slot: Slot, now: datetime) -> None:
    count = db.execute("SELECT count(*) FROM airings WHERE item = ?", (programme.item,)).fetchone()[0]
    airing_id = f"{programme.item}-{count + 1:05d}"
    db.execute(
        "INSERT INTO airings (id, delivery, item, destination, sha256, duration_s, planned_at, deadline, first, state,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?)",
        (airing_id, programme.delivery, programme.item, programme.destination, programme.sha256, programme.duration_s,
         text_of(slot.at), text_of(slot.deadline), slot.first, text_of(now)),
    )  # fmt: skip
    if slot.first:
        db.execute("UPDATE programmes SET anchor = ? WHERE delivery = ?", (text_of(slot.at), programme.delivery))
    note(db, airing_id, 0, AiringState.PLANNED, "", now)


def move(
    db: sqlite3.Connection, airing: Airing, state: AiringState, reason: str, now: datetime, **changes: object
) -> None:
    values = {"state": state, "reason": reason, "updated_at": text_of(now), **changes}
    columns = ", ".join(f"{name} = ?" for name in values)  # names are ours, from the calls above
    db.execute(f"UPDATE airings SET {columns} WHERE id = ?", (*values.values(), airing.id))  # noqa: S608 - see above
    note(db, airing.id, int(str(values.get("attempt", airing.attempt))), state, reason, now)


def note(db: sqlite3.Connection, airing_id: str, attempt: int, state: AiringState, reason: str, now: datetime) -> None:
    db.execute(
        "INSERT INTO events (airing, attempt, at, state, reason) VALUES (?, ?, ?, ?, ?)",
        (airing_id, attempt, text_of(now), state, reason),
    )


def select(db: sqlite3.Connection, condition: str, *values: object) -> Sequence[Airing]:
    query = f"SELECT * FROM airings WHERE {condition} ORDER BY planned_at, id"  # noqa: S608 - conditions are constants
    return [airing_from(row) for row in db.execute(query, values)]


def by_id(db: sqlite3.Connection, airing_id: str) -> Airing | None:
    return next(iter(select(db, "id = ?", airing_id)), None)


def find(db: sqlite3.Connection, token: str) -> Airing | None:
    parts = token_parts(token)
    airing = by_id(db, parts[0]) if parts else None
    return airing if airing and parts and airing.attempt == parts[1] else None


def programme_values(programme: Programme) -> dict[str, object]:
    return {
        "delivery": programme.delivery,
        "item": programme.item,
        "destination": programme.destination,
        "sha256": programme.sha256,
        "duration_s": programme.duration_s,
        "starts": text_of(programme.starts),
        "ends": text_of(programme.ends),
    }
