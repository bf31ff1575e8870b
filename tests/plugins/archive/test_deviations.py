from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import Approval, JournalEntry, OrderGiven
from hub.testing import NOON, make_item
from plugins.archive.deviations import COLUMNS, deviations_csv
from plugins.archive.events import append_lines, line_of
from plugins.archive.report import Line, list_csv
from plugins.archive.settings import ArchiveSettings

WITA = ZoneInfo("Asia/Makassar")


def given(seq: int, name: str, *, done: bool = True, why: str = "banjir") -> tuple[int, str]:
    fact = OrderGiven(order=seq, name=name, who="budi", why=why, done=done, outcome="on gate-1")
    return seq, line_of(JournalEntry(seq=seq, recorded_at=NOON, plugin="hub", fact=fact), WITA)


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))


def test_emergency_orders_are_listed_carried_out_or_refused_and_others_are_not(tmp_path: Path) -> None:
    events = tmp_path / "peristiwa.jsonl"
    orders = [given(3, "videotron.emergency"), given(5, "withdraw"), given(9, "videotron.blackout", done=False)]
    append_lines(events, orders)

    header, first, second = rows(deviations_csv(events))

    assert tuple(header) == COLUMNS
    assert first[2:6] == ["siaran darurat (videotron)", "budi", "banjir", "ya"]
    assert first[1].startswith("2026-11-22T12:00")
    assert (second[2], second[5], second[7]) == ("layar dipadamkan (videotron)", "tidak", "9")


def test_without_any_there_is_no_list_and_a_reason_is_no_formula(tmp_path: Path) -> None:
    events = tmp_path / "peristiwa.jsonl"
    assert deviations_csv(events) == b""
    append_lines(events, [given(1, "withdraw")])
    assert deviations_csv(events) == b""

    append_lines(events, [given(2, "videotron.clear", why="=1+1")])

    assert rows(deviations_csv(events))[1][4] == "'=1+1"


def test_an_item_without_the_usual_approval_says_so_in_the_list() -> None:
    approval = Approval(number="DARURAT-20261122-120000", date=date(2026, 11, 22), approver="budi")
    line = Line(number=make_item().number, item=make_item(approval=approval), totals=(), place="x")

    assert b"penyimpangan: siaran darurat" in list_csv([line], ArchiveSettings(), WITA)


async def test_an_emergency_order_is_in_its_months_folder_at_once(archive: Any, check_bag: Any) -> None:
    fact = OrderGiven(order=1, name="videotron.emergency", who="budi", why="banjir", done=True, outcome="on gate-1")

    await archive.plugin.hub_facts(entries=archive.tell(fact, plugin="hub"))

    [path] = archive.root.rglob("Daftar Penyimpangan 2026-11.csv")
    assert rows(path.read_bytes())[1][3] == "budi"
    check_bag(path.parents[1])
