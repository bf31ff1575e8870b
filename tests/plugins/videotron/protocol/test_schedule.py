"""What a screen shows when: windows, days, hours, freshness, shares, and when that changes."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.videotron.protocol import Manifest, WireError
from plugins.videotron.protocol.schedule import Loop, Why, loop_at, stale_at
from tests.plugins.videotron.protocol.making import DAY, HOUR, ISSUED, item, local, manifest

QUARTER = timedelta(minutes=15)


def order(loop: Loop) -> str:
    """The loop as the items' numbers."""
    return " ".join(str(int(entry.item[-4:])) for entry in loop.entries)


def why(loop: Loop) -> list[Why]:
    return [left.why for left in loop.left_out]


def answer(loop: Loop) -> Loop:
    return replace(loop, next_change=None)


def test_what_may_be_shown_comes_in_the_manifest_s_order() -> None:
    loop = loop_at(manifest(item(1), item(2), item(3)), now=ISSUED)

    assert order(loop) == "1 2 3"
    entry = loop.entries[0]
    assert (entry.title, entry.seconds, entry.cid) == ("film 1", 10.0, entry.sha256[:32])
    assert loop.left_out == ()
    assert not loop.expired


def test_a_window_opens_at_its_first_instant_and_closes_before_its_end() -> None:
    of = manifest(item(1, start=ISSUED + HOUR, end=ISSUED + 2 * HOUR))
    instant = timedelta(microseconds=1)

    loops = [loop_at(of, now=ISSUED + at) for at in (HOUR - instant, HOUR, 2 * HOUR - instant, 2 * HOUR)]

    assert [order(loop) for loop in loops] == ["", "1", "1", ""]
    assert [why(loop) for loop in loops] == [[Why.NOT_YET], [], [], [Why.OVER]]
    assert loops[0].next_change == ISSUED + HOUR
    assert loops[1].next_change == ISSUED + 2 * HOUR


def test_everything_that_is_left_out_says_why() -> None:
    of = manifest(
        item(1, end=ISSUED),
        item(2, start=ISSUED + DAY),
        item(3, days=(7,)),
        item(4, dayparts="06:00-09:00"),
        item(5, fresh_s=1),
        item(6),
        item(7),
        item(8),
    )
    held = {one.sha256 for one in of.items} - {of.items[5].sha256}

    loop = loop_at(of, now=ISSUED + timedelta(seconds=1), held=held, broken={of.items[6].sha256})

    assert {left.item[-1]: left.why for left in loop.left_out} == {
        "1": Why.OVER,
        "2": Why.NOT_YET,
        "3": Why.OTHER_DAY,
        "4": Why.OUTSIDE_HOURS,
        "5": Why.STALE,
        "6": Why.NOT_HELD,
        "7": Why.BROKEN,
    }
    assert order(loop) == "8"
    assert loop.left_out[0].title == "film 1"


def test_a_player_that_hears_nothing_shows_each_item_as_long_as_its_class_allows() -> None:
    news, poster = item(1, fresh_s=3600), item(2, fresh_s=7 * 86400)
    of = manifest(news, poster)

    assert order(loop_at(of, now=ISSUED + HOUR - timedelta(seconds=1))) == "1 2"
    assert order(loop_at(of, now=ISSUED + HOUR)) == "2"
    assert order(loop_at(of, now=ISSUED + 7 * DAY)) == ""
    assert [stale_at(of, one) for one in of.items] == [ISSUED + HOUR, ISSUED + 7 * DAY]


def test_after_the_manifest_has_expired_nothing_is_shown_and_nothing_changes_any_more() -> None:
    of = manifest(item(1), expires=ISSUED + DAY)

    assert loop_at(of, now=ISSUED).next_change == ISSUED + DAY
    loop = loop_at(of, now=ISSUED + DAY)

    assert (order(loop), loop.expired, why(loop)) == ("", True, [Why.EXPIRED])
    assert loop_at(of, now=ISSUED + 30 * DAY).next_change is None


def test_an_empty_manifest_is_an_answer_too() -> None:
    loop = loop_at(manifest(), now=ISSUED)

    assert (loop.entries, loop.left_out, loop.expired) == ((), (), False)


def test_an_urgent_item_begins_the_round_and_has_three_places_in_it() -> None:
    of = manifest(item(1), item(2), item(3, priority="urgent"), item(4), item(5))

    assert order(loop_at(of, now=ISSUED)) == "3 1 3 2 3 4 5"


