"""What an emergency order asks for: checked before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.api import Order
from plugins.videotron.emergency.asked import Asked, NotAsked, chosen_screens, understood
from plugins.videotron.protocol import Mode
from plugins.videotron.settings import ScreenSettings

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SCREENS = {
    "gate-1": ScreenSettings(width=64, height=32, groups=("gates",)),
    "gate-2": ScreenSettings(width=64, height=32, groups=("gates",)),
    "hall-1": ScreenSettings(width=64, height=32),
}


def ask(name: str, **args: str) -> Asked:
    order = Order(id=1, name=f"videotron.{name}", args=args, who="ahmad", why="banjir", given_at=NOW)
    return understood(order, SCREENS, NOW)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("gate-1", ("gate-1",)), (" Gate-1 , hall-1,", ("gate-1", "hall-1")), ("gates", ("gate-1", "gate-2")),
        ("all", ("gate-1", "gate-2", "hall-1")), ("semua", ("gate-1", "gate-2", "hall-1")),
    ],
)  # fmt: skip
def test_screens_are_named_by_themselves_by_group_or_all(text: str, chosen: tuple[str, ...]) -> None:
    assert chosen_screens(text, SCREENS) == chosen


@pytest.mark.parametrize(
    ("text", "said"),
    [("gate-3", "Did you mean gate-"), ("xyz", "There are: gate-1, gate-2, gates, hall-1"), (" ,", "Name the screens")],
)
def test_an_unknown_screen_is_refused_with_the_nearest(text: str, said: str) -> None:
    with pytest.raises(NotAsked, match=said):
        chosen_screens(text, SCREENS)


def test_without_screens_nothing_can_be_ordered() -> None:
    with pytest.raises(NotAsked, match="no screen yet"):
        chosen_screens("all", {})


def test_an_emergency_lasts_two_hours_when_nobody_says_how_long() -> None:
    asked = ask("emergency", template="banjir", screens="gates")

    assert (asked.mode, asked.template, asked.until) == (Mode.EMERGENCY, "banjir", NOW + timedelta(hours=2))


def test_a_blackout_may_have_no_end_and_a_clear_has_none() -> None:
    assert ask("blackout", screens="all").until is None
    assert ask("clear", screens="all", until="nonsense") == Asked(
        mode=Mode.NONE, screens=("gate-1", "gate-2", "hall-1"), until=None
    )


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ((NOW - timedelta(seconds=1)).isoformat(), "passed already"),
        ((NOW + timedelta(days=7, seconds=1)).isoformat(), "more than 7 days"),
        ("2026-11-23T18:00", "not understood"),  # no offset: whose time?
        ("soon", "not understood"),
    ],
)
@pytest.mark.parametrize("name", ["emergency", "blackout"])
def test_an_end_that_cannot_be_is_refused(name: str, until: str, said: str) -> None:
    with pytest.raises(NotAsked, match=said):
        ask(name, template="banjir", screens="all", until=until)


@pytest.mark.parametrize("args", [{}, {"template": "banjir", "item": "IP-2026-11-0001"}, {"file": "not a hash"}])
def test_an_emergency_shows_exactly_one_thing(args: dict[str, str]) -> None:
    with pytest.raises(NotAsked, match="one template, one item or one file"):
        ask("emergency", screens="all", **args)
