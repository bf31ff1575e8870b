"""The second implementation of the player (`second_player/`) against the real hub side and a real broker."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import itertools
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.api import CurrentDelivery, Delivery, DeliveryState, HealthState, Order, Outcome, Played, VideoProfile, Want
from hub.testing import make_asset, make_item, make_rendition
from plugins.videotron.keys import keyring
from plugins.videotron.keys.ceremony import rotate
from plugins.videotron.protocol import Command, CommandName, encode_signed
from plugins.videotron.settings import ScreenSettings

pytestmark = pytest.mark.timeout(60)

HERE = Path(__file__).parent
KBPS = 4000
NUMBER, FLOOD = "IP-2026-11-0001", "IP-2026-11-0002"


@dataclass
class Second:
    """The program in a process of its own, as a third party would start it."""

    station: Any
    tools: Any
    folder: Path
    pid: str = "gate-1"
    film_s: float = 0.3
    receive_maximum: int = 8
    process: asyncio.subprocess.Process | None = None
    orders: itertools.count = field(default_factory=lambda: itertools.count(1))

    async def start(self) -> None:
        (self.folder / "state").mkdir(parents=True, exist_ok=True)
        broker = self.station.broker
        told = {"folder": str(self.folder / "state"), "ns": broker.namespace, "film_s": self.film_s}
        told["receive_maximum"] = self.receive_maximum
        keychain = (self.station.plugin._context.state_dir / "keys" / "keychain.json").read_bytes()
        key = Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(self.pid.encode()).digest()
        )  # the station enrolled it
        (self.folder / "state/key").write_bytes(key.private_bytes_raw())
        credential = {
            "player": self.pid,
            "password": broker.passwords[self.pid],
            "site": "an-office",
            "keychain": base64.b64encode(keychain).decode(),
            "zone": "Asia/Makassar",
            "screen": {"width": 64, "height": 32},
            "broker": {"host": broker.host, "port": broker.port, "ca": None},
        }
        carried = {"key": base64.b64encode(key.public_key().public_bytes_raw()).decode(), "credential": credential}
        envelope = {"v": 1, "type": "siarhub.enrolment.v1", "payload": json.dumps(carried), "signatures": []}
        (self.folder / "state/enrolment").write_text(json.dumps(envelope))
        (self.folder / "settings.json").write_text(json.dumps(told))
        command = [sys.executable, "-m", "second_player", str(self.folder / "settings.json")]
        self.process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": str(HERE)})

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        self.process.terminate()
        return await self.process.wait()

    @property
    def state(self) -> Any:
        return self.station.exchange.roster.state(self.pid)

    def shows(self, what: str) -> bool:
        return self.state is not None and self.state.shows == what

    def refused(self) -> list[str]:
        return [str(one.attack) for one in self.state.rejections] if self.state else []

    async def until(self, true: Any, within_s: float = 20) -> None:
        await self.tools.until(true, within_s=within_s)

    async def order(self, name: str, **args: str) -> Outcome:
        now, number = datetime.now(UTC), next(self.orders)
        order = Order(id=number, name=f"videotron.{name}", args=args, who="ahmad", why="banjir", given_at=now)
        return await self.station.plugin.hub_order(order=order)

    async def forge(self, payload: bytes, *topic: str) -> None:
        """What a hostile broker says to it."""
        await self.station.exchange.broker.link.publish("/".join((self.station.broker.namespace, *topic)), payload)


@pytest.fixture
async def second(station: Any, tools: Any, tmp_path: Path) -> AsyncIterator[Second]:
    player = Second(station=station, tools=tools, folder=tmp_path / "second")
    await player.start()
    yield player
    if player.process.returncode is None:
        await player.kill()


def film(blocks: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(blocks * 4096 - 100)


async def template(second: Second, data: bytes) -> None:
    """A film for emergencies, as the hub's ledger has it."""
    station, path = second.station, second.folder / f"{FLOOD}.mp4"
    path.write_bytes(data)
    profile, asset, now = VideoProfile(width=64, height=32), make_asset(path), datetime.now(UTC)
    item = make_item(FLOOD, assets=(asset,), start=now, end=now + timedelta(days=1), accepted_at=now, template="banjir")
    want = Want(asset=asset.sha256, profile=profile)
    delivery = Delivery(key=f"{FLOOD}/gate-1", item=FLOOD, destination="gate-1", wants=(want,))
    made = (make_rendition(path, asset, profile),)
    one = CurrentDelivery(delivery=delivery, state=DeliveryState.HANDED_OVER, item=item, renditions=made)
    station.hub.known.append(item)
    station.hub.current.append(one)
    station.exchange.wake()


