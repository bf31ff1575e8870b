"""What the hub may conclude from what players say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.testing import NOON, FakeClock
from plugins.videotron.protocol import Attack, PlayerState, Playing, Refused
from plugins.videotron.screens.roster import Roster
from plugins.videotron.settings import ScreenSettings

CID = "ab" * 16


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def roster(clock):
    return Roster({"gate-1": ScreenSettings(width=64, height=32)}, silent_after=timedelta(seconds=90), clock=clock)


def state(n: int = 1, **changes: Any) -> PlayerState:
    facts: dict[str, Any] = {
        "player": "gate-1",
        "online": True,
        "software": "x",
        "boot": "0" * 16,
        "boots": 1,
        "n": n,
        "keyset": 1,
        "epoch": 1,
        "seq": 1,
        "override": 0,
        "command": 0,
        "shows": "items",
        "playing": None,
        "holds": (),
        "mpv": "idle",
        "free_bytes": 1,
        "clock": NOON,
        "time": NOON,
        "chain": "0" * 16,
        "proof_seq": 0,
    }
    return PlayerState(**facts | changes)


def test_the_last_state_again_and_again_does_not_make_a_player_seem_to_be_there(roster, clock):
    roster.on_state("gate-1", state(n=5), retained=False)
    clock.advance(timedelta(minutes=2))

    news = roster.on_state("gate-1", state(n=5), retained=False)

    assert not news
    assert not roster.online("gate-1")
    assert roster.last_seen("gate-1") == NOON


def test_a_retained_state_tells_what_a_player_holds_but_not_that_it_is_there(roster):
    news = roster.on_state("gate-1", state(holds=(CID,)), retained=True)

    assert news
    assert roster.holds("gate-1", [CID])
    assert not roster.online("gate-1")


def test_a_will_says_only_that_the_player_is_gone(roster):
    roster.on_state("gate-1", state(2, holds=(CID,)), retained=False)

    roster.on_state("gate-1", state(1, online=False), retained=False)

    assert not roster.online("gate-1")
    assert roster.holds("gate-1", [CID])


def test_the_will_of_an_earlier_start_says_nothing(roster):
    roster.on_state("gate-1", state(1, boots=2), retained=False)

    roster.on_state("gate-1", state(99, boots=1, online=False), retained=False)

    assert roster.online("gate-1")


def test_a_silent_player_is_offline_after_its_time(roster, clock):
    roster.on_state("gate-1", state(), retained=False)
    clock.advance(timedelta(seconds=90))
    assert roster.online("gate-1")

    clock.advance(timedelta(seconds=1))

    assert roster.offline() == ["gate-1"]


def test_the_same_state_again_is_no_news_and_no_attack(roster):
    roster.on_state("gate-1", state(holds=(CID,)), retained=False)

    assert not roster.on_state("gate-1", state(holds=(CID,)), retained=True)
    assert not roster.on_state("gate-1", state(2, holds=(CID,)), retained=False)


@pytest.mark.parametrize("older", [{"n": 4, "clock": NOON - timedelta(minutes=2)}, {"n": 99, "boots": 1}])
def test_a_state_that_comes_again_later_is_refused_and_keeps_nobody_alive(roster, clock, older):
    roster.on_state("gate-1", state(5, boots=2, holds=(CID,)), retained=False)
    clock.advance(timedelta(seconds=91))

    with pytest.raises(Refused) as refused:
        roster.on_state("gate-1", state(**{"boots": 2} | older), retained=False)

    assert refused.value.attack is Attack.REPLAYED
    assert not roster.online("gate-1")
    assert roster.holds("gate-1", [CID])


def test_a_state_that_was_overtaken_on_its_way_is_neither_news_nor_an_attack(roster, clock):
    roster.on_state("gate-1", state(5, holds=(CID,)), retained=False)
    clock.advance(timedelta(seconds=91))

    assert not roster.on_state("gate-1", state(4, clock=NOON - timedelta(seconds=20)), retained=False)

    assert roster.holds("gate-1", [CID])
    assert not roster.online("gate-1")


def test_two_states_under_one_number_are_refused(roster):
    roster.on_state("gate-1", state(5), retained=False)

    with pytest.raises(Refused) as refused:
        roster.on_state("gate-1", state(5, holds=(CID,)), retained=False)

    assert refused.value.attack is Attack.EQUIVOCATION
    assert not roster.holds("gate-1", [CID])


def test_a_new_machine_at_the_screen_counts_from_its_own_beginning(roster):
    roster.on_state("gate-1", state(500, boots=7), retained=False, key="old")

    roster.on_state("gate-1", state(1, boots=1, holds=(CID,)), retained=False, key="new")

    assert roster.holds("gate-1", [CID])


def test_the_clock_is_judged_by_what_comes_live_alone(roster, clock):
    roster.on_state("gate-1", state(1, clock=NOON - timedelta(days=9)), retained=True)
    assert roster.seen("gate-1").clock_offset is None

    roster.on_state("gate-1", state(2, clock=NOON - timedelta(hours=3)), retained=False)

    assert roster.seen("gate-1").clock_offset == timedelta(hours=-3)


def test_it_is_known_since_when_it_shows_what_it_shows(roster, clock):
    playing = Playing(item="IP-1", cid=CID, since=NOON, position=1.0)
    roster.on_state("gate-1", state(1, playing=playing), retained=False)
    clock.advance(timedelta(seconds=5))
    roster.on_state("gate-1", state(2, playing=playing.model_copy(update={"position": 6.0})), retained=False)
    assert roster.seen("gate-1").shows_since == NOON

    roster.on_state("gate-1", state(3, shows="fallback"), retained=False)

    assert roster.seen("gate-1").shows_since == clock.now()


def test_what_must_not_come_again_outlives_the_hub(roster, clock):
    rows = [{"player": "gate-1", "last_seen": NOON.isoformat(), "key": "k", "boots": 3, "n": 8}]

    roster.recall([*rows, {"player": "gone-1"}])

    assert roster.last_seen("gate-1") == NOON
    with pytest.raises(Refused):
        roster.on_state("gate-1", state(7, boots=3), retained=True, key="k")
    assert roster.on_state("gate-1", state(8, boots=3), retained=True, key="k")


def test_a_player_that_said_goodbye_is_there_again_with_its_next_state(roster):
    roster.on_state("gate-1", state(1), retained=False)
    roster.on_state("gate-1", state(1, online=False), retained=False)

    assert roster.on_state("gate-1", state(2), retained=False)

    assert roster.online("gate-1")


def test_a_screen_whose_machine_was_revoked_is_never_heard_until_another_one_speaks(roster):
    roster.on_state("gate-1", state(n=5, holds=(CID,)), retained=False, key="old")

    roster.forget("gate-1")
    roster.forget("nobody")

    assert roster.seen("gate-1").last_seen is None
    assert not roster.online("gate-1")
    assert not roster.holds("gate-1", [CID])
    roster.on_state("gate-1", state(n=1), retained=False, key="new")
    assert roster.online("gate-1")
