"""What the preview says of a screen at an instant: the round, the rest, what is above it, how long it lasts alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from plugins.videotron.commands.previewing import Preview, as_json, preview
from plugins.videotron.protocol import Manifest, Mode, Override, Shows, Standby, WireError
from plugins.videotron.protocol.schedule import loop_at
from tests.plugins.videotron.protocol.making import DAY, HOUR, ISSUED, item, local, manifest

FILM = Standby(
    item="IP-2026-11-0090", title="Banjir", name="banjir", cid="e" * 32, sha256="e" * 64, size=1, seconds=9.0
)


def override(mode: Mode = Mode.EMERGENCY, **facts: Any) -> Override:
    values: dict[str, Any] = {
        "site": "kalsel", "aud": "gerbang", "keyset": 1, "epoch": 1, "counter": 1, "issued": ISSUED, "until": None,
        "mode": mode, "films": (FILM,) if mode is Mode.EMERGENCY else (),
    }  # fmt: skip
    return Override(**{**values, **facts})


def at_noon(of: Manifest, above: Override | None = None, *, alone: bool = False) -> Preview:
    return preview(of, above, at=local("2026-11-23 12:00"), alone=alone)


def test_the_round_is_the_one_that_the_player_works_out() -> None:
    of = manifest(item(1, share=3), item(2), item(3, dayparts="06:00-09:00"))

    shown = at_noon(of)

    player = loop_at(of, now=local("2026-11-23 12:00"))
    assert (shown.loop.entries, shown.loop.left_out) == (player.entries, player.left_out)
    assert shown.shows is Shows.ITEMS
    assert shown.starts == [0.0, 10.0, 20.0, 30.0, 40.0]


def test_while_the_hub_renews_nothing_grows_stale_and_a_player_that_is_alone_shows_it_until_then() -> None:
    of = manifest(item(1, fresh_s=3600), item(2, fresh_s=7 * 86400), expires=ISSUED + 7 * DAY)
    later = ISSUED + 8 * DAY

    assert len(preview(of, None, at=later, alone=False).loop.entries) == 2
    assert preview(of, None, at=later, alone=True).shows is Shows.FALLBACK
    assert at_noon(of).last_alone == ISSUED + 7 * DAY
    assert at_noon(of).alone_until == {("IP-2026-11-0002", of.items[1].cid): ISSUED + 7 * DAY}


def test_renewing_prolongs_no_window() -> None:
    of = manifest(item(1, end=ISSUED + HOUR), item(2, days=(7,)))

    assert at_noon(of).shows is Shows.FALLBACK
    assert [left.why for left in at_noon(of).loop.left_out] == ["over", "other day"]


def test_an_emergency_stands_above_the_round_until_it_ends() -> None:
    of = manifest(item(1))
    ends = local("2026-11-23 13:00")

    shown = at_noon(of, override(until=ends))

    assert shown.shows is Shows.EMERGENCY
    assert len(shown.loop.entries) == 1
    assert preview(of, override(until=ends), at=ends, alone=False).shows is Shows.ITEMS
    assert preview(of, override(), at=ends + 300 * DAY, alone=False).shows is Shows.EMERGENCY


def test_a_blackout_is_black_and_its_end_is_the_round_again() -> None:
    assert at_noon(manifest(item(1)), override(Mode.BLACKOUT)).shows is Shows.BLACKOUT
    assert at_noon(manifest(item(1)), override(Mode.NONE)).shows is Shows.ITEMS
    assert at_noon(manifest(item(1)), override(Mode.NONE)).override is None


def test_machines_get_every_key_with_times_of_the_screen_s_zone() -> None:
    of = manifest(item(1), item(2, days=(7,)), zone="Asia/Jayapura", fallback=FILM)

    value = as_json(at_noon(of, override(until=local("2026-11-23 13:00"))))

    assert value["at"] == "2026-11-23T13:00:00+09:00"
    assert (value["screen"], value["zone"], value["shows"], value["alone"]) == (
        "gerbang", "Asia/Jayapura", "emergency", False,
    )  # fmt: skip
    assert value["loop"] == [
        {
            "place": 1, "starts_s": 0.0, "key": f"IP-2026-11-0001/{of.items[0].cid}/1/1", "item": "IP-2026-11-0001",
            "title": "film 1", "cid": of.items[0].cid, "seconds": 10.0, "alone_until": "2026-12-03T01:00:00+09:00",
        }
    ]  # fmt: skip
    assert value["round_s"] == 10.0
    assert value["left_out"] == [
        {"item": "IP-2026-11-0002", "title": "film 2", "cid": of.items[1].cid, "why": "other day"}
    ]
    film = {"item": "IP-2026-11-0090", "title": "Banjir", "template": "banjir", "cid": "e" * 32, "seconds": 9.0}
    assert value["override"] == {
        "mode": "emergency", "issued": "2026-11-23T01:00:00+09:00", "until": "2026-11-23T14:00:00+09:00",
        "films": [film],
    }  # fmt: skip
    assert value["fallback"] == film
    assert value["next_change"] == "2026-11-29T00:00:00+09:00"
    assert value["manifest"]["seq"] == 1


def test_a_screen_in_a_zone_that_is_not_known_is_told() -> None:
    with pytest.raises(WireError, match="Asia/Atlantis"):
        at_noon(manifest(item(1), zone="Asia/Atlantis"))


def test_the_years_at_the_end_of_the_calendar_are_no_trouble() -> None:
    assert preview(manifest(item(1)), None, at=ISSUED + timedelta(days=365 * 170), alone=False).shows is Shows.FALLBACK
