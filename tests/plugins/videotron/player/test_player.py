"""The whole player against a real broker, real mpv and a scripted hub: fetch, show, prove."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from plugins.videotron.player.speaking import LEAST_PAUSE_S
from plugins.videotron.protocol import ReportFlag

FIRST, SECOND = "IP-2026-11-0001", "IP-2026-11-0002"


def rejections(hub: Any) -> list[str]:
    return [one.attack for one in hub.last().rejections] if hub.last() else []


def problems(hub: Any) -> list[str]:
    return [one.code for one in hub.last().problems]


async def test_fetches_shows_and_proves_what_its_manifest_names(hub: Any, films: Any, start_agent: Any) -> None:
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(1, films["red"].entry(FIRST), films["blue"].entry(SECOND))

    async with start_agent() as agent:
        await hub.until(lambda: hub.played(FIRST, complete=True) and hub.played(SECOND, complete=True))

        state = hub.last()
        assert state.seq == 1
        assert set(state.holds) == {films["red"].cid, films["blue"].cid}
        assert agent.store.path(films["red"].sha256).read_bytes() == films["red"].data
        done = {cid for cid, report in hub.reports if ReportFlag.DONE in report.flags}
        assert done == {films["red"].cid, films["blue"].cid}
        play = hub.played(FIRST, complete=True)[0]
        assert 0.9 < play.seconds < 1.3
        assert datetime.now(UTC) - play.started_at < timedelta(seconds=20)


async def test_a_screenshot_shows_the_film_that_the_state_names(hub: Any, films: Any, start_agent: Any) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))

    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        answer = await agent._take_screenshot()

    with Image.open(answer["path"]) as picture:
        red, green, blue = picture.convert("RGB").getpixel((32, 24))
    assert red > 200
    assert green < 50
    assert blue < 50


async def test_takes_blocks_sent_to_it_alone(hub: Any, films: Any, start_agent: Any) -> None:
    film = films["large"]
    hub.serving = False
    await hub.serve(film)
    await hub.manifest(1, film.entry(FIRST))

    async with start_agent():
        await hub.until(lambda: hub.reported(film))
        await hub.send(film, range(film.n), alone=True)
        await hub.until(lambda: hub.shows(FIRST))

    assert hub.reported(film).unicast_sequence == film.n


async def test_refuses_a_block_whose_hash_is_wrong_and_takes_the_right_one_later(
    hub: Any, films: Any, start_agent: Any
) -> None:
    film = films["large"]
    hub.serving = False
    await hub.serve(film)
    await hub.manifest(1, film.entry(FIRST))

    async with start_agent():
        await hub.until(lambda: hub.reported(film))
        await hub.send(film, [0], data=b"x" * 1024)
        await hub.send(film, range(1, film.n))
        await hub.until(lambda: hub.reported(film).have.bit_count() == film.n - 1)
        assert hub.reported(film).have & 1 == 0

        await hub.send(film, [0])
        await hub.until(lambda: hub.shows(FIRST))


async def test_an_older_manifest_changes_nothing_and_is_told(hub: Any, films: Any, start_agent: Any) -> None:
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(7, films["red"].entry(FIRST))

    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        await hub.manifest(6, films["blue"].entry(SECOND))
        await hub.until(lambda: "rollback" in rejections(hub))

        assert hub.last().seq == 7
        assert agent.trusted.version == (1, 7)
        assert not hub.played(SECOND)


async def test_a_manifest_for_another_player_is_refused(hub: Any, films: Any, start_agent: Any) -> None:
    await hub.manifest(1, films["red"].entry(FIRST), aud="gate-2")

    async with start_agent():
        await hub.until(lambda: "wrong audience" in rejections(hub))

        assert hub.last().seq == 0


async def test_cuts_a_withdrawn_film_at_once_and_removes_it(hub: Any, films: Any, start_agent: Any) -> None:
    await hub.serve(films["long"], films["red"])
    await hub.manifest(1, films["long"].entry(FIRST))

    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        await hub.manifest(2, films["red"].entry(SECOND))
        await hub.until(lambda: hub.played(FIRST, complete=False) and hub.shows(SECOND))
        await hub.until(lambda: hub.last().holds == (films["red"].cid,))

        assert hub.played(FIRST)[0].seconds < 15
        assert not agent.store.path(films["long"].sha256).exists()


async def test_shows_its_fallback_outside_every_window(hub: Any, films: Any, start_agent: Any, eventually: Any) -> None:
    now = datetime.now(UTC)
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST, start=now + timedelta(hours=1), end=now + timedelta(hours=2)))

    async with start_agent() as agent:
        await hub.until(lambda: hub.last() and hub.last().holds)  # fetched ahead

        assert hub.last().playing is None
        await eventually(lambda: agent.playback.showing)
        assert agent.playback.showing.key == "fallback"


async def test_stops_showing_a_film_when_its_window_ends(hub: Any, films: Any, start_agent: Any) -> None:
    end = datetime.now(UTC) + timedelta(seconds=4)
    await hub.serve(films["long"])
    await hub.manifest(1, films["long"].entry(FIRST, end=end))

    async with start_agent():
        await hub.until(lambda: hub.shows(FIRST))
        await hub.until(lambda: hub.played(FIRST))

    play = hub.played(FIRST)[0]
    assert play.result == "partial"
    assert abs((play.started_at + timedelta(seconds=play.seconds) - end).total_seconds()) < 1


async def test_plays_what_it_holds_without_a_broker(
    hub: Any, broker: Any, films: Any, start_agent: Any, eventually: Any
) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.shows(FIRST))
    await broker.stop()

    async with start_agent() as agent:
        await eventually(lambda: agent.playback.showing and agent.playback.showing.item == FIRST)
        await eventually(lambda: agent.proofs.waiting)

    await broker.start()


async def test_goes_on_with_the_hub_after_the_broker_was_killed(
    hub: Any, broker: Any, films: Any, start_agent: Any, eventually: Any
) -> None:
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.played(FIRST))

        await broker.kill()  # it kept nothing: the hub says all again
        lost = hub.client
        await broker.start()
        await eventually(lambda: hub.client is not lost)
        await hub.serve(films["red"], films["blue"])
        await hub.manifest(2, films["red"].entry(FIRST), films["blue"].entry(SECOND))

        await hub.until(lambda: hub.played(SECOND, complete=True))


async def test_a_film_spoiled_on_the_disk_is_fetched_again_and_never_shown(
    hub: Any, films: Any, start_agent: Any
) -> None:
    red, blue = films["red"], films["blue"]
    await hub.serve(red, blue)
    await hub.manifest(1, red.entry(FIRST), blue.entry(SECOND))
    async with start_agent() as agent:
        await hub.until(lambda: hub.last() and len(hub.last().holds) == 2)
        path = agent.store.path(red.sha256)
    hub.sent.clear()
    path.write_bytes(red.data[:-1] + b"\x00")

    async with start_agent():
        await hub.until(lambda: any(cid == red.cid for cid, _ in hub.sent) and hub.played(SECOND))
        await hub.until(lambda: len(hub.last().holds) == 2)

    assert {cid for cid, _ in hub.sent} == {red.cid}
    assert path.read_bytes() == red.data


async def test_a_full_disk_is_told_and_what_it_holds_plays_on(
    hub: Any, films: Any, start_agent: Any, eventually: Any
) -> None:
    await hub.serve(films["red"], films["large"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        agent.store._keep_free_bytes = 1 << 60

        await hub.manifest(2, films["red"].entry(FIRST), films["large"].entry(SECOND))
        await hub.until(lambda: "film missing" in problems(hub))
        count = len(hub.played(FIRST))
        await hub.until(lambda: len(hub.played(FIRST)) > count)

        agent.store._keep_free_bytes = 0
        for fetch in agent.fetching._fetches.values():
            fetch.retry_at = 0.0
        await hub.until(lambda: hub.played(SECOND) and not problems(hub))


async def test_proofs_are_sent_again_until_the_hub_acknowledges_them(hub: Any, films: Any, start_agent: Any) -> None:
    hub.acknowledging = False
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.played(FIRST))
    unacknowledged = hub.played(FIRST)
    hub.proofs.clear()

    hub.acknowledging = True
    async with start_agent():
        await hub.until(lambda: len({entry.boot for entry in hub.played(FIRST)}) == 2)

    found = hub.played(FIRST)
    assert found[: len(unacknowledged)] == unacknowledged
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    assert (found[0].title, found[0].epoch, found[0].manifest) == (films["red"].entry(FIRST).title, 1, 1)


async def test_reports_again_when_the_hub_started_anew(hub: Any, films: Any, start_agent: Any) -> None:
    film = films["large"]
    hub.serving = False
    await hub.serve(film)
    await hub.started("00000000000000aa")
    await hub.manifest(1, film.entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.reported(film))
        await hub.send(film, [0, 1, 2, 3])
        await hub.until(lambda: hub.reported(film).group_sequence)
        states = len(hub.states)

        await hub.started("00000000000000bb")
        await hub.until(lambda: hub.reported(film).group_sequence == 0 and len(hub.states) > states)

    assert hub.reported(film).have == 0b1111


async def test_rubbish_on_its_topics_changes_nothing(hub: Any, films: Any, start_agent: Any) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.shows(FIRST))
        for name in ("manifest", "control", "unicast"):
            topic = getattr(hub.topics, name)("gate-1")
            for payload in (b"", b"\xff" * 40, b"{" * 2000, b'{"v":1,"v":1}'):
                await hub.client.publish(topic, payload, qos=1)
        before = len(hub.played())
        await hub.until(lambda: len(hub.played()) > before)

    assert hub.last().seq == 1


async def test_a_player_that_finds_one_film_after_the_other_on_its_disk_tells_the_hub_no_more_than_it_reads(
    hub: Any, films: Any, start_agent: Any
) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        said, began = len(hub.states), asyncio.get_running_loop().time()

        for number in range(100):  # as when many small films are checked at a start
            agent.library.held.add(f"{number:032x}".ljust(64, "0"))
            agent.speaking.wake()
            await asyncio.sleep(0.005)
        await hub.until(lambda: len(hub.last().holds) == 101)

        took = asyncio.get_running_loop().time() - began
        assert len(hub.states) - said <= took / LEAST_PAUSE_S + 2
