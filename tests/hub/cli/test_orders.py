"""`siarhub retry` and `withdraw`: exit 0 when it is done or waits, 1 when not, 2 when it was asked wrongly."""

from __future__ import annotations

import sqlite3

import pytest

from hub import control
from hub.ledger import orders
from hub.ledger.database import open_for_reading
from tests.hub.cli.conftest import Office


def given(office: Office) -> list[tuple[str, str, str]]:
    db = open_for_reading(office.ledger)
    found = [(order.name, order.args["item"], order.why) for order in orders.waiting(db)]
    db.close()
    return found


def test_a_withdrawal_waits_for_a_hub_that_is_down(office: Office) -> None:
    number = office.accept().number

    result = office.run("withdraw", number, "--reason", "keliru")

    assert result.exit_code == 0
    assert "waits" in result.stdout
    assert given(office) == [("withdraw", number, "keliru")]


def test_a_retry_does_not_wait(office: Office) -> None:
    result = office.run("retry", office.accept().number)

    assert result.exit_code == 1
    assert "not running" in result.stderr
    assert given(office) == []


@pytest.mark.parametrize("order", [("retry",), ("withdraw", "--reason", "x")])
def test_an_unknown_item_is_told_at_once(office: Office, order: tuple[str, ...]) -> None:
    office.accept()

    result = office.run(*order, "IP-2020-01-0001")

    assert result.exit_code == 1
    assert "there is no item IP-2020-01-0001" in result.stderr
    assert given(office) == []


@pytest.mark.parametrize("arguments", [(), ("--reason", ""), ("--reason", "  ")])
def test_a_withdrawal_needs_a_reason(office: Office, arguments: tuple[str, ...]) -> None:
    result = office.run("withdraw", office.accept().number, *arguments)

    assert result.exit_code == 2
    assert given(office) == []


def test_a_hub_that_does_not_answer_is_a_no(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_WITHIN_S", 0.05)
    number = office.accept().number

    with office.hub_runs():
        result = office.run("retry", number)

    assert (result.exit_code, "no answer" in result.stderr) == (1, True)


def test_who_may_not_write_is_told_whom_to_ask(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    number = office.accept().number

    def readonly(path: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(control, "open_for_writing", readonly)
    result = office.run("withdraw", number, "--reason", "keliru")

    assert result.exit_code == 1
    assert "group that may give orders" in result.stderr
