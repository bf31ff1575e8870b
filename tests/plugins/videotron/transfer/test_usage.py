"""Bytes are counted for whom they were sent, by day and film, and survive everything but the last seconds."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.api.files import sha256_of
from hub.testing import FakeClock
from plugins.videotron.transfer.contents import Content, cut
from plugins.videotron.transfer.offers import Offer
from plugins.videotron.transfer.sender import Sent
from plugins.videotron.transfer.usage import Row, Usage, read_usage

WITA = ZoneInfo("Asia/Makassar")
EVENING = datetime(2026, 11, 30, 15, 30, tzinfo=UTC)  # 23:30 in Banjarbaru, on the last day of the month


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(EVENING)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    return cut(film, sha256_of(film), 1024, "site")


@pytest.fixture
def offer(content: Content) -> Offer:
    return Offer(content=content, items=("IP-2026-11-0001",))


def make(folder: Path, clock: FakeClock) -> Usage:
    usage = Usage(folder / "usage.sqlite3", zone_of=lambda player: WITA, clock=clock)
    usage.load()
    return usage


def group(offer: Offer, *players: str, size: int = 1000) -> Sent:
    return Sent(offer=offer, players=list(players), size=size, alone=False)


def alone(offer: Offer, player: str, size: int = 1000) -> Sent:
    return Sent(offer=offer, players=[player], size=size, alone=True)


def test_a_block_to_a_group_counts_for_each_in_it_and_one_alone_for_that_one(
    tmp_path: Path, clock: FakeClock, offer: Offer
) -> None:
    usage = make(tmp_path, clock)

    usage.count(group(offer, "gate-1", "gate-2"))
    usage.count(alone(offer, "gate-2", size=10))
    usage.write()

    first, second = read_usage(tmp_path / "usage.sqlite3")
    assert first == Row(
        player="gate-1", day="2026-11-30", cid=offer.content.cid, items=("IP-2026-11-0001",), alone=0, grouped=1000
    )
    assert (second.player, second.alone, second.grouped) == ("gate-2", 10, 1000)
    assert usage.row("gate-2") == {"bytes_today": 1010, "bytes_month": 1010}


def test_days_and_months_are_those_of_the_screens_zone(tmp_path: Path, clock: FakeClock, offer: Offer) -> None:
    usage = make(tmp_path, clock)
    usage.count(alone(offer, "gate-1"))

    clock.advance(timedelta(hours=1))  # past midnight there, not yet in UTC
    usage.count(alone(offer, "gate-1", size=7))
    usage.write()

    assert usage.row("gate-1") == {"bytes_today": 7, "bytes_month": 7}
    assert [row.day for row in read_usage(tmp_path / "usage.sqlite3")] == ["2026-11-30", "2026-12-01"]
    assert [row.alone for row in read_usage(tmp_path / "usage.sqlite3", month="2026-12")] == [7]


def test_the_month_goes_on_after_a_restart(tmp_path: Path, clock: FakeClock, offer: Offer) -> None:
    before = make(tmp_path, clock)
    before.count(alone(offer, "gate-1", size=5))
    before.write()

    after = make(tmp_path, clock)
    after.count(alone(offer, "gate-1", size=6))
    after.write()

    assert after.row("gate-1")["bytes_month"] == 11
    assert sum(row.alone for row in read_usage(tmp_path / "usage.sqlite3")) == 11


def test_what_could_not_be_written_is_written_the_next_time(tmp_path: Path, clock: FakeClock, offer: Offer) -> None:
    usage = make(tmp_path, clock)
    usage.count(alone(offer, "gate-1"))
    other = sqlite3.connect(tmp_path / "usage.sqlite3", timeout=0)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(sqlite3.OperationalError):
        usage.write()
    other.rollback()
    other.close()
    usage.count(alone(offer, "gate-1"))
    usage.write()

    assert [row.alone for row in read_usage(tmp_path / "usage.sqlite3")] == [2000]


def test_a_damaged_file_is_set_aside_and_counting_begins_anew(tmp_path: Path, clock: FakeClock, offer: Offer) -> None:
    (tmp_path / "usage.sqlite3").write_bytes(b"no database" * 1000)

    usage = make(tmp_path, clock)
    usage.count(alone(offer, "gate-1"))
    usage.write()

    assert usage.row("gate-1")["bytes_today"] == 1000
    assert (tmp_path / "usage.sqlite3.damaged").exists()


def test_a_screen_over_its_monthly_limit_is_named_with_the_figures(
    tmp_path: Path, clock: FakeClock, offer: Offer
) -> None:
    usage = make(tmp_path, clock)
    usage.count(group(offer, "gate-1", "gate-2", "gate-3", size=3_000_000))

    told = usage.over({"gate-1": 2, "gate-2": 4, "gate-3": 0})

    assert len(told) == 1
    assert "gate-1 was sent 3 MB this month, its limit is 2 MB" in told[0]


async def test_a_transfer_is_in_the_figures_of_its_screens_also_after_the_hub_has_stopped(
    broker: Any, tools: Any, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 160
    async with tools.make_station(broker, tmp_path, screens=("gate-1",)).running() as station:
        async with tools.on(tools.SmallPlayer("gate-1", station.broker)):
            await station.deliver(data)
            await tools.until(lambda: station.delivered())
        folder = station.exchange._context.state_dir
        await tools.until(lambda: json.loads((folder / "players.json").read_text())["players"][0]["bytes_today"])

    [row] = read_usage(folder / "usage.sqlite3")
    assert (row.player, row.items) == ("gate-1", ("IP-2026-11-0001",))
    assert row.alone + row.grouped >= len(data)