def test_an_urgent_item_begins_the_round_even_beside_a_larger_share() -> None:
    of = manifest(item(1, share=8), item(2, priority="urgent"), item(3))

    assert order(loop_at(of, now=ISSUED)).split()[0] == "2"
    assert Counter(order(loop_at(of, now=ISSUED)).split()) == {"1": 8, "2": 3, "3": 1}


def test_an_urgent_item_with_a_larger_share_keeps_it() -> None:
    of = manifest(item(1, priority="urgent", share=5), item(2))

    assert Counter(order(loop_at(of, now=ISSUED)).split()) == {"1": 5, "2": 1}


@pytest.mark.parametrize(
    ("zone", "utc"), [("Asia/Jakarta", "23:00"), ("Asia/Makassar", "22:00"), ("Asia/Jayapura", "21:00")]
)
def test_each_screen_s_morning_begins_by_its_own_clock(zone: str, utc: str) -> None:
    of = manifest(item(1, dayparts="06:00-09:00"), zone=zone)

    change = loop_at(of, now=ISSUED + timedelta(hours=1)).next_change

    assert change is not None
    assert f"{change:%H:%M}" == utc
    assert order(loop_at(of, now=change)) == "1"
    assert order(loop_at(of, now=change - timedelta(microseconds=1))) == ""


def test_a_friday_night_goes_on_into_saturday_morning_and_not_into_friday_morning() -> None:
    of = manifest(item(1, days=(5,), dayparts="22:00-05:00"))

    shown = [order(loop_at(of, now=local(f"2026-11-{at}"))) for at in ("27 04:00", "27 23:00", "28 04:59", "28 05:00")]

    assert shown == ["", "1", "1", ""]


def test_the_last_night_ends_with_the_window_whatever_the_times_of_day_say() -> None:
    of = manifest(item(1, dayparts="22:00-05:00", end=local("2026-12-01 00:00")))

    loop = loop_at(of, now=local("2026-11-30 23:00"))

    assert loop.next_change == local("2026-12-01 00:00")
    assert why(loop_at(of, now=local("2026-12-01 00:00"))) == [Why.OVER]


def test_the_leap_day_and_the_end_of_february_are_days_like_any_other() -> None:
    issued = local("2028-02-27 00:00")
    of = manifest(item(1, days=(2, 3), start=issued, end=issued + 9 * DAY), issued=issued, expires=issued + 9 * DAY)
    now, changes = issued, []

    while (change := loop_at(of, now=now).next_change) and change < of.expires:
        changes.append(change.astimezone(ZoneInfo("Asia/Makassar")).strftime("%d %b"))
        now = change

    assert changes == ["29 Feb", "02 Mar"]


def test_a_clock_that_is_set_back_and_forward_gives_the_same_loop_with_the_same_keys() -> None:
    of = manifest(item(1, share=2), item(2, dayparts="06:00-09:00"), item(3))
    morning = local("2026-11-23 07:00")

    before = loop_at(of, now=morning)
    loop_at(of, now=morning - 3 * DAY)
    loop_at(of, now=morning + 3 * DAY)

    assert loop_at(of, now=morning) == before
    assert loop_at(of, now=morning.astimezone(UTC)) == before


def test_keys_stay_when_others_come_and_go_and_when_a_share_grows() -> None:
    same = "a" * 64
    first, second = item(1, sha256=same, dayparts="06:00-09:00"), item(1, sha256=same)
    morning, noon = local("2026-11-23 07:00"), local("2026-11-23 12:00")
    of = manifest(first, second, item(2, share=2))

    by_day = {entry.key for entry in loop_at(of, now=morning).entries}
    at_noon = {entry.key for entry in loop_at(of, now=noon).entries}
    grown = {entry.key for entry in loop_at(manifest(first, second, item(2, share=3)), now=noon).entries}

    assert len(by_day) == 4
    assert at_noon < by_day
    assert at_noon < grown


def test_items_with_several_films_show_each_of_them() -> None:
    of = manifest(item(1), item(1, sha256="b" * 64), item(2))

    assert order(loop_at(of, now=ISSUED)) == "1 1 2"


