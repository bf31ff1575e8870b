"""The whole player by the clock: shares, weekdays in the screen's zone, and borders that nobody has to announce."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from plugins.videotron.player.reconcile import plan
from plugins.videotron.protocol import Screen

RED, BLUE, OTHER = "IP-2026-11-0001", "IP-2026-11-0002", "IP-2026-11-0003"
ZONE = "Asia/Jayapura"


async def test_each_film_is_shown_as_often_as_its_share_says_and_on_its_days_alone(
    hub: Any, films: Any, start_agent: Any
) -> None:
    today = datetime.now(ZoneInfo(ZONE)).isoweekday()
    near = tuple(sorted((today + step - 1) % 7 + 1 for step in (-1, 0, 1)))  # it may be midnight there meanwhile
    far = tuple(sorted((today + step - 1) % 7 + 1 for step in (3, 4)))
    await hub.serve(films["red"], films["blue"], films["large"])
    await hub.manifest(
        1,
        films["red"].entry(RED, days=near),
        films["blue"].entry(BLUE, days=near, share=2),
        films["large"].entry(OTHER, days=far, seconds=2.0),
        screen=Screen(width=64, height=48, zone=ZONE),
    )

    async with start_agent():
        await hub.until(lambda: hub.shows(RED) and len(hub.last().holds) == 3)
        before = len(hub.played())
        await hub.until(lambda: len(hub.played(complete=True)) >= before + 4)

    shown = [play.item for play in hub.played(complete=True)][before + 1 : before + 4]
    assert (shown.count(RED), shown.count(BLUE)) == (1, 2)
    assert not hub.played(OTHER)


async def test_at_a_border_the_next_film_comes_by_the_clock_alone(hub: Any, films: Any, start_agent: Any) -> None:
    border = datetime.now(UTC) + timedelta(seconds=4)
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(1, films["red"].entry(RED, end=border), films["blue"].entry(BLUE, start=border))

    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(RED))
        await hub.until(lambda: hub.played(BLUE, complete=True))

        manifest, held = agent.trusted.manifest, agent.library.held
        after = plan(manifest, held=held, broken=(), now=border)

    assert [entry.item for entry in after.loop] == [BLUE]
    assert all(play.started_at < border for play in hub.played(RED))
    assert all(play.started_at >= border for play in hub.played(BLUE))
    first = min(play.started_at for play in hub.played(BLUE))
    assert first - border < timedelta(seconds=3)
