"""The story of one item, and all that may come between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import (
    Delivered,
    Delivery,
    Item,
    Order,
    Outcome,
    Played,
    Rejected,
    RetryLater,
    Sha256,
    Want,
    hookimpl,
)
from hub.ledger import items, jobs, renditions
from hub.media.samples import make_audio
from hub.media.settings import MediaSettings
from hub.media.transcoder import NotMade, Transcoder
from hub.plugin_host.host import PluginHost
from hub.testing import NOON
from hub.windows import Windows
from tests.hub.world import LARGE, SMALL, SOUND, Place, World, sound_asset


@pytest.fixture
def screens() -> Place:
    return Place("screens", "one", "two")


@pytest.fixture
def world(tmp_path: Path, screens: Place) -> Iterator[World]:
    world = World(tmp_path, screens)
    yield world
    world.close()


async def withdraw(world: World, item: Item, reason: str = "keliru") -> Outcome:
    return await world.workflow.withdraw(item.number, reason, who="dini")


async def counts(world: World) -> dict[str, int]:
    return await world.database.read(jobs.counts)


async def test_an_accepted_item_is_made_once_and_brought_to_every_screen(world: World, screens: Place) -> None:
    item = await world.accept()

    await world.settle()

    assert await world.states(item) == {"screens/one": "delivered", "screens/two": "delivered"}
    assert len(world.kitchen.runs) == 1
    assert [one.profile for one in screens.holds[f"{item.number}/one"]] == [SMALL]
    assert await counts(world) == {}


async def test_plans_of_two_plugins_are_made_in_one_decode_without_waiting_for_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, Place("a"), Place("b", profile=LARGE), gather_s=2.0)
    item = await world.accept()

    await world.settle()

    assert [set(profiles) for _, profiles in world.kitchen.runs] == [{SMALL, LARGE}]
    assert set((await world.states(item)).values()) == {"delivered"}
    world.close()


async def test_a_plan_that_hangs_holds_the_others_up_for_the_gather_window_only(tmp_path: Path) -> None:
    late = Place("late", profile=LARGE)
    world = World(tmp_path, Place("quick"), late, gather_s=2.0)

    async def away(item: Item) -> None:
        raise RetryLater("away", after=timedelta(minutes=5))

    late.on_plan = away
    item = await world.accept()
    await world.settle()
    assert world.kitchen.runs == []

    await world.later(seconds=2)

    assert await world.states(item) == {"quick/one": "delivered"}
    late.on_plan = None
    await world.later(minutes=5)
    await world.later(seconds=2)
    assert [profiles for _, profiles in world.kitchen.runs] == [(SMALL,), (LARGE,)]
    assert set((await world.states(item)).values()) == {"delivered"}
    world.close()


async def test_a_screen_added_later_gets_todays_items(world: World, screens: Place) -> None:
    item, over = await world.accept(), await world.accept("b.mp4")
    await world.settle()
    await withdraw(world, over)
    screens.screens.append("three")

    await world.workflow.replan("screens")
    await world.settle()

    assert (await world.states(item))["screens/three"] == "delivered"
    assert "screens/three" not in await world.states(over)
    assert len(world.kitchen.runs) == 2


async def test_a_screen_that_is_no_longer_named_is_withdrawn_from(world: World, screens: Place) -> None:
    item = await world.accept()
    await world.settle()
    screens.screens.remove("two")

    await world.workflow.replan("screens")
    await world.settle()

    assert await world.states(item) == {"screens/one": "delivered", "screens/two": "withdrawn"}


async def test_a_replan_while_it_is_planned_sees_the_newest_screens(world: World, screens: Place) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(item: Item) -> None:
        begun.set()
        await go_on.wait()

    screens.on_plan = wait
    item = await world.accept()
    async with world.running():
        await begun.wait()
        screens.screens.append("three")
        await world.workflow.replan("screens")
        go_on.set()
        await world.settled()

    assert (await world.states(item))["screens/three"] == "delivered"


async def test_a_plugin_may_not_want_a_file_of_another_item(world: World) -> None:
    class Greedy:
        @hookimpl
        async def hub_plan_deliveries(self, item: Item) -> list[Delivery]:
            want = Want(asset=Sha256("f" * 64), profile=SMALL)
            return [Delivery(key="k", item=item.number, destination="x", wants=(want,))]

    world.host.register(Greedy(), "greedy")
    item = await world.accept()

    await world.settle()

    assert set(await world.states(item)) == {"screens/one", "screens/two"}
    assert await counts(world) == {"plan dead": 1}
    ((_, _, reason),) = await world.database.read(jobs.waiting_reasons, item.number)
    assert "not of IP-" in reason


async def test_a_withdrawal_during_the_transcode_stops_it_and_leaves_nothing_to_show(
    world: World, screens: Place
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def wait(asset: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    world.kitchen.on_make = wait
    item = await world.accept()
    async with world.running():
        await begun.wait()
        assert set((await world.states(item)).values()) == {"transcoding"}
        await withdraw(world, item)
        await stopped.wait()
        await world.settled()

    assert set((await world.states(item)).values()) == {"withdrawn"}
    assert screens.holds == {}
    assert await counts(world) == {}


@pytest.mark.parametrize("fails", [False, True])
async def test_a_withdrawal_during_a_delivery_is_followed_by_another_taking_back(
    world: World, screens: Place, fails: bool
) -> None:
    screens.screens.remove("two")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(delivery: Delivery) -> None:
        begun.set()
        await go_on.wait()
        screens.holds[delivery.key] = ()  # it has got there, whatever comes next
        if fails:
            raise KeyError("bug")

    screens.on_deliver = wait
    item = await world.accept()
    async with world.running():
        await begun.wait()
        await withdraw(world, item)
        while f"withdraw {item.number}: keliru" not in screens.calls:
            world.wake()
            await asyncio.sleep(0)
        go_on.set()
        await world.settled()

    assert screens.holds == {}
    assert set((await world.states(item)).values()) == {"withdrawn"}
    assert await counts(world) == {}


async def test_a_kill_during_a_delivery_of_a_withdrawn_item_takes_it_back_at_the_next_start(
    world: World, screens: Place
) -> None:
    screens.screens.remove("two")
    begun = asyncio.Event()

    async def half(delivery: Delivery) -> None:
        screens.holds[delivery.key] = ()
        begun.set()
        await asyncio.Event().wait()

    screens.on_deliver = half
    item = await world.accept()
    async with world.running():
        await begun.wait()
        await withdraw(world, item)
    screens.holds["IP-left-behind"] = ()
    screens.holds[f"{item.number}/one"] = ()

    world.start()
    await world.settle()

    assert screens.holds == {"IP-left-behind": ()}


async def test_an_item_that_ends_during_its_delivery_is_expired_and_waits_for_nobody(
    world: World, screens: Place
) -> None:
    async def end_then_fail(delivery: Delivery) -> None:
        world.clock.advance(timedelta(days=31))
        await world.database.write(Windows(world.database, world.clock, world.wake)._cross_boundaries)
        raise RetryLater("dark")

    screens.on_deliver = end_then_fail
    item = await world.accept()

    await world.settle()

    assert await world.state(item) == "ended"
    assert set((await world.states(item)).values()) == {"expired"}
    assert await counts(world) == {}


async def test_proof_that_comes_after_the_end_still_counts(world: World, screens: Place) -> None:
    item = await world.accept()
    await world.settle()
    rendition = screens.holds[f"{item.number}/one"][0]
    world.clock.advance(timedelta(days=31))
    await world.database.write(Windows(world.database, world.clock, world.wake)._cross_boundaries)

    proof = Played(
        delivery=f"{item.number}/one", item=item.number, destination="one", rendition=rendition.sha256,
        started_at=NOON, seconds=3.0, complete=True,
    )  # fmt: skip
    assert await world.journal("screens").record(proof, key="1")

    assert await world.states(item) == {"screens/one": "played", "screens/two": "expired"}


async def test_a_new_plan_during_a_delivery_is_delivered_too(world: World, screens: Place) -> None:
    screens.screens.remove("two")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(delivery: Delivery) -> None:
        if not begun.is_set():
            begun.set()
            await go_on.wait()

    screens.on_deliver = wait
    item = await world.accept()
    async with world.running():
        await begun.wait()
        screens.profile = LARGE
        await world.workflow.replan("screens")
        while len(world.kitchen.runs) < 2 or (await world.row(item, "screens")).state != "ready":
            world.wake()
            await asyncio.sleep(0)
        go_on.set()
        await world.settled()

    assert screens.calls.count(f"deliver {item.number}/one") == 2
    assert [one.profile for one in screens.holds[f"{item.number}/one"]] == [LARGE]
    assert await world.states(item) == {"screens/one": "delivered"}


async def test_a_lost_rendition_is_made_again_for_all_who_want_it(world: World, screens: Place) -> None:
    async def dark(delivery: Delivery) -> None:
        raise RetryLater("dark", after=timedelta(minutes=5))

    screens.on_deliver = dark
    item = await world.accept()
    await world.settle()
    for path in world.kitchen.folder.iterdir():
        path.unlink()
    screens.on_deliver = None

    await world.later(minutes=5)

    assert len(world.kitchen.runs) == 2
    assert await world.states(item) == {"screens/one": "delivered", "screens/two": "delivered"}
    assert all(len(held) == 1 and held[0].path.is_file() for held in screens.holds.values())


async def test_a_plugin_that_does_not_run_is_waited_for_and_named(world: World) -> None:
    async def dark(delivery: Delivery) -> None:
        raise RetryLater("dark", after=timedelta(minutes=5))

    world.places["screens"].on_deliver = dark
    item = await world.accept()
    await world.settle()
    world.host.unregister("screens")
    await world.later(minutes=5)
    row = await world.row(item, "screens")
    assert "screens is not running" in row.reason

    world.places["screens"].on_deliver = None
    world.host.register(world.places["screens"], "screens")
    await world.later(minutes=5)

    assert set((await world.states(item)).values()) == {"delivered"}
    assert (await world.row(item, "screens")).attempts == 0


async def test_a_plugin_that_was_down_when_an_item_was_withdrawn_takes_it_back_later(
    world: World, screens: Place
) -> None:
    item = await world.accept()
    await world.settle()
    world.host.unregister("screens")

    await withdraw(world, item)
    await world.settle()
    assert screens.holds
    world.host.register(screens, "screens")
    await world.later(minutes=5)

    assert screens.holds == {}


async def test_what_could_not_be_made_for_the_moment_is_tried_again(world: World) -> None:
    world.kitchen.refuse[SMALL] = NotMade(profile=SMALL, message="The disk is full.", values={}, transient=True)
    item = await world.accept()
    await world.settle()
    assert set((await world.states(item)).values()) == {"transcoding"}
    world.kitchen.refuse.clear()

    await world.later(minutes=1)

    assert set((await world.states(item)).values()) == {"delivered"}


async def test_what_can_never_be_made_fails_with_its_reason_until_a_person_says_again(world: World) -> None:
    world.kitchen.refuse[SMALL] = NotMade(profile=SMALL, message="It is too long.", values={}, transient=False)
    item = await world.accept()
    await world.settle()
    row = await world.row(item, "screens")
    assert (row.state, row.reason) == ("failed", "a.mp4 (64x48 H.264): It is too long.")
    world.kitchen.refuse.clear()

    outcome = await world.workflow.retry(item.number)
    await world.settle()

    assert outcome.done
    assert set((await world.states(item)).values()) == {"delivered"}


async def test_a_transcoder_with_a_bug_fails_only_what_it_was_asked_for(world: World, screens: Place) -> None:
    async def crash(asset: object) -> None:
        if len(world.kitchen.runs) == 3:
            screens.profile = LARGE
            await world.workflow.replan("screens")
            world.wake()
            digest = item.assets[0].sha256
            while LARGE not in await world.database.read(renditions.wanted_profiles, digest):  # noqa: ASYNC110 - a row
                await asyncio.sleep(0)
        if len(world.kitchen.runs) <= 3:
            raise KeyError("bug")

    world.kitchen.on_make = crash
    item = await world.accept()

    await world.settle()
    await world.later(minutes=1)
    await world.later(minutes=1)

    assert set((await world.states(item)).values()) == {"delivered"}


async def test_a_delivery_given_up_is_tried_again_when_a_person_says_so(world: World, screens: Place) -> None:
    async def refuse(delivery: Delivery) -> None:
        raise Rejected("the card is full")

    screens.on_deliver = refuse
    item = await world.accept()
    await world.settle()
    row = await world.row(item, "screens")
    assert (row.state, row.reason, row.attempts) == ("failed", "the card is full", 1)
    screens.on_deliver = None

    await world.workflow.retry(item.number)
    await world.settle()

    assert set((await world.states(item)).values()) == {"delivered"}
    assert await counts(world) == {}


async def test_a_withdrawal_that_was_given_up_can_be_tried_again(world: World, screens: Place) -> None:
    async def refuse(item: Item) -> None:
        raise Rejected("no")

    screens.on_withdraw = refuse
    item = await world.accept()
    await world.settle()
    await withdraw(world, item)
    await world.settle()
    assert await counts(world) == {"withdraw dead": 1}
    screens.on_withdraw = None

    outcome = await world.workflow.retry(item.number)
    await world.settle()

    assert outcome.done
    assert screens.holds == {}
    assert not (await world.workflow.retry(item.number)).done


async def test_withdrawing_again_is_no_mistake_and_an_unknown_item_is(world: World) -> None:
    item = await world.accept()

    outcomes = [await withdraw(world, item), await withdraw(world, item)]
    unknown = await world.workflow.withdraw("IP-2020-01-0001", "x", who="dini")

    assert [one.done for one in outcomes] == [True, True]
    assert "already" in outcomes[1].message
    assert (unknown.done, "IP-2020-01-0001" in unknown.message) == (False, True)
    assert not (await world.workflow.retry("IP-2020-01-0001")).done


async def test_orders_go_to_whom_they_concern(world: World, screens: Place) -> None:
    item = await world.accept()

    def order(name: str, number: str = "") -> Order:
        return Order(id=1, name=name, args={"item": number}, who="dini", why="keliru", given_at=NOON)

    assert (await world.workflow.order(order("screens.clear"))).message == "screens.clear done"
    assert not (await world.workflow.order(order("nobody.clear"))).done
    assert (await world.workflow.order(order("retry", item.number))).done
    assert (await world.workflow.order(order("withdraw", item.number))).done
    assert await world.database.read(items.reason_of, item) == "keliru"


async def test_a_receipt_that_is_quicker_than_the_reply_is_not_overwritten(world: World, screens: Place) -> None:
    screens.pending = True
    journal = world.journal("screens")

    async def answer(delivery: Delivery) -> None:
        await journal.record(Delivered(delivery=delivery.key, at=NOON), key=delivery.key)

    screens.on_deliver = answer
    item = await world.accept()

    await world.settle()

    assert set((await world.states(item)).values()) == {"delivered"}


async def test_with_the_real_transcoder_sound_comes_out_and_damage_is_told(tmp_path: Path) -> None:
    radio = Place("radio", profile=SOUND)
    world = World(tmp_path, radio)
    world.kitchen = Transcoder(MediaSettings(), tmp_path / "made")
    world.start()
    whole = sound_asset(make_audio(tmp_path / "whole.wav", 1.0, 440))
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(b"RIFF" + bytes(5000))
    good = await world.accept("good", assets=(replace(whole, media=replace(whole.media, duration_s=1.0)),))
    bad = await world.accept("bad", assets=(replace(sound_asset(damaged), media=whole.media),))

    await world.settle()

    assert await world.states(good) == {"radio/one": "delivered"}
    assert radio.holds[f"{good.number}/one"][0].path.is_file()
    assert await world.states(bad) == {"radio/one": "failed"}
    assert (await world.row(bad, "radio")).reason
    world.close()


def test_the_host_used_here_is_the_real_one(world: World) -> None:
    assert type(world.host) is PluginHost


async def test_a_rendition_lost_after_its_delivery_is_made_again_at_the_next_plan(world: World, screens: Place) -> None:
    item = await world.accept()
    await world.settle()
    for path in world.kitchen.folder.iterdir():
        path.unlink()

    await world.workflow.replan("screens")
    await world.settle()

    assert len(world.kitchen.runs) == 2
    assert await world.states(item) == {"screens/one": "delivered", "screens/two": "delivered"}
    assert all(held[0].path.is_file() for held in screens.holds.values())


async def test_a_whole_rendition_is_not_made_again_by_a_plan_or_a_retry(world: World, screens: Place) -> None:
    item = await world.accept()
    await world.settle()

    await world.workflow.replan("screens")
    await world.workflow.retry(item.number)
    await world.settle()

    assert len(world.kitchen.runs) == 1
    assert screens.calls.count(f"deliver {item.number}/one") == 1


async def test_a_retry_makes_a_damaged_rendition_again_although_its_size_is_right(world: World, screens: Place) -> None:
    async def refuse(delivery: Delivery) -> None:
        raise Rejected("not the rendition that was verified")

    item = await world.accept()
    await world.settle()
    for path in world.kitchen.folder.iterdir():
        path.chmod(0o644)
        path.write_bytes(bytes(path.stat().st_size))
    screens.on_deliver = refuse

    screens.on_deliver = None
    outcome = await world.workflow.retry(item.number)
    await world.settle()

    assert outcome.done
    assert len(world.kitchen.runs) == 2
    assert await world.states(item) == {"screens/one": "delivered", "screens/two": "delivered"}


async def test_a_delivery_that_failed_for_a_damaged_rendition_has_a_way_out(world: World, screens: Place) -> None:
    async def refuse(delivery: Delivery) -> None:
        raise Rejected("not the rendition that was verified")

    screens.on_deliver = refuse
    item = await world.accept()
    await world.settle()
    for path in world.kitchen.folder.iterdir():
        path.chmod(0o644)
        path.write_bytes(bytes(path.stat().st_size))
    screens.on_deliver = None

    await world.workflow.retry(item.number)
    await world.settle()

    assert len(world.kitchen.runs) == 2
    assert await world.states(item) == {"screens/one": "delivered", "screens/two": "delivered"}
