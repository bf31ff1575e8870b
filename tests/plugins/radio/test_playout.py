from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest

from hub.api import AiringState, HealthState, RetryLater
from plugins.radio.database import FILE_NAME
from tests.plugins.radio.conftest import Station, until


def rows(station: Station, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(station.folder / "state" / "radio" / FILE_NAME)) as db:
        return db.execute(query).fetchall()


def states(station: Station) -> list[object]:
    return [row[0] for row in rows(station, "SELECT state FROM airings ORDER BY planned_at, id")]


async def test_an_item_airs_at_once_and_then_waits_for_its_next_time(station: Station) -> None:
    async with station.on_duty():
        item = await station.deliver(seconds=0.8)
        fact = await station.outcome(item)
        await until(lambda: len(states(station)) == 2)

    assert (fact.state, fact.destination, fact.delivery) == (
        AiringState.AIRED, "Radio Abdi Persada", f"{item.number}/radio",
    )  # fmt: skip
    assert fact.seconds == pytest.approx(0.8, abs=0.2)
    assert states(station) == ["aired", "planned"]
    times = rows(station, "SELECT planned_at FROM airings ORDER BY planned_at")
    gap = (*times[0], *times[1])
    assert str(gap[1]) > str(gap[0])


async def test_each_change_of_state_is_an_event(station: Station) -> None:
    async with station.on_duty():
        item = await station.deliver()
        fact = await station.outcome(item)

    events = [row[0] for row in rows(station, "SELECT state FROM events WHERE airing LIKE '%-00001' ORDER BY seq")]
    assert fact.airing.endswith("-00001")
    assert events == ["planned", "due", "sent", "on air", "aired"]


async def test_several_items_air_one_after_the_other_each_once(station: Station) -> None:
    async with station.on_duty():
        items = [await station.deliver(hz=400 + 100 * n) for n in range(3)]
        facts = [await station.outcome(item) for item in items]

    assert [fact.state for fact in facts] == [AiringState.AIRED] * 3
    starts = sorted(fact.at for fact in facts)
    assert all(later - earlier >= timedelta(seconds=0.4) for earlier, later in pairwise(starts))
    assert [len(station.aired(item)) for item in items] == [1, 1, 1]


async def test_what_is_withdrawn_while_on_air_is_cut(station: Station) -> None:
    async with station.on_duty():
        item = await station.deliver(seconds=9)
        await until(lambda: "on air" in states(station))
        await station.plugin.hub_withdraw(item, "salah gambar")
        await station.plugin.hub_withdraw(item, "salah gambar")
        fact = await station.outcome(item)

    assert fact.state is AiringState.WITHDRAWN
    assert 0 < fact.seconds < 8
    assert "salah gambar" in fact.reason
    assert states(station) == ["withdrawn"]


async def test_what_is_withdrawn_before_its_time_never_airs(station: Station) -> None:
    async with station.on_duty():
        first = await station.deliver(seconds=1.0)
        await until(lambda: "on air" in states(station))
        second = await station.deliver(seconds=0.7)
        await station.plugin.hub_withdraw(second, "keliru")
        assert (await station.outcome(first)).state is AiringState.AIRED
        await asyncio.sleep(0.5)  # a burst would begin now

    assert [fact.state for fact in station.aired(second)] == [AiringState.WITHDRAWN]


async def test_a_file_that_became_garbage_is_put_back_from_the_rendition(station: Station) -> None:
    item = await station.deliver()
    sound = station.hub.current[-1].renditions[0]
    placed = station.executor.media_folder / f"{sound.sha256}.wav"
    placed.unlink()
    placed.write_bytes(b"half of a")

    async with station.on_duty():
        fact = await station.outcome(item)

    assert fact.state is AiringState.AIRED


async def test_a_sound_that_is_nowhere_any_more_fails_and_says_so(station: Station) -> None:
    item = await station.deliver()
    sound = station.hub.current[-1].renditions[0]
    sound.path.unlink()
    (station.executor.media_folder / f"{sound.sha256}.wav").unlink()

    async with station.on_duty():
        fact = await station.outcome(item)

    assert (fact.state, fact.reason) == (AiringState.FAILED, "its sound is missing or damaged")


async def test_no_text_of_a_person_reaches_the_executor(fake_station: Station) -> None:
    title = 'Judul"; version\r\nhubx.skip #{exit(1)} \\'
    async with fake_station.on_duty():
        item = await fake_station.deliver(title=title)
        await fake_station.outcome(item)

    sent = "\n".join(fake_station.executor.commands)
    assert "Judul" not in sent
    assert all(command.isascii() for command in fake_station.executor.commands)


