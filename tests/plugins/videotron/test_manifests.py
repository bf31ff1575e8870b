"""Which player should hold and play what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.api import Channel, DeliveryState, ItemState, MediaKind, Priority
from hub.testing import NOON, make_asset, make_current, make_item, make_media, make_rendition
from plugins.videotron.contents import cut
from plugins.videotron.manifests import pictures_of, plan, playlist_items, screens_of, to_show, unknown_screens
from plugins.videotron.settings import ScreenSettings

SCREENS = {
    "gate-1": ScreenSettings(width=768, height=384, groups=("gates",)),
    "gate-2": ScreenSettings(width=1920, height=540, groups=("gates",)),
    "hall-1": ScreenSettings(width=1080, height=1920, still_seconds=7),
}


@pytest.fixture
def current(tmp_path):
    def make(number="IP-2026-11-0001", screen="hall-1", state=DeliveryState.HANDED_OVER, **changes):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(number.encode())
        item = make_item(number, screens=(screen,), **changes)
        [delivery] = plan(item, SCREENS)
        rendition = make_rendition(path, item.assets[0], delivery.wants[0].profile)
        return make_current(delivery, item, rendition, state=state)

    return make


def shown(*deliveries, now=NOON, withdrawn=()):
    return [c.item.number for c in to_show(deliveries, now=now, withdrawn=withdrawn)]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ((), ["gate-1", "gate-2", "hall-1"]),
        (("gates",), ["gate-1", "gate-2"]),
        (("Hall-1 ",), ["hall-1"]),
        (("gates", "gate-1"), ["gate-1", "gate-2"]),
        (("nowhere",), []),
    ],
)
def test_an_item_goes_to_the_screens_and_groups_it_names_or_to_all(named, expected):
    assert screens_of(make_item(screens=named), SCREENS) == expected


def test_an_item_for_other_channels_goes_to_no_screen():
    assert plan(make_item(channels=frozenset({Channel.RADIO})), SCREENS) == []


def test_an_unknown_screen_is_named_with_the_nearest_known_one():
    unknown = unknown_screens(make_item(screens=("gate1", "GATE-2", "xyz")), SCREENS)

    assert [(u.name, u.nearest) for u in unknown] == [("gate1", "gate-1"), ("xyz", "")]
    assert unknown[0].known == ("gate-1", "gate-2", "gates", "hall-1")


def test_each_screen_gets_one_delivery_in_its_own_profile():
    deliveries = plan(make_item(), SCREENS)

    assert [d.key for d in deliveries] == [f"IP-2026-11-0001/{screen}" for screen in SCREENS]
    profile = deliveries[2].wants[0].profile
    assert (profile.width, profile.height, profile.still_s) == (1080, 1920, 7)


def test_the_cover_picture_of_a_recording_is_not_shown():
    recording = make_asset(media=make_media(MediaKind.AUDIO, video_codec="mjpeg"), name="a.mp3")
    poster = make_asset(media=make_media(MediaKind.DOCUMENT), name="b.pdf")

    assert pictures_of(make_item(assets=(recording, poster))) == [poster]
    assert plan(make_item(assets=(recording,)), SCREENS) == []


def test_only_what_is_made_and_in_or_before_its_window_is_shown(current):
    late = {"end": NOON + timedelta(hours=1)}

    assert shown(current(**late)) == ["IP-2026-11-0001"]
    assert shown(current(**late), now=NOON + timedelta(hours=1)) == []
    assert shown(current(start=NOON + timedelta(days=1), state=DeliveryState.PLAYED)) == ["IP-2026-11-0001"]
    assert shown(current(), withdrawn={"IP-2026-11-0001"}) == []
    assert [shown(current(state=state)) for state in (DeliveryState.TRANSCODING, DeliveryState.WITHDRAWN)] == [[], []]


def test_an_item_taken_back_is_not_shown_whatever_its_delivery_says(current):
    delivery = current()
    gone = replace(delivery, item=replace(delivery.item, state=ItemState.WITHDRAWN))

    assert shown(gone) == []


def test_urgent_items_come_first_then_the_older(current):
    deliveries = [
        current("IP-2026-11-0003"),
        current("IP-2026-11-0002", start=NOON - timedelta(days=1)),
        current("IP-2026-11-0004", priority=Priority.URGENT),
    ]

    assert shown(*deliveries) == ["IP-2026-11-0004", "IP-2026-11-0002", "IP-2026-11-0003"]


def test_a_playlist_has_what_is_meant_for_this_player_and_can_be_read(current):
    one, two, lost = current(), current("IP-2026-11-0002", screen="gate-1"), current("IP-2026-11-0003")
    [rendition] = one.renditions
    contents = {rendition.sha256: cut(rendition.path, rendition.sha256, 4096)}

    [item] = playlist_items("hall-1", [one, two, lost], contents)

    assert (item.item, item.sha256, item.size) == ("IP-2026-11-0001", rendition.sha256, 15)
    assert (item.start, item.end, item.seconds) == (one.item.start, one.item.end, 6.0)