async def test_fetches_beside_another_player_is_delivered_and_its_plays_are_recorded(second, tools):
    station, data = second.station, film(60)
    other = tools.SmallPlayer("gate-2", station.broker)
    async with tools.on(other):
        await second.until(lambda: all(map(station.exchange.roster.online, ("gate-1", "gate-2"))))
        rendition = await station.deliver(data, screens=("gate-1", "gate-2"))
        await second.until(lambda: len(station.delivered()) == 2)
        await second.until(lambda: len(station.hub.facts(Played)) >= 2)
        await second.until(lambda: second.state.proof_seq > second.state.proofs_waiting)
        health = await station.plugin.hub_health()

    played = station.hub.facts(Played)[0]
    assert (played.delivery, played.rendition, played.complete) == (f"{NUMBER}/gate-1", rendition.sha256, True)
    assert (second.folder / "state/films" / rendition.sha256[:32]).read_bytes() == data
    assert station.exchange.sender.uplink.bytes <= 1.15 * len(data)
    assert second.refused() == []
    assert health.state is HealthState.OK or "gate-1" not in health.summary, health


async def test_goes_on_where_it_was_killed_and_its_proofs_stay_one_chain(broker, tools, tmp_path):
    data = film(200)
    async with slow_station(broker, tools, tmp_path).running() as station:
        second = Second(station=station, tools=tools, folder=tmp_path / "second", receive_maximum=1)
        await second.start()
        rendition, began = await station.deliver(data, screens=("gate-1",)), time.monotonic()
        had = await blocks_on_the_disk(second, rendition, 60)
        await second.kill()
        sent = station.exchange.sender.uplink.bytes

        await second.start()
        await second.until(station.delivered)
        took, again = time.monotonic() - began, station.exchange.sender.uplink.bytes - sent
        await second.until(lambda: station.hub.facts(Played))
        chain, seq = second.state.chain, second.state.proof_seq
        await second.kill()
        await second.start()
        await second.until(lambda: second.state.boots == 3 and second.state.proof_seq > seq + 1)

        assert again <= len(data) - (had - 30) * 4096
        assert took >= 0.7 * len(data) * 8 / (KBPS * 1000)  # no faster than its link may carry
        assert second.state.chain == chain
        assert await second.stop() == 0
        assert not station.exchange.complaints.recent()


async def test_a_withdrawn_item_leaves_its_screen_and_its_disk(second):
    station = second.station
    rendition = await station.deliver(film(3), screens=("gate-1",))
    await second.until(lambda: second.shows("items"))

    await station.plugin.hub_withdraw(item=station.hub.current[0].item, reason="salah")

    await second.until(lambda: second.shows("fallback"))
    assert second.state.holds == ()
    assert not (second.folder / "state/films" / rendition.sha256[:32]).exists()


async def test_an_emergency_a_blackout_and_their_end(second):
    await second.station.deliver(film(3), screens=("gate-1",))
    await template(second, film(4, seed=2))
    await second.until(lambda: second.state and len(second.state.holds) == 2 and second.shows("items"))

    flood = await second.order("emergency", template="banjir", screens="gate-1")
    shown = second.state.playing.item
    await second.kill()  # latched: also over a power cut
    await second.start()
    await second.until(lambda: second.state.boots == 2 and second.shows("emergency"))
    dark = await second.order("blackout", screens="gate-1")
    black = second.state
    clear = await second.order("clear", screens="gate-1")

    assert [one.message for one in (flood, dark, clear) if "gate-1: done" not in one.message] == []
    assert shown == FLOOD
    assert (black.shows, black.playing) == ("blackout", None)
    assert second.shows("items")


async def test_a_screenshot_is_answered_by_a_signed_shot(second):
    await second.station.deliver(film(3), screens=("gate-1",))
    await second.until(lambda: second.shows("items"))

    outcome = await second.order("screenshot", screen="gate-1")

    assert outcome.done, outcome  # whether it is the right picture is another question: a timer has none
    await second.until(lambda: second.state.command > 0)
    assert not second.station.exchange.complaints.recent()


