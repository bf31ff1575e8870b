"""A real broker, the real plugin over a fake hub, and a small player that speaks the protocol by itself."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.api import (
    CurrentDelivery,
    Delivered,
    Delivery,
    DeliveryState,
    Pending,
    PluginContext,
    Rendition,
    VideoProfile,
    Want,
)
from hub.testing import FakeHub, make_asset, make_context, make_current, make_item, make_rendition
from plugins.videotron.keys.keyring import make
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.plugin import VideotronPlugin
from plugins.videotron.protocol import (
    BlockFlag,
    BlockList,
    Document,
    Manifest,
    ManifestItem,
    PlayerState,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    Report,
    ReportFlag,
    SigningKey,
    Topics,
    decode_block,
    decode_signed,
    encode_report,
    encode_signed,
    tag_of,
)
from plugins.videotron.protocol.trust import begin
from plugins.videotron.settings import BrokerSettings, ScreenSettings, VideotronSettings

BLOCK_BYTES = 4096


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def until(true: Callable[[], object], *, within_s: float = 15, what: str = "") -> None:
    """Poll what happens in another process, or behind a socket, until it is true."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(0.01)


@dataclass
class Station:
    """The plugin, running against a broker, and what it records."""

    plugin: VideotronPlugin
    hub: FakeHub
    broker: LocalBroker
    folder: Path
    settings: VideotronSettings

    @property
    def exchange(self):  # type: ignore[no-untyped-def]
        return self.plugin._exchange

    async def deliver(self, data: bytes, number: str = "IP-2026-11-0001", screens: tuple[str, ...] = ()) -> Rendition:
        """An item that is ready for these screens (default: all), handed to the plugin as the hub would."""
        path = self.folder / f"{number}.mp4"
        await asyncio.to_thread(path.write_bytes, data)
        profile = VideoProfile(width=64, height=32)
        asset = make_asset(path)
        rendition = make_rendition(path, asset, profile)
        now = datetime.now(UTC)
        item = make_item(number, assets=(asset,), start=now, end=now + timedelta(days=1))
        for screen in screens or tuple(self.settings.screens):
            delivery = Delivery(
                key=f"{number}/{screen}",
                item=item.number,
                destination=screen,
                wants=(Want(asset=asset.sha256, profile=profile),),
            )
            current = make_current(delivery, item, rendition, state=DeliveryState.HANDED_OVER)
            self.hub.current.append(current)
            answer = await self.plugin.hub_deliver(delivery=delivery, renditions=[rendition])
            assert isinstance(answer, Pending)
        return rendition

    def current(self, key: str) -> CurrentDelivery:
        return next(current for current in self.hub.current if current.delivery.key == key)

    def delivered(self) -> set[str]:
        return {fact.delivery for fact in self.hub.facts(Delivered)}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Station]:
        [service] = self.plugin.hub_services()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(service.run())
            try:
                yield self
            finally:
                task.cancel()


