"""`siarhub items`, `show`: what they say, and to machines in which shape."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from hub.api import Aired, AiringState, Delivery, DeliveryState, ItemState
from hub.ledger import deliveries, facts
from hub.ledger.database import open_for_writing
from hub.testing import NOON
from tests.hub.cli.conftest import Office


def test_items_have_the_promised_keys_states_and_times(office: Office) -> None:
    item = office.accept()

    (row,) = office.json("items")

    assert row == {
        "number": "IP-2026-11-0001", "title": "Siaga Karhutla", "kind": "video", "state": "active",
        "sha256": item.assets[0].sha256, "accepted_at": NOON.isoformat(), "start": NOON.isoformat(),
        "end": (NOON + timedelta(days=30)).isoformat(), "template": "",
        "deliveries": [
            {
                "plugin": "videotron", "destination": "gate", "state": "ready", "attempts": 0, "reason": "",
                "updated_at": NOON.isoformat(),
            }
        ],
    }  # fmt: skip


def test_how_an_item_comes_round_is_shown_in_words_and_to_machines(office: Office) -> None:
    item = office.accept(days=(1, 2, 3, 7), dayparts="22:00-05:00", share=3)

    record = office.json("show", item.number)["record"]

    assert (record["days"], record["dayparts"], record["share"]) == ([1, 2, 3, 7], "22:00-05:00", 3)
    assert (
        "on screens: Monday-Wednesday, Sunday; 22:00-05:00; 3 places in each round"
        in office.run("show", item.number).output
    )


def test_a_template_is_told_from_what_is_shown(office: Office) -> None:
    item = office.accept(template="banjir")

    assert office.json("items")[0]["template"] == "banjir"
    assert "template banjir" in office.run("items").output
    assert "template banjir" in office.run("show", item.number).output


def test_the_words_for_states_are_the_promised_ones() -> None:
    assert [state.value for state in ItemState] == ["accepted", "active", "ended", "withdrawn"]
    assert [state.value for state in DeliveryState] == [
        "planned", "transcoding", "ready", "handed over", "delivered", "played", "failed", "withdrawn", "expired",
    ]  # fmt: skip


def test_no_items_are_an_empty_list(office: Office) -> None:
    office.accept()
    db = sqlite3.connect(office.ledger)
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("DELETE FROM item")
    db.commit()
    db.close()

    assert office.json("items") == []


@pytest.mark.parametrize("command", [("items",), ("show", "IP-2026-11-0001"), ("retry", "x"), ("withdraw", "x")])
def test_without_a_ledger_the_remedy_is_named_and_none_is_made(office: Office, command: tuple[str, ...]) -> None:
    reason = ("--reason", "x") if command[0] == "withdraw" else ()
    result = office.run(*command, *reason)

    assert result.exit_code == 1
    assert "start the hub once" in result.stderr
    assert not office.ledger.exists()


@pytest.mark.parametrize("command", [("items",), ("show", "IP-2026-11-0001")])
def test_a_damaged_ledger_is_told_and_not_traced(office: Office, command: tuple[str, ...]) -> None:
    office.ledger.write_bytes(b"no database " * 1000)

    result = office.run(*command)

    assert result.exit_code == 1
    assert "restore the last backup" in result.stderr


@pytest.mark.parametrize("title", ["[/] [red]merah[/red] [/nothing]", "a\x1b[31mb\x07", "🔥 'x'; \"y\""])
def test_titles_are_shown_as_text_never_as_markup_or_control(office: Office, title: str) -> None:
    item = office.accept(title)

    for result in (office.run("items"), office.run("show", item.number)):
        assert result.exit_code == 0, result.exception
        assert "\x1b" not in result.output
        assert "\x07" not in result.output
    assert office.json("items")[0]["title"] == title


def test_one_item_is_shown_with_all_that_happened_to_it(office: Office) -> None:
    item = office.accept(played=True)

    value = office.json("show", item.number)

    assert value["number"] == item.number
    assert value["record"]["channels"] == ["arsip", "radio", "videotron"]
    assert value["record"]["start"] == NOON.isoformat()
    assert value["totals"] == [
        {"destination": "gate", "plays": 1, "seconds": 6.0, "first_at": NOON.isoformat(), "last_at": NOON.isoformat()}
    ]
    assert value["waiting"] == []
    events = [(event["event"], event["by"]) for event in value["events"]]
    assert events[0] == ("ItemChanged", "hub")
    assert events[-1] == ("Played", "videotron")
    assert {"seq", "at", "by", "event", "started_at", "seconds"} <= value["events"][-1].keys()
    shown = office.run("show", item.number).output
    assert "1 times, 6.0 s" in shown
    assert "12:00:00" in shown  # WITA


def test_an_unknown_item_is_no(office: Office) -> None:
    office.accept()

    result = office.run("show", "IP-2020-01-0001")

    assert (result.exit_code, "there is no item" in result.stderr) == (1, True)


def test_people_read_their_own_time_and_round_seconds_while_machines_get_them_exact(office: Office) -> None:
    item = office.accept(played=True, seconds=5.999878979000641)

    shown = office.run("show", item.number).output
    events = office.json("show", item.number)["events"]

    assert "seconds=6.0" in shown
    assert "started_at=2026-11-22 12:00:00" in shown.replace("\n", " ")
    assert "5.9998" not in shown
    assert "+00:00" not in shown
    assert (events[-1]["seconds"], events[-1]["started_at"]) == (5.999878979000641, NOON.isoformat())


def test_a_fact_with_a_time_of_its_own_keeps_both_times(office: Office) -> None:
    item = office.accept()
    aired = Aired(
        delivery="d", item=item.number, airing="a.1", destination="abdi-persada", state=AiringState.AIRED,
        at=NOON - timedelta(hours=1), seconds=5.0,
    )  # fmt: skip
    db = open_for_writing(office.ledger)
    facts.add(db, "radio", "a.1/aired", aired, now=NOON)
    db.close()

    event = office.json("show", item.number)["events"][-1]
    shown = office.run("show", item.number)

    assert (event["at"], event["happened_at"]) == (NOON.isoformat(), (NOON - timedelta(hours=1)).isoformat())
    assert shown.exit_code == 0, shown.exception


ROWS = (
    ("arsip", DeliveryState.DELIVERED, "Arsip/2026/11/IP-2026-11-0001"),
    ("/var/lib/siarhub/plugins/kopi/copies", DeliveryState.DELIVERED, "a file"),
    ("lobby", DeliveryState.FAILED, "too small"),
    ("hall", DeliveryState.HANDED_OVER, "in the playlist"),
    ("roof", DeliveryState.PLANNED, "no room"),
)


def test_items_fit_on_a_terminal_of_80_and_say_why_only_where_something_waits_or_is_wrong(office: Office) -> None:
    item = office.accept("Imbauan Siaga Kebakaran Hutan dan Lahan bagi Seluruh Warga")
    db = open_for_writing(office.ledger)
    for where, state, reason in ROWS:
        delivery = Delivery(key=f"{item.number}/{where}", item=item.number, destination=where)
        deliveries.plan(db, item, where, [delivery], now=NOON, transcode_at=NOON)
        row = deliveries.get(db, where, delivery.key)
        assert row is not None
        deliveries.change(db, row, state, reason, now=NOON)
    db.close()

    shown = office.run("items").output

    assert max(len(line) for line in shown.splitlines()) <= 80
    for line in ("arsip: delivered", "copies: delivered", "lobby: failed (too small)", "roof: planned (no room)"):
        assert any(one.rstrip().endswith(line) for one in shown.splitlines()), (line, shown)
    assert "hall: handed over (in the" in shown
    assert "Arsip/2026" not in shown


def accept_many(office: Office, count: int) -> list[str]:
    return [office.accept(f"item {number}").number for number in range(1, count + 1)]


def numbers(office: Office, *arguments: object) -> list[str]:
    return [row["number"] for row in office.json("items", *arguments)]


def test_items_come_page_by_page_from_the_newest_back_or_from_one_item_on(office: Office) -> None:
    every = accept_many(office, 5)

    assert numbers(office) == every
    assert numbers(office, "--limit", 2) == every[3:]
    assert numbers(office, "--limit", 2, "--before", every[3]) == every[1:3]
    assert numbers(office, "--limit", 2, "--before", every[1]) == every[:1]
    assert numbers(office, "--limit", 2, "--after", every[1]) == every[2:4]
    assert numbers(office, "--after", every[0], "--before", every[4], "--limit", 2) == every[2:4]
    assert numbers(office, "--after", every[4]) == []
    assert numbers(office, "--limit", 0) == every


def test_the_first_page_holds_fifty_and_says_how_to_get_the_next(office: Office) -> None:
    every = accept_many(office, 53)

    assert numbers(office) == every[3:]
    assert f"Older ones: --before {every[3]}" in office.run("items").stdout
    assert f"Newer ones: --after {every[1]}" in office.run("items", "--after", every[0], "--limit", 1).stdout
    assert "ones:" not in office.run("items", "--limit", 0).stdout
    assert "ones:" not in office.run("items", "--before", every[3]).stdout


def test_items_of_some_states_come_in_order_of_their_numbers(office: Office) -> None:
    every = accept_many(office, 4)
    db = sqlite3.connect(office.ledger)
    db.executemany("UPDATE item SET state = ? WHERE number = ?", [("ended", every[0]), ("withdrawn", every[2])])
    db.commit()
    db.close()

    assert numbers(office, "--state", "ended") == [every[0]]
    assert numbers(office, "--state", "withdrawn", "--state", "ended") == [every[0], every[2]]
    assert numbers(office, "--state", "active", "--limit", 1) == [every[3]]
    assert office.run("items", "--state", "gone").exit_code == 2


def test_a_page_beside_an_item_that_is_not_there_says_so(office: Office) -> None:
    office.accept()

    result = office.run("items", "--before", "IP-2020-01-0001")

    assert (result.exit_code, "IP-2020-01-0001" in result.stderr) == (1, True)
