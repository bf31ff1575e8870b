"""What the hub may conclude from what players say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.testing import NOON, FakeClock
from plugins.videotron.protocol import PlayerState
from plugins.videotron.roster import Roster, SnapshotFile, read_snapshot, write_snapshot
from plugins.videotron.settings import ScreenSettings

CID = "ab" * 16


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def roster(clock):
    return Roster({"gate-1": ScreenSettings(width=64, height=32)}, silent_after=timedelta(seconds=90), clock=clock)


def state(*, online: bool = True, holds: tuple[str, ...] = ()) -> PlayerState:
    return PlayerState(
        player="gate-1",
        online=online,
        software="x",
        boot="0" * 16,
        serial=1,
        playing=None,
        holds=holds,
        mpv="idle",
        free_bytes=1,
        clock=NOON,
    )


def test_a_retained_state_tells_what_a_player_holds_but_not_that_it_is_there(roster):
    news = roster.on_state("gate-1", state(holds=(CID,)), retained=True)

    assert news
    assert roster.holds("gate-1", [CID])
    assert not roster.online("gate-1")


def test_a_will_says_only_that_the_player_is_gone(roster):
    roster.on_state("gate-1", state(holds=(CID,)), retained=False)

    roster.on_state("gate-1", state(online=False), retained=False)

    assert not roster.online("gate-1")
    assert roster.holds("gate-1", [CID])


def test_a_silent_player_is_offline_after_its_time(roster, clock):
    roster.on_state("gate-1", state(), retained=False)
    clock.advance(timedelta(seconds=90))
    assert roster.online("gate-1")

    clock.advance(timedelta(seconds=1))

    assert roster.offline() == ["gate-1"]


def test_the_same_state_again_is_no_news(roster):
    roster.on_state("gate-1", state(holds=(CID,)), retained=False)

    assert not roster.on_state("gate-1", state(holds=(CID,)), retained=False)
    assert not roster.on_done("gate-1", CID)


def test_when_a_player_was_last_seen_outlives_the_hub(roster, clock, tmp_path):
    roster.on_state("gate-1", state(), retained=False)
    write_snapshot(
        tmp_path, clock.now(), roster.snapshot(serials={}, wanted={"gate-1": {CID}}, progress={"gate-1": (3, 8)})
    )
    clock.advance(timedelta(hours=1))

    later = Roster({"gate-1": ScreenSettings(width=64, height=32)}, silent_after=timedelta(seconds=90), clock=clock)
    rows = read_snapshot(tmp_path, clock.now())
    assert rows[0]["receiving"] == [3, 8]
    later.recall(rows)

    assert later.last_seen("gate-1") == NOON
    assert (rows[0]["online"], rows[0]["wanted"], rows[0]["held"]) == (False, 1, 0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"players": []}', '{"players": [], "written_at": 5}'])
def test_a_damaged_snapshot_is_as_good_as_none(tmp_path, text):
    (tmp_path / "players.json").write_text(text)

    assert read_snapshot(tmp_path, NOON) == []


def test_nobody_comes_back_online_through_a_write_that_was_late(roster, clock, tmp_path):
    roster.on_state("gate-1", state(), retained=False)
    rows = roster.snapshot(serials={}, wanted={}, progress={})
    file = SnapshotFile(tmp_path)

    file.end(clock.now(), rows)
    file.write(clock.now(), rows)

    assert [row["online"] for row in rows] == [True]
    assert [row["online"] for row in read_snapshot(tmp_path, clock.now())] == [False]