@dataclass
class SmallPlayer:
    """Speaks the protocol from its description, in one file's worth of code; keeps blocks in memory."""

    player: str
    broker: LocalBroker
    boot: int = field(default_factory=lambda: random.getrandbits(63))
    boots: int = field(default_factory=itertools.count(1).__next__)  # as if all were one player, started again
    hub_keys: dict[str, bytes] = field(default_factory=dict)  # by key id
    early: bytes = b""
    manifest: Manifest | None = None
    n: int = 0
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    lists: dict[str, BlockList] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    acks: list[ProofAck] = field(default_factory=list)
    sequences: dict[str, list[int]] = field(default_factory=dict)
    blocks: int = 0
    duplicates: int = 0
    bad: int = 0
    connects: int = 0
    client: aiomqtt.Client | None = None
    stop_after: int | None = None  # blocks, as if the power went out then

    @property
    def topics(self) -> Topics:
        return Topics(self.broker.namespace)

    @property
    def key(self) -> SigningKey:
        return key_of(self.player)

    def state(self, *, online: bool = True, **changes: object) -> PlayerState:
        base = PlayerState(
            player=self.player,
            online=online,
            software="small-player",
            boot=f"{self.boot:016x}",
            boots=self.boots,
            n=self.n,
            keyset=1,
            epoch=self.manifest.epoch if self.manifest else 0,
            seq=self.manifest.seq if self.manifest else 0,
            override=0,
            command=0,
            shows="items",
            playing=None,
            holds=tuple(sorted(self.done)),
            mpv="idle",
            free_bytes=1,
            clock=datetime.now(UTC),
            time=datetime.now(UTC),
            chain=f"{self.boot:016x}",
            proof_seq=0,
        )
        return base.model_copy(update=changes)

    async def run(self) -> None:
        while True:
            ended = False
            try:
                await self._session()
                ended = True
            except* aiomqtt.MqttError:
                pass
            if ended:
                return
            await asyncio.sleep(0.1)  # the broker is another process

    def connection(self) -> aiomqtt.Client:
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = 1
        return aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            identifier=self.player,
            username=self.player,
            password=self.broker.passwords[self.player],
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            properties=properties,
            will=aiomqtt.Will(
                self.topics.state(self.player), self.signed(self.state(online=False)), qos=1, retain=True
            ),
        )

    async def _session(self) -> None:
        async with self.connection() as client:
            self.client, self.sequences = client, {}
            self.connects += 1
            topics = self.topics
            for topic in (topics.keys, topics.hub, topics.manifest(self.player), topics.control(self.player)):
                await client.subscribe(topic, qos=1)
            await client.subscribe(topics.unicast(self.player), qos=1)
            await self.say_state()
            async with asyncio.TaskGroup() as group:
                ticker = group.create_task(self._tick())
                async for message in client.messages:
                    await self._take(str(message.topic), message.payload)
                    if asyncio.current_task().cancelling():
                        raise asyncio.CancelledError  # lost in Python 3.11's wait_for, in which aiomqtt waits
                    if self.stop_after is not None and self.blocks >= self.stop_after:
                        break
                ticker.cancel()

    async def say_state(self) -> None:
        self.n += 1
        await self.client.publish(self.topics.state(self.player), self.signed(self.state()), qos=1, retain=True)

    def signed(self, document: Document) -> bytes:
        return encode_signed(document, self.key)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            for cid in list(self.lists):
                await self._report(cid)

    async def _take(self, topic: str, payload: bytes) -> None:
        kind, cid, _ = self.topics.parse(topic)
        if kind == "hub":
            for known in list(self.lists):
                await self._report(known)
        elif kind == "keys" and payload:
            self.hub_keys = begin(payload).online
            if self.early:
                await self._follow(decode_signed(Manifest, self.early, self.hub_keys))
        elif kind == "manifest" and not self.hub_keys:
            self.early = payload  # retained messages come in any order
        elif kind == "manifest" and payload:
            await self._follow(decode_signed(Manifest, payload, self.hub_keys))
        elif kind == "block_list" and payload:
            self.lists[cid] = decode_signed(BlockList, payload, self.hub_keys)
            self.parts.setdefault(cid, {})
            self.sequences.setdefault(cid, [0, 0])
            await self.client.subscribe(self.topics.group(cid), qos=1)
            await self._report(cid)
        elif kind == "control":
            self.acks.append(decode_signed(ProofAck, payload, self.hub_keys))
        elif kind in {"group", "unicast"}:
            await self._take_block(cid, payload)

    async def _follow(self, manifest: Manifest) -> None:
        assert manifest.aud == self.player
        self.manifest = manifest
        for cid in {file.cid for file in manifest.files()} - self.done:
            await self.client.subscribe(self.topics.block_list(cid), qos=1)
        await self.say_state()

    async def _take_block(self, cid: str, frame: bytes) -> None:
        block = decode_block(frame)
        cids = [cid] if cid else [known for known in self.lists if tag_of(known) == block.tag]
        for meant in cids:
            if meant in self.done:
                continue
            self.sequences.setdefault(meant, [0, 0])[block.flags != BlockFlag.GROUP] = block.sequence
            if block.is_flush:
                await self._report(meant)
            else:
                await self._keep(meant, block.index, bytes(block.data))

    async def _keep(self, cid: str, index: int, data: bytes) -> None:
        self.blocks += 1
        part = self.parts[cid]
        if hashlib.sha256(data).digest() != self.lists[cid].digests()[32 * index : 32 * index + 32]:
            self.bad += 1
        elif index in part:
            self.duplicates += 1
        else:
            part[index] = data
        if len(part) == self.lists[cid].n:
            await self._finish(cid)
        elif self.blocks % 4 == 0:
            await self._report(cid)

    async def _finish(self, cid: str) -> None:
        assert hashlib.sha256(self.file(cid)).hexdigest() == self.lists[cid].sha256
        await self.client.unsubscribe(self.topics.group(cid))
        self.done.add(cid)
        await self._report(cid, ReportFlag.DONE)
        del self.lists[cid]
        await self.say_state()

    def file(self, cid: str) -> bytes:
        return b"".join(self.parts[cid][index] for index in range(len(self.parts[cid])))

    async def _report(self, cid: str, flags: ReportFlag = ReportFlag.IN_GROUP) -> None:
        have = sum(1 << index for index in self.parts[cid])
        group, unicast = self.sequences.setdefault(cid, [0, 0])
        report = Report(
            flags=flags,
            blocks=self.lists[cid].n,
            group_sequence=group,
            unicast_sequence=unicast,
            boot=self.boot,
            have=have,
        )
        qos = 1 if ReportFlag.DONE in flags else 0
        await self.client.publish(self.topics.report(cid, self.player), encode_report(report), qos=qos)

    async def prove(self, item: ManifestItem, seq: int = 1, **changes: object) -> None:
        entry = ProofEntry(
            seq=seq,
            boot=f"{self.boot:016x}",
            item=item.item,
            title=item.title,
            cid=item.cid,
            sha256=item.sha256,
            epoch=1,
            manifest=self.manifest.seq if self.manifest else 0,
            started_at=datetime.now(UTC),
            seconds=1.0,
            result="completed",
        ).model_copy(update=changes)
        proof = ProofOfPlay(
            player=self.player, chain=f"{self.boot:016x}", prev="0" * 64, entries=(entry.model_dump_json(),)
        )
        await self.client.publish(self.topics.proof(self.player), self.signed(proof), qos=1)


