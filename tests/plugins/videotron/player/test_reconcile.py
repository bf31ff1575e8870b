"""What follows from a manifest at a given time: pure, so without any player."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from plugins.videotron.player.reconcile import plan
from plugins.videotron.protocol import Manifest, ManifestItem, Screen

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def entry(number: int, *, start: datetime = NOON - HOUR, end: datetime = NOON + HOUR, **changes: Any) -> ManifestItem:
    sha256 = f"{number:x}" * 64
    item = f"IP-2026-11-000{number}"
    facts = {"title": "", "start": start, "end": end, "seconds": 1.0, "fresh_s": 7 * 86400}
    return ManifestItem(item=item, cid=sha256[:32], sha256=sha256, size=100, **facts | changes)


def manifest(*items: ManifestItem, issued: datetime = NOON - 2 * HOUR, **changes: Any) -> Manifest:
    facts = {"site": "an-office", "aud": "gate-1", "keyset": 1, "epoch": 1, "seq": 5, "issued": issued}
    facts |= {"expires": issued + timedelta(days=7), "screen": Screen(width=64, height=48), "items": items}
    return Manifest(**facts | changes)


def numbers(entries: Any) -> list[int]:
    return [int(e.item[-1]) for e in entries]


def test_plays_what_is_held_and_inside_its_window_in_the_order_of_the_manifest() -> None:
    items = [
        entry(3),
        entry(1),
        entry(2, start=NOON + timedelta(minutes=1)),
        entry(4, end=NOON),  # the end is the first instant at which it may no longer be shown
        entry(5, start=NOON),
        entry(6),
    ]
    held = {i.sha256 for i in items[:5]}

    result = plan(manifest(*items), held=held, broken=(), now=NOON)

    assert numbers(result.loop) == [3, 1, 5]
    assert numbers(result.fetch.values()) == [6]
    assert result.keep == {i.sha256 for i in items}
    assert result.next_change == NOON + timedelta(minutes=1)


def test_fetches_first_what_is_to_be_shown_first() -> None:
    items = [entry(1, start=NOON + 2 * HOUR, end=NOON + 3 * HOUR), entry(2, start=NOON + HOUR / 2), entry(3)]

    result = plan(manifest(*items), held=(), broken=(), now=NOON)

    assert numbers(result.fetch.values()) == [3, 2, 1]


def test_a_film_that_mpv_cannot_play_does_not_block_the_others() -> None:
    items = [entry(1), entry(2)]

    result = plan(manifest(*items), held={i.sha256 for i in items}, broken={items[0].sha256}, now=NOON)

    assert numbers(result.loop) == [2]


def test_a_place_in_the_loop_keeps_its_key_when_others_come_and_go() -> None:
    items = [entry(1), entry(2), entry(2)]
    held = {i.sha256 for i in items}

    before = plan(manifest(*items), held=held, broken=(), now=NOON).loop
    after = plan(manifest(*items[1:]), held=held, broken=(), now=NOON).loop

    assert before[1:] == after
    assert len({e.key for e in before}) == 3


def test_a_manifest_that_has_expired_shows_nothing_and_fetches_nothing_but_deletes_nothing() -> None:
    old, new = entry(1, end=NOON + 99 * HOUR), entry(2, end=NOON + 99 * HOUR)

    result = plan(manifest(old, new, expires=NOON), held={old.sha256}, broken=(), now=NOON)

    assert (result.loop, result.fetch) == ((), {})
    assert result.keep == {old.sha256, new.sha256}


def test_what_an_override_shows_is_fetched_first_and_kept() -> None:
    item, film = entry(1), entry(2)

    result = plan(manifest(item), held=(), broken=(), now=NOON, urgent=[film])

    assert list(result.fetch.values()) == [film, item]
    assert film.sha256 in result.keep


def test_what_an_override_shows_is_fetched_without_a_manifest_and_with_an_expired_one_too() -> None:
    expired = manifest(entry(1), issued=NOON - timedelta(days=8))

    for followed in (None, expired):
        result = plan(followed, held=(), broken=(), now=NOON, urgent=[entry(2)])

        assert numbers(result.fetch.values()) == [2]
        assert result.loop == ()


def test_a_file_with_a_later_hour_is_fetched_then() -> None:
    item = entry(1, fetch_after=NOON + HOUR / 4)

    result = plan(manifest(item), held=(), broken=(), now=NOON)

    assert result.fetch == {}
    assert result.next_change == NOON + HOUR / 4
    assert plan(manifest(item), held=(), broken=(), now=NOON + HOUR / 4).fetch


def test_a_clock_far_ahead_deletes_nothing() -> None:
    item = entry(1)

    result = plan(manifest(item), held={item.sha256}, broken=(), now=datetime(2099, 1, 1, tzinfo=UTC))

    assert not result.loop
    assert result.keep == {item.sha256}