async def test_refuses_what_a_hostile_broker_brings_and_says_so(second):
    station, mine = second.station, ("p", "gate-1", "want")
    await station.deliver(film(3), screens=("gate-1",))
    await second.until(lambda: second.shows("items"))
    before = json.loads((second.folder / "state/trust").read_bytes())["manifest_text"].encode()
    await station.deliver(film(3, seed=2), FLOOD, screens=("gate-1", "gate-2"))
    await second.until(lambda: len(second.state.holds) == 2)
    now = json.loads((second.folder / "state/trust").read_bytes())

    await second.forge(before, *mine)
    await second.forge(now["manifest_text"].replace("gate-1", "gate-2").encode(), *mine)
    await second.forge(now["manifest_text"].encode(), "p", "gate-1", "now")
    await second.forge(b"x" * 1_000_001, *mine)
    await second.forge(b"{" * 1000, "p", "gate-1", "c")
    await second.until(lambda: len(second.refused()) == 5)

    assert set(second.refused()) == {"rollback", "bad signature", "wrong type", "too large", "malformed"}
    assert json.loads((second.folder / "state/trust").read_bytes()) == now
    assert second.shows("items")


async def test_follows_new_keys_after_a_theft_and_counts_anew(second):
    station, now = second.station, datetime.now(UTC)
    await station.deliver(film(3), screens=("gate-1",))
    await second.until(lambda: second.shows("items"))
    told = {"site": "an-office", "aud": "gate-1", "epoch": 1, "issued": now, "expires": now + timedelta(minutes=1)}
    thief = Command(counter=2**53 - 1, name=CommandName.SCREENSHOT, **told)
    keys = station.plugin._context.state_dir / "keys"
    stolen = keyring.load(keys, now=now).online
    await second.forge(encode_signed(thief, stolen), "p", "gate-1", "c")
    await second.until(lambda: second.state.command == 2**53 - 1)
    await station.exchange.commander.ask_for_screenshot("gate-1")  # there is no number left above the thief's
    await second.until(lambda: "replayed" in second.refused())

    await asyncio.to_thread(rotate, keys, now=datetime.now(UTC), stolen=True)
    station.exchange.wake()

    await second.until(lambda: (second.state.keyset, second.state.epoch) == (2, 2) and second.shows("items"))
    assert second.state.command == 0


async def test_outlives_the_broker_and_says_goodbye(second):
    station = second.station
    await station.deliver(film(3), screens=("gate-1",))
    await second.until(lambda: second.shows("items"))
    seq = second.state.proof_seq

    await station.broker.kill()
    await station.broker.start()
    await second.until(lambda: station.exchange.broker.link and second.state.proof_seq > seq)
    assert await second.stop() == 0
    await second.until(lambda: not station.exchange.roster.online("gate-1"))

    assert second.state.boots == 1
    assert dataclasses.asdict(station.exchange.roster.seen("gate-1"))["key"]


async def test_a_new_hub_goes_on_where_the_old_one_was_killed(broker, tools, tmp_path):
    data = film(200)
    async with slow_station(broker, tools, tmp_path).running() as old:
        second = Second(station=old, tools=tools, folder=tmp_path / "second", receive_maximum=1)
        await second.start()
        rendition = await old.deliver(data, screens=("gate-1",))
        await blocks_on_the_disk(second, rendition, 60)
        sent = old.exchange.sender.uplink.bytes
    try:
        second.station = slow_station(broker, tools, tmp_path, hub=old.hub)
        async with second.station.running() as new:
            await second.until(new.delivered)
            await second.until(lambda: new.hub.facts(Played))

            assert second.state.boots == 1
            assert second.refused() == []
            assert sent + new.exchange.sender.uplink.bytes <= len(data) + 60 * 4096
    finally:
        await second.kill()


def slow_station(broker, tools, folder, **hub):
    """Its screen is fed so slowly that a transfer can be cut in its middle."""
    screens = {"gate-1": ScreenSettings(width=64, height=32, download_limit_kbps=KBPS)}
    return tools.make_station(broker, folder, screens=("gate-1",), changed={"screens": screens}, **hub)


async def blocks_on_the_disk(second, rendition, enough: int) -> int:
    partial = second.folder / "state/films/partial" / rendition.sha256[:32]
    await second.until(lambda: partial.exists() and partial.stat().st_size > enough * 4096)
    return partial.stat().st_size // 4096
