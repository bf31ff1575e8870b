"""What the hub told its players outlives it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.testing import NOON, make_current, make_item, make_rendition
from plugins.videotron.contents import cut
from plugins.videotron.manifests import plan, playlist_items
from plugins.videotron.protocol import Playlist, Screen, decode
from plugins.videotron.settings import ScreenSettings
from plugins.videotron.store import Store

SCREEN = Screen(width=64, height=32)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "s.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def shown(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"film")
    item = make_item()
    [delivery] = plan(item, {"gate-1": ScreenSettings(width=64, height=32)})
    rendition = make_rendition(path, item.assets[0], delivery.wants[0].profile)
    return [make_current(delivery, item, rendition)], {rendition.sha256: cut(path, rendition.sha256, 1024)}


def test_the_same_content_keeps_its_serial_and_its_bytes_even_after_a_restart(store, shown, tmp_path):
    deliveries, contents = shown
    items = playlist_items("gate-1", deliveries, contents)
    first = store.issue("gate-1", SCREEN, items, deliveries, NOON)

    again = Store(tmp_path / "s.sqlite3")
    second = again.issue("gate-1", SCREEN, items, deliveries, NOON + timedelta(hours=1))
    again.close()

    assert second == first


def test_another_content_gets_a_higher_serial_though_the_clock_went_back(store, shown):
    deliveries, contents = shown
    first = store.issue("gate-1", SCREEN, (), (), NOON)

    second = store.issue(
        "gate-1", SCREEN, playlist_items("gate-1", deliveries, contents), deliveries, NOON.replace(year=1999)
    )

    assert second.serial > first.serial >= int(NOON.timestamp())
    assert decode(Playlist, second.document).items[0].item == "IP-2026-11-0001"


def test_what_was_given_stays_known_when_it_is_no_longer_in_the_playlist(store, shown):
    deliveries, contents = shown
    [item] = playlist_items("gate-1", deliveries, contents)
    store.issue("gate-1", SCREEN, (item,), deliveries, NOON)
    store.issue("gate-1", SCREEN, (), (), NOON)

    given = store.given("gate-1", [(item.item, item.cid), (item.item, "0" * 32)])

    assert given[item.item, item.cid].delivery == "IP-2026-11-0001/gate-1"
    assert len(given) == 1
    assert store.given("gate-2", [(item.item, item.cid)]) == {}


def test_a_screen_that_is_gone_keeps_its_size_in_its_last_empty_playlist(store, shown):
    store.issue("gate-1", SCREEN, playlist_items("gate-1", *shown), shown[0], NOON)

    last = store.issue("gate-1", None, (), (), NOON)

    assert decode(Playlist, last.document).screen == SCREEN
    assert store.players() == ["gate-1"]


def test_retained_topics_are_remembered_until_they_are_cleared(store):
    store.will_retain(["a", "b", "a"])
    store.cleared(["a"])

    assert store.retained() == {"b"}


def test_a_damaged_database_is_set_aside_and_begun_anew(tmp_path):
    path = tmp_path / "videotron.sqlite3"
    path.write_bytes(b"rubbish" * 1000)

    Store(path).close()
    Store(path).close()

    assert path.with_name("videotron.sqlite3.damaged").read_bytes() == b"rubbish" * 1000
