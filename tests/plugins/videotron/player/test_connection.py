"""The player's connection: acknowledged by hand, no faster than it may, never in the way of an order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import pytest
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from plugins.videotron.local_broker import LocalBroker
from plugins.videotron.player.connection import Connection
from plugins.videotron.player.settings import BrokerSettings

PLAYER = "gate-1"
BLOCKS, CONTROL = "led/v1/p/gate-1/b", "led/v1/p/gate-1/c"


@dataclass
class Ear:
    """Subscribes, and notes when what came."""

    connection: Connection | None = None
    heard: list[tuple[str, int, float]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    holding: asyncio.Event | None = None

    async def connected(self) -> None:
        assert self.connection
        await self.connection.subscribe_to({BLOCKS: 1, CONTROL: 0})
        self.ready.set()

    async def take(self, topic: str, payload: Any) -> None:
        self.heard.append((topic, len(payload), time.monotonic()))
        self.came.set()
        if self.holding and topic == BLOCKS:
            await self.holding.wait()

    def of(self, topic: str) -> list[float]:
        return [at for one, _, at in self.heard if one == topic]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not true():
                self.came.clear()
                await self.came.wait()


@contextlib.asynccontextmanager
async def listening(broker: LocalBroker, ear: Ear, **settings: Any) -> AsyncIterator[Connection]:
    ear.connection = connection = Connection(
        settings=BrokerSettings(port=broker.port, password=broker.passwords[PLAYER], **settings),
        player=PLAYER,
        will=("led/v1/s/gate-1/state", lambda: b""),
        log=structlog.get_logger(),
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(connection.run(ear))
        await ear.ready.wait()
        yield connection
        task.cancel()


@pytest.fixture
async def hub_client(broker: LocalBroker) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5, username=broker.hub_username,
        password=broker.hub_password,
    ) as client:  # fmt: skip
        yield client


async def test_a_limited_player_takes_blocks_no_faster_and_orders_at_once(
    broker: LocalBroker, hub_client: aiomqtt.Client
) -> None:
    ear = Ear()
    async with listening(broker, ear, link="slow") as connection:
        connection.limit(1024)  # 128 kB a second
        for _ in range(6):
            await hub_client.publish(BLOCKS, b"x" * 64_000, qos=1)
        sent = time.monotonic()
        await hub_client.publish(CONTROL, b"order", qos=0)
        await ear.until(lambda: len(ear.of(BLOCKS)) == 6 and ear.of(CONTROL))

    took = ear.of(BLOCKS)[-1] - ear.of(BLOCKS)[0]
    assert 1.5 < took < 6  # five blocks of half a second each, less the burst
    assert ear.of(CONTROL)[0] - sent < 1.0
    assert ear.of(CONTROL)[0] < ear.of(BLOCKS)[-1]


async def test_a_limit_that_comes_later_holds_on_a_lan_too(broker: LocalBroker, hub_client: aiomqtt.Client) -> None:
    ear = Ear()
    async with listening(broker, ear, link="lan") as connection:
        ear.ready.clear()
        connection.limit(1024)
        await ear.ready.wait()  # again, with one block at a time: Mosquitto 2.0.11 would send many
        for _ in range(6):
            await hub_client.publish(BLOCKS, b"x" * 64_000, qos=1)
        await ear.until(lambda: len(ear.of(BLOCKS)) == 6)

    assert 1.5 < ear.of(BLOCKS)[-1] - ear.of(BLOCKS)[0] < 6


async def test_the_broker_holds_back_what_is_not_acknowledged(broker: LocalBroker, hub_client: aiomqtt.Client) -> None:
    ear = Ear(holding=asyncio.Event())
    async with listening(broker, ear, link="slow"):
        for _ in range(4):
            await hub_client.publish(BLOCKS, b"x" * 5000, qos=1)
        await ear.until(lambda: ear.heard)
        assert len(ear.heard) == 1
        assert ear.holding
        ear.holding.set()
        await ear.until(lambda: len(ear.heard) == 4)


async def test_what_was_not_acknowledged_comes_again_after_a_cut(
    broker: LocalBroker, hub_client: aiomqtt.Client
) -> None:
    ear = Ear(holding=asyncio.Event())
    async with listening(broker, ear, link="slow") as connection:
        await hub_client.publish(BLOCKS, b"x" * 5000, qos=1)
        await ear.until(lambda: ear.heard)
        client = connection._client
        assert client
        client._client.socket().shutdown(socket.SHUT_RDWR)  # the cable
        assert ear.holding
        ear.holding.set()

        await ear.until(lambda: len(ear.heard) == 2)

    assert [size for _, size, _ in ear.heard] == [5000, 5000]


async def test_blocks_and_documents_of_every_size_come_as_they_were_sent(
    broker: LocalBroker, hub_client: aiomqtt.Client
) -> None:
    class Keeper(Ear):
        async def take(self, topic: str, payload: Any) -> None:
            self.kept = [*getattr(self, "kept", []), bytes(payload)]
            await super().take(topic, payload)

    ear, sizes = Keeper(), [0, 1, 100, 4000, 4096, 5000, 70_000, 262_160, 1_048_592]
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]
    expiring = Properties(PacketTypes.PUBLISH)
    expiring.MessageExpiryInterval = 120
    async with listening(broker, ear):
        for number, payload in enumerate(sent):
            await hub_client.publish(BLOCKS, payload, qos=1, properties=expiring if number % 2 else None)
        await ear.until(lambda: len(ear.heard) == len(sizes))

    assert ear.kept == sent


def test_the_link_says_how_much_may_be_in_flight() -> None:
    assert BrokerSettings(link="lan").in_flight >= 4
    assert BrokerSettings(link="slow").in_flight == 1
    assert BrokerSettings(link="slow", receive_maximum=2).in_flight == 2