async def test_a_killed_executor_loses_nothing_and_the_cut_item_airs_again(fake_station: Station) -> None:
    async with fake_station.on_duty():
        cut = await fake_station.deliver(seconds=0.8)
        waiting = await fake_station.deliver()
        await until(lambda: "on air" in states(fake_station))
        await fake_station.executor.kill()
        await until(lambda: fake_station.plugin._playout.condition.link_error)
        await fake_station.executor.start()
        await until(lambda: len(fake_station.aired(cut)) == 2 and fake_station.aired(waiting))

    assert [fact.state for fact in fake_station.aired(cut)] == [AiringState.PARTIAL, AiringState.AIRED]
    assert [fact.state for fact in fake_station.aired(waiting)] == [AiringState.AIRED]


async def test_an_interrupted_item_stays_so_when_the_policy_says_at_most_once(fake_station: Station) -> None:
    fake_station.settings = {"repeat_interrupted": False}
    fake_station.reboot()
    fake_station.executor.traps.cut_to_s = 0.2
    async with fake_station.on_duty():
        item = await fake_station.deliver(seconds=2)
        await fake_station.outcome(item)
        await until(lambda: len(states(fake_station)) == 2)

    assert states(fake_station) == ["partial", "planned"]


async def test_what_is_always_cut_is_tried_no_more_than_agreed(fake_station: Station) -> None:
    fake_station.executor.traps.cut_to_s = 0.1
    async with fake_station.on_duty():
        item = await fake_station.deliver(seconds=2)
        await until(lambda: len(states(fake_station)) == 2)

    assert [fact.state for fact in fake_station.aired(item)] == [AiringState.PARTIAL] * 3


async def test_a_push_whose_answer_was_lost_is_not_pushed_again(fake_station: Station) -> None:
    fake_station.executor.traps.cut_after_push = True
    async with fake_station.on_duty():
        item = await fake_station.deliver(seconds=0.8)
        fact = await fake_station.outcome(item)

    assert fact.state is AiringState.AIRED
    assert sum(command.startswith("hubx.push") for command in fake_station.executor.commands) == 1


async def test_a_push_in_doubt_is_waited_for_while_its_file_may_still_be_resolving(fake_station: Station) -> None:
    fake_station.executor.traps.cut_after_push = True
    fake_station.executor.traps.resolve_s = 1.0
    async with fake_station.on_duty():
        item = await fake_station.deliver()
        fact = await fake_station.outcome(item)

    assert fact.state is AiringState.AIRED
    assert sum(command.startswith("hubx.push") for command in fake_station.executor.commands) == 1