def test_a_zone_that_is_not_known_is_no_reason_to_guess() -> None:
    with pytest.raises(WireError, match="Asia/Atlantis"):
        loop_at(manifest(item(1), zone="Asia/Atlantis"), now=ISSUED)


def test_a_freshness_beyond_the_calendar_is_no_trouble() -> None:
    assert order(loop_at(manifest(item(1, fresh_s=(1 << 53) - 1)), now=ISSUED)) == "1"


def test_the_longest_manifest_is_worked_out_in_a_moment() -> None:
    of = manifest(*(item(n, dayparts="06:00-09:00, 22:00-05:00", days=(1, 2), share=3) for n in range(1, 1001)))
    begin = time.process_time()

    assert len(loop_at(of, now=local("2026-11-23 23:00")).entries) == 3000
    assert time.process_time() - begin < 1.0


ITEMS = st.builds(
    item,
    number=st.integers(1, 9),
    days=st.sets(st.integers(1, 7), max_size=3).map(lambda days: tuple(sorted(days))),
    dayparts=st.lists(
        st.tuples(st.integers(0, 23), st.sampled_from(("00", "15", "30")), st.integers(0, 23)), max_size=2
    ).map(lambda parts: ", ".join(f"{a:02}:{m}-{b:02}:45" for a, m, b in parts)),
    start=st.integers(-40, 400).map(lambda quarters: ISSUED + quarters * QUARTER),
    end=st.integers(0, 3000).map(lambda quarters: ISSUED + quarters * QUARTER),
    fresh_s=st.integers(1, 2000).map(lambda quarters: quarters * 900),
    share=st.integers(1, 10),
    priority=st.sampled_from(("urgent", "normal")),
)
MANIFESTS = st.builds(
    lambda items, zone, life: manifest(*items, zone=zone, expires=ISSUED + life * QUARTER),
    st.lists(ITEMS, max_size=4),
    st.sampled_from(("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura", "Europe/Berlin")),
    st.integers(1, 2500),
)


@settings(max_examples=25, deadline=None)
@given(MANIFESTS, st.integers(0, 14))
def test_over_weeks_the_answer_changes_when_it_was_foretold_and_never_else(of: Manifest, minutes: int) -> None:
    step = timedelta(minutes=5)  # every border lies on one, but the first look need not
    now = ISSUED - DAY + timedelta(minutes=minutes % 5)
    loop = loop_at(of, now=now)
    for ahead in range(1, 14 * 288):
        now = ISSUED - DAY + ahead * step
        fresh = loop_at(of, now=now)
        if loop.next_change is not None and now >= loop.next_change:
            assert now == loop.next_change
            assert answer(fresh) != answer(loop)
        else:
            assert answer(fresh) == answer(loop)
        loop = fresh


@settings(max_examples=100, deadline=None)
@given(MANIFESTS, st.integers(0, 1500))
def test_shares_hold_keys_are_unique_and_nothing_is_shown_that_may_not_be(of: Manifest, quarters: int) -> None:
    now = ISSUED + quarters * QUARTER

    loop = loop_at(of, now=now)

    assert len({entry.key for entry in loop.entries}) == len(loop.entries)
    assert loop == loop_at(Manifest.model_validate_json(of.model_dump_json()), now=now)
    shown = Counter(entry.key.rpartition("/")[0] for entry in loop.entries)
    assert len(shown) + len(loop.left_out) == len(of.items)
    allowed = [one for one in of.items if one.start <= now < stale_at(of, one)]
    assert {entry.item for entry in loop.entries} <= {one.item for one in allowed}
    if any(one.priority == "urgent" for one in of.items) and loop.entries:
        urgent = {one.item for one in of.items if one.priority == "urgent"}
        assert loop.entries[0].item in urgent or not urgent & {entry.item for entry in loop.entries}


VECTORS = json.loads((Path(__file__).parent / "schedule_vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=[one["name"] for one in VECTORS])
def test_the_published_vectors_hold(vector: Any) -> None:
    of = Manifest.model_validate_json(json.dumps(vector["manifest"]))

    loop = loop_at(of, now=datetime.fromisoformat(vector["now"]))

    assert [entry.key for entry in loop.entries] == vector["loop"]
    assert [[left.item, left.why] for left in loop.left_out] == vector["left_out"]
    assert loop.next_change == (vector["next_change"] and datetime.fromisoformat(vector["next_change"]))
    assert loop.expired is vector["expired"]
