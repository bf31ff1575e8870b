"""What follows from a play list at a given time: pure, so without any player."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plugins.videotron.player.reconcile import Limits, plan, refusals
from plugins.videotron.protocol import Playlist, PlaylistItem, Screen

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = Limits(file_bytes=1000, total_bytes=1500, entries=3)


def entry(number: int, *, start: datetime = NOON - HOUR, end: datetime = NOON + HOUR, size: int = 100) -> PlaylistItem:
    sha256 = f"{number:x}" * 64
    item = f"IP-2026-11-000{number}"
    return PlaylistItem(item=item, cid=sha256[:32], sha256=sha256, size=size, start=start, end=end, seconds=1.0)


def playlist(
    *items: PlaylistItem, serial: int = 5, issued: datetime = NOON - 2 * HOUR, aud: str = "gate-1"
) -> Playlist:
    return Playlist(aud=aud, serial=serial, issued=issued, screen=Screen(width=64, height=48), items=items)


def numbers(entries: Any) -> list[int]:
    return [int(e.item[-1]) for e in entries]


def test_plays_what_is_held_and_inside_its_window_in_the_order_of_the_list() -> None:
    items = [
        entry(3),
        entry(1),
        entry(2, start=NOON + timedelta(minutes=1)),
        entry(4, end=NOON),  # the end is the first instant at which it may no longer be shown
        entry(5, start=NOON),
        entry(6),
    ]
    held = {i.sha256 for i in items[:5]}

    result = plan(playlist(*items), held=held, broken=(), now=NOON)

    assert numbers(result.loop) == [3, 1, 5]
    assert numbers(result.fetch.values()) == [6]
    assert result.keep == {i.sha256 for i in items}
    assert result.next_change == NOON + timedelta(minutes=1)


def test_fetches_first_what_is_to_be_shown_first() -> None:
    items = [entry(1, start=NOON + 2 * HOUR, end=NOON + 3 * HOUR), entry(2, start=NOON + HOUR / 2), entry(3)]

    result = plan(playlist(*items), held=(), broken=(), now=NOON)

    assert numbers(result.fetch.values()) == [3, 2, 1]


def test_a_film_that_mpv_cannot_play_does_not_block_the_others() -> None:
    items = [entry(1), entry(2)]

    result = plan(playlist(*items), held={i.sha256 for i in items}, broken={items[0].sha256}, now=NOON)

    assert numbers(result.loop) == [2]


def test_a_place_in_the_loop_keeps_its_key_when_others_come_and_go() -> None:
    items = [entry(1), entry(2), entry(2)]
    held = {i.sha256 for i in items}

    before = plan(playlist(*items), held=held, broken=(), now=NOON).loop
    after = plan(playlist(*items[1:]), held=held, broken=(), now=NOON).loop

    assert before[1:] == after
    assert len({e.key for e in before}) == 3


def test_a_clock_of_before_the_play_list_counts_as_its_issue() -> None:
    item = entry(1, start=NOON - HOUR)

    result = plan(playlist(item, issued=NOON), held={item.sha256}, broken=(), now=datetime(2000, 1, 1, tzinfo=UTC))

    assert numbers(result.loop) == [1]


def test_a_clock_far_ahead_deletes_nothing() -> None:
    item = entry(1)

    result = plan(playlist(item), held={item.sha256}, broken=(), now=datetime(2099, 1, 1, tzinfo=UTC))

    assert not result.loop
    assert result.keep == {item.sha256}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (playlist(entry(1), aud="gate-2"), "gate-2"),
        (playlist(entry(1), serial=4), "older"),
        (playlist(entry(1), entry(2), entry(3), entry(4)), "4 entries"),
        (playlist(entry(1, size=1001)), "larger"),
        (playlist(entry(1, size=900), entry(2, size=900)), "larger"),
        (playlist(entry(1, size=10), entry(1, size=11)), "two sizes"),
        (playlist(entry(1).model_copy(update={"cid": "a" * 32})), "content id"),
    ],
)
def test_a_play_list_that_asks_too_much_or_lies_is_refused(wrong: Playlist, says: str) -> None:
    [reason] = refusals(wrong, player="gate-1", serial=5, limits=LIMITS)

    assert says in reason


def test_a_newer_play_list_within_the_limits_is_followed() -> None:
    assert not refusals(playlist(entry(1), entry(1)), player="gate-1", serial=4, limits=LIMITS)
