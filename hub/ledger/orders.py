"""Persons' orders: written by the command line or a page, carried out by the daemon alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime

from hub.api import Order, OrderGiven, Outcome
from hub.ledger import facts
from hub.ledger.wire import moment, stamp


def give(db: sqlite3.Connection, name: str, args: Mapping[str, str], *, who: str, why: str, now: datetime) -> int:
    cursor = db.execute(
        "INSERT INTO person_order (name, args, who, why, given_at) VALUES (?, ?, ?, ?, ?)",
        (name, json.dumps(dict(args)), who, why, stamp(now)),
    )
    return int(cursor.lastrowid or 0)


def waiting(db: sqlite3.Connection) -> list[Order]:
    """What is to be carried out, in order. People's processes write rows: one that is no order is passed over."""
    rows = db.execute("SELECT * FROM person_order WHERE done IS NULL ORDER BY id")
    return [order for row in rows if (order := _order(row)) is not None]


def carried_out(db: sqlite3.Connection, order: Order, outcome: Outcome, *, now: datetime) -> None:
    """What came of it; `order.who` is kept as its giver, whatever the row said."""
    db.execute(
        "UPDATE person_order SET done = ?, outcome = ?, who = ? WHERE id = ?",
        (outcome.done, outcome.message, order.who, order.id),
    )
    fact = OrderGiven(
        order=order.id, name=order.name, who=order.who, why=order.why, done=outcome.done, outcome=outcome.message
    )
    facts.add(db, "hub", f"order/{order.id}", fact, now=now)


def outcome_of(db: sqlite3.Connection, order: int) -> Outcome | None:
    row = db.execute("SELECT done, outcome FROM person_order WHERE id = ?", (order,)).fetchone()
    return Outcome(done=bool(row["done"]), message=row["outcome"]) if row and row["done"] is not None else None


def _order(row: sqlite3.Row) -> Order | None:
    try:
        args, given_at = json.loads(row["args"]), moment(row["given_at"])
    except (ValueError, RecursionError):
        return None
    if given_at.utcoffset() is None or not 2000 <= given_at.year < 2200 or not isinstance(args, dict):
        return None
    if not all(isinstance(value, str) for value in args.values()):
        return None
    return Order(id=row["id"], name=row["name"], args=args, who=row["who"], why=row["why"], given_at=given_at)
