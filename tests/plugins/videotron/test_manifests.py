"""Which player should hold and play what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.api import Channel, Classification, DeliveryState, ItemState, MediaKind, Priority
from hub.testing import NOON, make_asset, make_current, make_item, make_media, make_rendition
from plugins.videotron import manifests
from plugins.videotron.manifests import pictures_of, plan, programme, screens_of, to_show, unknown_screens
from plugins.videotron.settings import OfflineSettings, ScreenSettings
from plugins.videotron.transfer.contents import cut

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


def programme_of(*deliveries, **changes):
    contents = {
        rendition.sha256: cut(rendition.path, rendition.sha256, 4096, "an-office")
        for current in deliveries
        for rendition in current.renditions
    }
    facts = {"offline": OfflineSettings(), "fetch_after": lambda urgent: None, **changes}
    return programme(deliveries, contents, **facts)


def test_a_manifest_says_of_each_film_what_the_item_says(current):
    one = current(days=(1, 2), dayparts="06:00-09:00, 22:00-00:00", share=3)

    [film] = programme_of(one).items

    assert (film.item, film.sha256, film.size) == ("IP-2026-11-0001", one.renditions[0].sha256, 15)
    assert (film.start, film.end, film.seconds, film.share) == (one.item.start, one.item.end, 6.0, 3)
    assert film.days == (1, 2)
    assert [(part.start, part.end) for part in film.dayparts] == [("06:00", "09:00"), ("22:00", "00:00")]


def test_a_file_that_could_not_be_loaded_is_left_out(current):
    assert programme([current()], {}, offline=OfflineSettings(), fetch_after=lambda urgent: None).items == ()


def test_a_template_is_kept_ready_and_never_in_the_loop(current):
    flood, spare = current(template="banjir"), current("IP-2026-11-0002", template="cadangan")
    plain = current("IP-2026-11-0003")

    made = programme_of(flood, spare, plain)

    assert [film.item for film in made.items] == ["IP-2026-11-0003"]
    assert [(film.item, film.name) for film in made.standby] == [("IP-2026-11-0001", "banjir")]
    assert made.fallback.item == "IP-2026-11-0002"
    assert len(made.files()) == 3


def test_what_an_emergency_needs_has_its_place_however_many_templates_were_dropped(current, monkeypatch):
    monkeypatch.setattr(manifests, "MAX_STANDBY", 3)
    old = [current(f"IP-2026-11-000{n}", template="banjir", priority=Priority.URGENT) for n in range(1, 5)]
    newest = current("IP-2026-11-0005", template="banjir", accepted_at=NOON + timedelta(hours=1))
    other = current("IP-2026-11-0006", template="gempa")
    own = current("IP-2026-11-0007")

    made = programme_of(*old, newest, other, own, kept={own.item.number})

    assert [film.item[-1] for film in made.standby] == ["7", "5", "6"]


def test_of_two_films_for_empty_times_the_one_accepted_last_is_shown(current):
    new = current(
        "IP-2026-11-0001", template="cadangan", accepted_at=NOON + timedelta(hours=1), priority=Priority.URGENT
    )
    old = current("IP-2026-11-0002", template="cadangan")

    assert programme_of(new, old).fallback.item == new.item.number


def test_what_is_urgent_or_immediate_may_be_shown_offline_for_a_shorter_time(current):
    offline = OfflineSettings(hours=100, urgent_hours=10)
    normal, urgent = current(), current("IP-2026-11-0002", priority=Priority.URGENT)
    immediate = current("IP-2026-11-0003", classification=Classification.IMMEDIATE)

    films = programme_of(normal, urgent, immediate, offline=offline).items

    assert [film.fresh_s // 3600 for film in films] == [100, 10, 10]


def test_a_link_that_costs_is_used_in_its_hours_and_for_what_is_urgent_at_once(current):
    night = NOON + timedelta(hours=10)
    normal, urgent = current(), current("IP-2026-11-0002", priority=Priority.URGENT)

    films = programme_of(normal, urgent, fetch_after=lambda urgent: None if urgent else night).items

    assert [film.fetch_after for film in films] == [night, None]
