"""A person's order: waits until it is carried out, with what came of it beside it."""

from __future__ import annotations

import sqlite3

import pytest

from hub.api import OrderGiven, Outcome
from hub.ledger import facts, orders
from hub.testing import NOON


def give(db: sqlite3.Connection, name: str = "retry") -> int:
    return orders.give(db, name, {"item": "IP-2026-11-0001"}, who="dini", why="gelap", now=NOON)


def test_orders_wait_in_the_order_in_which_they_were_given(db: sqlite3.Connection) -> None:
    numbers = [give(db), give(db, "withdraw")]

    waiting = orders.waiting(db)

    assert [order.id for order in waiting] == numbers
    assert (waiting[0].args, waiting[0].who, waiting[0].why) == ({"item": "IP-2026-11-0001"}, "dini", "gelap")
    assert orders.outcome_of(db, numbers[0]) is None


def test_an_outcome_is_kept_and_told_once_even_when_it_is_written_twice(db: sqlite3.Connection) -> None:
    number = give(db)
    (order,) = orders.waiting(db)

    for _ in range(2):
        orders.carried_out(db, order, Outcome(done=False, message="no"), now=NOON)

    assert orders.waiting(db) == []
    assert orders.outcome_of(db, number) == Outcome(done=False, message="no")
    assert [type(entry.fact) for entry in facts.entries(db)] == [OrderGiven]


def test_an_order_that_nobody_gave_has_no_outcome(db: sqlite3.Connection) -> None:
    assert orders.outcome_of(db, 7) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("args", "no JSON"), ("args", "[]"), ("args", '{"item": 7}'), ("args", "[" * 100_000),
        ("given_at", "yesterday"), ("given_at", "2026-11-23T10:00:00"), ("given_at", "0001-01-01T00:00:00+14:00"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_order_holds_up_no_other(db: sqlite3.Connection, column: str, value: str) -> None:
    bad, good = give(db), give(db)
    db.execute(f"UPDATE person_order SET {column} = ? WHERE id = ?", (value, bad))  # noqa: S608 - the test's own words

    assert [order.id for order in orders.waiting(db)] == [good]
