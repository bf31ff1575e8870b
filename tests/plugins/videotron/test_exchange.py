"""The plugin against a real Mosquitto and players that speak the protocol by themselves."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime

import aiomqtt
import pytest

from hub.api import Delivered, DeliveryState, HealthState, Played
from plugins.videotron.protocol import Report, ReportFlag, cid_of, encode_report
from plugins.videotron.screens.snapshot import read_snapshot

pytestmark = pytest.mark.timeout(60)


def some_bytes(blocks: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(blocks * 4096 - 100)


async def test_one_upload_serves_all_players_and_each_delivery_gets_its_receipt(station, tools):
    data = some_bytes(60)
    players = [tools.SmallPlayer(name, station.broker) for name in tools.screens]

    async with tools.on(*players):
        rendition = await station.deliver(data)
        await tools.until(lambda: len(station.delivered()) == 3)

    cid = cid_of(rendition.sha256)
    assert all(player.file(cid) == data for player in players)
    assert station.delivered() == {f"IP-2026-11-0001/{name}" for name in tools.screens}
    assert station.exchange.sender.uplink.bytes <= 1.15 * len(data)


async def test_several_files_travel_at_the_same_time(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)

    async with tools.on(player):
        for number in range(1, 5):
            await station.deliver(some_bytes(8, seed=number), f"IP-2026-11-000{number}", screens=("gate-1",))
        await tools.until(lambda: len(station.delivered()) == 4)

    assert len(player.done) == 4
    assert player.duplicates == 0


async def test_a_player_that_lost_power_fetches_only_what_it_lacks(station, tools):
    data = some_bytes(60)
    first = tools.SmallPlayer("gate-1", station.broker, stop_after=25)
    rendition = await station.deliver(data, screens=("gate-1",))
    await first.run()
    cid = cid_of(rendition.sha256)
    kept = dict(first.parts[cid])

    again = tools.SmallPlayer("gate-1", station.broker, parts={cid: dict(kept)})
    async with tools.on(again):
        await tools.until(lambda: station.delivered())

    assert again.file(cid) == data
    assert again.blocks <= 60 - len(kept) + 9  # what was on its way when the power went may come twice


async def test_a_transfer_survives_a_broker_killed_in_its_middle(station, tools):
    data = some_bytes(300)
    players = [tools.SmallPlayer(name, station.broker) for name in ("gate-1", "gate-2")]

    async with tools.on(*players):
        rendition = await station.deliver(data, screens=("gate-1", "gate-2"))
        await tools.until(lambda: all(player.blocks > 40 for player in players))
        await station.broker.kill()
        await station.broker.start()
        await tools.until(lambda: len(station.delivered()) == 2, within_s=40)

    assert all(player.connects == 2 for player in players)
    assert all(player.file(cid_of(rendition.sha256)) == data for player in players)


async def test_a_new_hub_goes_on_where_the_old_one_was_killed(broker, tools, tmp_path):
    data = some_bytes(200)
    player = tools.SmallPlayer("gate-1", broker)
    async with tools.on(player):
        async with tools.make_station(broker, tmp_path).running() as old:
            rendition = await old.deliver(data, screens=("gate-1",))
            await tools.until(lambda: player.blocks > 20)
        seq = player.manifest.seq

        async with tools.make_station(broker, tmp_path, hub=old.hub).running() as new:
            await tools.until(lambda: new.delivered())

    assert player.file(cid_of(rendition.sha256)) == data
    assert player.manifest.seq == seq  # nothing changed, so no new manifest
    assert player.duplicates <= 20


async def test_a_withdrawn_item_leaves_the_manifest_and_its_block_list_is_cleared(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    rendition = await station.deliver(some_bytes(3), screens=("gate-1",))
    async with tools.on(player):
        await tools.until(lambda: player.manifest and player.manifest.items)

        await station.plugin.hub_withdraw(item=station.hub.current[0].item, reason="salah")

        await tools.until(lambda: not player.manifest.items)
        issuer = station.exchange.issuer
        await tools.until(lambda: issuer.film_of(rendition.sha256, 0.0) is None)

    late = tools.SmallPlayer("gate-1", station.broker)
    async with late.connection() as client:
        await client.subscribe(late.topics.block_list(cid_of(rendition.sha256)), qos=1)
        await client.subscribe(late.topics.manifest("gate-1"), qos=1)
        message = await anext(aiter(client.messages))
    assert str(message.topic).endswith("/want")


async def test_a_play_is_recorded_once_and_then_acknowledged(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    await station.deliver(some_bytes(3), screens=("gate-1",))
    async with tools.on(player):
        await tools.until(lambda: station.delivered())

        for _ in range(2):  # the acknowledgement of the first was lost, as far as the player knows
            await player.prove(player.manifest.items[0], seq=7)
        await tools.until(lambda: len(player.acks) == 2)

    [played] = station.hub.facts(Played)
    assert (played.delivery, played.destination, played.complete) == ("IP-2026-11-0001/gate-1", "gate-1", True)
    assert (player.acks[0].seq, player.acks[0].chain) == (7, f"{player.boot:016x}")


async def test_a_play_of_what_the_player_was_never_given_is_refused_and_named(station, tools):
    player, other = tools.SmallPlayer("gate-1", station.broker), tools.SmallPlayer("gate-2", station.broker)
    await station.deliver(some_bytes(3), screens=("gate-1",))
    async with tools.on(player, other):
        await tools.until(lambda: station.delivered() and other.client)

        await other.prove(player.manifest.items[0])
        await player.prove(player.manifest.items[0].model_copy(update={"item": "IP-2026-11-0099"}))
        await tools.until(lambda: other.acks and player.acks)  # acknowledged: to send it again would not help

        health = await station.plugin.hub_health()
    assert station.hub.facts(Played) == []
    assert "never given" in health.details["gate-2"]
    assert health.state is HealthState.DEGRADED


async def test_a_play_proved_after_the_item_ended_still_counts(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    await station.deliver(some_bytes(3), screens=("gate-1",))
    async with tools.on(player):
        await tools.until(lambda: station.delivered())
        item = player.manifest.items[0]
        station.hub.current.clear()
        station.exchange.wake()
        await tools.until(lambda: not player.manifest.items)

        await player.prove(item)
        await tools.until(lambda: player.acks)

    assert len(station.hub.facts(Played)) == 1


async def test_rubbish_and_borrowed_names_change_nothing(station, tools):
    bad = tools.SmallPlayer("gate-1", station.broker)
    good = tools.SmallPlayer("gate-2", station.broker)
    rendition = await station.deliver(some_bytes(3), screens=("hall-1",))
    cid = cid_of(rendition.sha256)
    whole = Report(flags=ReportFlag.DONE, blocks=3, group_sequence=0, unicast_sequence=0, boot=1, have=7)
    async with bad.connection() as client:
        for topic, payload in [
            (bad.topics.state("gate-1"), b"\xff" * 1000),
            (bad.topics.state("gate-1"), bad.signed(good.state())),  # its own topic, another's name
            (bad.topics.state("hall-1"), bad.signed(bad.state(player="hall-1", holds=(cid,)))),  # the broker stops it
            (bad.topics.report(cid, "hall-1"), encode_report(whole)),  # the broker stops it
            (bad.topics.report(cid, "gate-1"), encode_report(whole)),  # not in its manifest
            (bad.topics.report(cid, "gate-1"), b"x"),
            (bad.topics.proof("gate-1"), b"[" * 5000),
            (f"{station.settings.namespace}/r/{'z' * 32}/gate-1", b"x"),
        ]:
            await client.publish(topic, payload, qos=1)
        await client.publish(bad.topics.state("gate-1"), bad.signed(bad.state(mpv="playing")), qos=1)
    await tools.until(lambda: station.exchange.roster.last_seen("gate-1"))

    health = await station.plugin.hub_health()
    assert station.delivered() == set()
    assert station.exchange.roster.last_seen("gate-2") is None
    assert station.exchange.roster.last_seen("hall-1") is None
    assert any("calls itself gate-2" in detail for detail in health.details.values())
    assert "gate-1" in health.summary.partition("messages were refused")[2]


async def test_a_player_of_no_configured_screen_is_ignored_and_named(broker, tools, tmp_path):
    stranger = tools.SmallPlayer("hall-1", broker)
    async with tools.make_station(broker, tmp_path, screens=("gate-1",)).running() as station, tools.on(stranger):
        await tools.until(lambda: "hall-1" in station.exchange.complaints.recent())

    assert "no such screen" in station.exchange.complaints.recent()["hall-1"]


async def test_a_screen_that_is_no_longer_configured_is_told_to_show_nothing(broker, tools, tmp_path):
    player = tools.SmallPlayer("hall-1", broker)
    async with tools.on(player):
        async with tools.make_station(broker, tmp_path).running() as old:
            await old.deliver(some_bytes(3), screens=("hall-1",))
            await tools.until(lambda: player.manifest and player.manifest.items)
        before = player.manifest.seq

        async with tools.make_station(broker, tmp_path, hub=old.hub, screens=("gate-1",)).running():
            await tools.until(lambda: not player.manifest.items)

    assert player.manifest.seq > before


async def test_a_player_that_says_no_more_is_offline_and_one_that_comes_back_is_online(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    async with tools.on(player):
        await tools.until(lambda: station.exchange.roster.online("gate-1") and player.manifest)
        await player.client.publish(
            player.topics.state("gate-1"), player.signed(player.state(online=False)), qos=1, retain=True
        )
        await tools.until(lambda: not station.exchange.roster.online("gate-1"))

        await player.say_state()
        await tools.until(lambda: station.exchange.roster.online("gate-1"))

    health = await station.plugin.hub_health()
    assert "2 of 3 players not heard: gate-2, hall-1" in health.summary


async def test_what_a_player_holds_counts_only_for_a_delivery_that_was_handed_over(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    rendition = await station.deliver(some_bytes(2), screens=("gate-1",))
    handed_over = station.current("IP-2026-11-0001/gate-1")
    station.hub.current[:] = [replace(handed_over, state=DeliveryState.READY)]
    async with tools.on(player):
        await tools.until(lambda: station.exchange.roster.holds("gate-1", [cid_of(rendition.sha256)]))
        assert station.delivered() == set()

        station.hub.current[:] = [handed_over]
        station.exchange.wake()
        await tools.until(lambda: station.delivered())


async def test_a_hub_without_a_broker_says_so_and_catches_up_when_it_comes(broker, tools, tmp_path):
    await broker.kill()
    player = tools.SmallPlayer("gate-1", broker)
    async with tools.make_station(broker, tmp_path).running() as station:
        await station.deliver(some_bytes(2), screens=("gate-1",))
        await tools.until(lambda: "not connected yet" not in station.exchange.broker.trouble)
        health = await station.plugin.hub_health()
        await broker.start()
        async with tools.on(player):
            await tools.until(lambda: station.delivered())

    assert health.state is HealthState.DOWN
    assert str(broker.port) in health.summary


async def test_a_publish_that_the_acl_denies_is_seen(station, tools):
    await station.exchange.broker.link.publish(station.exchange._topics.state("gate-1"), b"forged")

    health = await station.plugin.hub_health()

    assert "gate-1/state" in health.details["broker"]


async def test_the_hub_says_goodbye(broker, tools, tmp_path):
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        identifier="gate-1",
        username="gate-1",
        password=broker.passwords["gate-1"],
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as client:
        await client.subscribe("led/v1/hub", qos=1)
        async with tools.make_station(broker, tmp_path).running():
            online = await anext(aiter(client.messages))
        async with asyncio.timeout(5):
            offline = await anext(aiter(client.messages))

    assert b'\\"online\\":true' in online.payload
    assert b'\\"online\\":false' in offline.payload


async def test_a_delivery_that_was_taken_back_and_comes_again_gets_a_receipt_again(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    await station.deliver(some_bytes(2), screens=("gate-1",))
    again = list(station.hub.current)
    async with tools.on(player):
        await tools.until(lambda: station.delivered())
        station.hub.current.clear()
        station.exchange.wake()
        await tools.until(lambda: not player.manifest.items)

        station.hub.current.extend(again)
        station.exchange.wake()
        await tools.until(lambda: len(station.hub.facts(Delivered)) == 2)


async def test_a_file_that_is_lost_while_it_is_shown_is_named_and_the_hub_asked_to_make_it_again(station, tools):
    lost = await station.deliver(some_bytes(2))
    await station.deliver(some_bytes(1), number="IP-2026-11-0002")
    lost.path.unlink()

    station.exchange.wake()
    await tools.until(lambda: station.exchange.issuer.lost)
    health = await station.plugin.hub_health()

    assert list(station.exchange.issuer.lost) == ["IP-2026-11-0001"]
    assert "IP-2026-11-0001" in health.summary
    assert station.hub.replans == 1
    lost.path.write_bytes(some_bytes(2))
    station.exchange.wake()
    await tools.until(lambda: not station.exchange.issuer.lost)


async def test_when_the_hub_stops_in_order_nobody_is_known_to_be_online(broker, tmp_path, tools):
    station = tools.make_station(broker, tmp_path, screens=("gate-1",))

    def online() -> list[bool]:
        return [row["online"] for row in read_snapshot(station.exchange._context.state_dir, datetime.now(UTC))]

    async with tools.on(tools.SmallPlayer("gate-1", broker)):
        async with station.running():
            await tools.until(lambda: online() == [True])

        assert online() == [False]


async def test_a_screen_is_listed_as_soon_as_the_hub_runs_even_without_a_broker(broker, tmp_path, tools):
    station = tools.make_station(broker, tmp_path, screens=("gate-1",))
    await broker.stop()

    async with station.running():
        await tools.until(lambda: read_snapshot(station.exchange._context.state_dir, datetime.now(UTC)))


async def test_a_revoked_machine_is_heard_no_more_and_gets_nothing_sent(station, tools):
    player = tools.SmallPlayer("gate-1", station.broker)
    record = station.plugin._enrolments
    await asyncio.to_thread(record.revoke, "gate-1", at=datetime.now(UTC), why="dicuri")

    await station.deliver(some_bytes(3), screens=("gate-1",))
    async with tools.on(player):
        await tools.until(lambda: "gate-1 report" in station.exchange.complaints.recent())
        await tools.until(lambda: "gate-1 state" in station.exchange.complaints.recent())

    assert "not enrolled" in station.exchange.complaints.recent()["gate-1 report"]
    assert player.blocks == 0
    assert not station.delivered()