async def test_an_airing_that_vanished_is_sent_again(fake_station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.radio.playout.ABSENT_S", 0.3)
    fake_station.executor.traps.lose_pushes = 1
    async with fake_station.on_duty():
        item = await fake_station.deliver()
        fact = await fake_station.outcome(item)

    assert fact.state is AiringState.AIRED
    assert sum(command.startswith("hubx.push") for command in fake_station.executor.commands) == 2


async def test_nothing_is_sent_while_the_output_is_down(fake_station: Station) -> None:
    fake_station.executor.traps.output_down = True
    async with fake_station.on_duty():
        item = await fake_station.deliver()
        await until(lambda: "due" in states(fake_station))
        health = await fake_station.plugin.hub_health()
        assert not fake_station.aired(item)
        fake_station.executor.traps.output_down = False
        fact = await fake_station.outcome(item)

    assert health.state is HealthState.DOWN
    assert "output is down" in health.summary
    assert fact.state is AiringState.AIRED


async def test_what_the_queue_does_not_know_is_taken_off_the_air(fake_station: Station) -> None:
    executor = fake_station.executor
    item = await fake_station.deliver(seconds=5)
    name = next(executor.media_folder.glob("*.wav")).name
    await fake_station.plugin.hub_withdraw(item, "keliru")
    executor._push(["IP-2020-01-0001-00001.1", name])

    async with fake_station.on_duty():
        await until(lambda: "hubx.skip IP-2020-01-0001-00001.1" in executor.commands)
        await until(lambda: not executor._current)


async def test_a_withdrawal_is_kept_while_the_executor_is_away(fake_station: Station) -> None:
    async with fake_station.on_duty():
        item = await fake_station.deliver(seconds=5)
        await until(lambda: "on air" in states(fake_station))
        await fake_station.executor.kill()
        with pytest.raises(RetryLater):
            await fake_station.plugin.hub_withdraw(item, "keliru")
        await fake_station.executor.start()
        fact = await fake_station.outcome(item)
        await fake_station.plugin.hub_withdraw(item, "keliru")

    assert fact.state is AiringState.WITHDRAWN


async def test_a_restarted_hub_goes_on_where_it_was(station: Station) -> None:
    async with station.on_duty():
        item = await station.deliver(seconds=1.2)
        await until(lambda: "on air" in states(station))
    station.reboot()

    async with station.on_duty():
        fact = await station.outcome(item)

    assert fact.state is AiringState.AIRED
    assert len(station.aired(item)) == 1


async def test_a_long_stop_is_one_missed_airing_and_no_burst(fake_station: Station) -> None:
    async with fake_station.on_duty():
        item = await fake_station.deliver()
        await fake_station.outcome(item)
        await until(lambda: len(states(fake_station)) == 2)
        fake_station.clock.step = timedelta(hours=10)
        fake_station.plugin._playout.wake()
        await until(lambda: len(states(fake_station)) == 3)

    assert states(fake_station) == ["aired", "missed", "planned"]
    assert "regular times went by" in fake_station.aired(item)[1].reason


async def test_a_clock_set_back_does_not_silence_an_item(fake_station: Station) -> None:
    fake_station.clock.step = timedelta(hours=5)
    async with fake_station.on_duty():
        item = await fake_station.deliver(start=fake_station.clock.now() - timedelta(days=1))
        await fake_station.outcome(item)
        await until(lambda: len(states(fake_station)) == 2)
        fake_station.clock.step = timedelta()
        fake_station.plugin._playout.wake()
        await until(lambda: rows(fake_station, "SELECT 1 FROM events WHERE reason LIKE 'moved%'"))

    (planned,) = rows(fake_station, "SELECT planned_at FROM airings WHERE state = 'planned'")
    assert str(planned[0]) < (fake_station.clock.now() + timedelta(minutes=31)).isoformat()


async def test_health_names_a_dead_link_and_a_second_executor(fake_station: Station) -> None:
    async with fake_station.on_duty():
        await until(lambda: not fake_station.plugin._playout.condition.link_error)
        assert (await fake_station.plugin.hub_health()).state is HealthState.OK
        fake_station.plugin._playout.condition.boot_seen_at -= 60
        with fake_station.executor.as_run.open("a") as file:
            now = fake_station.clock.now().timestamp()
            file.write(f'{{"ev":"start","n":"1","t":"{now}","boot":"b-other","out":"up","downs":"0"}}\n')
        await until(lambda: fake_station.plugin._playout.condition.clash)
        assert "b-other" in (await fake_station.plugin.hub_health()).summary
        await fake_station.executor.kill()
        await until(lambda: fake_station.plugin._playout.condition.link_error)
        assert "does not answer" in (await fake_station.plugin.hub_health()).summary
    assert "not running" in (await fake_station.plugin.hub_health()).summary


async def test_a_torn_as_run_line_costs_nothing(fake_station: Station) -> None:
    with fake_station.executor.as_run.open("ab") as file:
        file.write(
            b'{"ev":"start","n":"\xff\xfe\n[]\nnull\n{"ev":"end","n":"1","t":"inf","boot":"x","out":"up","downs":"0"}\n'
        )
    async with fake_station.on_duty():
        item = await fake_station.deliver()
        fact = await fake_station.outcome(item)

    assert fact.state is AiringState.AIRED
    assert fake_station.plugin._playout.condition.bad_lines == 4


async def test_a_delivery_that_the_hub_no_longer_names_is_let_go(fake_station: Station) -> None:
    item = await fake_station.deliver(start=fake_station.clock.now() + timedelta(hours=1))
    fake_station.hub.current.clear()

    await fake_station.plugin.reconcile()

    assert states(fake_station) == ["withdrawn"]
    assert not list(fake_station.executor.media_folder.glob("*.wav"))
    assert item.number


async def test_a_lost_database_is_made_anew_from_the_hubs_deliveries(fake_station: Station) -> None:
    item = await fake_station.deliver()
    for path in (fake_station.folder / "state" / "radio").glob(f"{FILE_NAME}*"):
        path.unlink()
    fake_station.reboot()

    async with fake_station.on_duty():
        fact = await fake_station.outcome(item)

    assert fact.state is AiringState.AIRED


async def test_a_restart_of_the_hub_on_a_quiet_radio_raises_no_alarm(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.radio.condition._UNREAD_FOR_S", 0.5)
    async with station.on_duty():
        await station.outcome(await station.deliver())
    station.reboot()

    async with station.on_duty():
        condition = station.plugin._playout.condition
        await until(lambda: condition.boot and condition.lines_said)
        for _ in range(4):
            await station.plugin._playout.step()

    assert condition.lines_read == condition.lines_said
    assert condition.unread_since is None