def key_of(player: str) -> SigningKey:
    return SigningKey(hashlib.sha256(player.encode()).digest())


@contextlib.asynccontextmanager
async def on(*players: SmallPlayer) -> AsyncIterator[None]:
    """These players, switched on."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(player.run()) for player in players]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


SCREENS = ("gate-1", "gate-2", "hall-1")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[LocalBroker]:
    async with local_broker(tmp_path / "broker", SCREENS) as running:
        yield running


def settings_for(broker: LocalBroker, screens: tuple[str, ...] = SCREENS) -> VideotronSettings:
    return VideotronSettings(
        broker=BrokerSettings(port=broker.port, password=broker.hub_password),
        namespace=broker.namespace,
        block_bytes=BLOCK_BYTES,
        hold_off_s=0.3,
        window_bytes=16 * BLOCK_BYTES,  # as many blocks as in reality
        screens={screen: ScreenSettings(width=64, height=32) for screen in screens},
    )


def make_station(broker, folder: Path, hub: FakeHub | None = None, screens=SCREENS, changed=None) -> Station:  # type: ignore[no-untyped-def]
    hub = hub or FakeHub(clock=SystemClock())  # type: ignore[arg-type]
    settings = settings_for(broker, screens).model_copy(update=changed or {})
    context: PluginContext[VideotronSettings] = make_context(settings, folder, hub=hub, name="videotron")
    if not (context.state_dir / "keys").exists():
        make(context.state_dir / "keys", "an-office", now=datetime.now(UTC))
    plugin = VideotronPlugin(context)
    for screen in screens:
        plugin._enrolments.enrol(screen, key_of(screen).public, at=datetime.now(UTC), who="a test")
    return Station(plugin=plugin, hub=hub, broker=broker, folder=folder, settings=settings)


@pytest.fixture
async def station(broker: LocalBroker, tmp_path: Path) -> AsyncIterator[Station]:
    async with make_station(broker, tmp_path).running() as running:
        await until(lambda: running.exchange.broker.link, what="connected")
        yield running


@pytest.fixture
def tools():  # type: ignore[no-untyped-def]
    """What test modules need of this file: importlib mode has no package to import it from."""

    class Tools:
        until = staticmethod(until)
        on = staticmethod(on)
        make_station = staticmethod(make_station)
        SmallPlayer = SmallPlayer
        screens = SCREENS
        block_bytes = BLOCK_BYTES

    return Tools
