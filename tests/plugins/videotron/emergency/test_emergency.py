"""An emergency, a blackout and their end, with a real broker and the real player."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.api import (
    Approval,
    CurrentDelivery,
    Delivery,
    DeliveryState,
    Item,
    ItemState,
    JournalEntry,
    Order,
    Outcome,
    Refused,
    VideoProfile,
    Want,
)
from hub.api.files import write_atomically
from hub.testing import make_asset, make_item, make_rendition
from plugins.videotron.emergency.asked import reference_at
from plugins.videotron.emergency.overrides import Wish
from plugins.videotron.keys.ceremony import rotate
from plugins.videotron.player.agent import Agent
from plugins.videotron.player.agent import SystemClock as PlayersClock
from plugins.videotron.player.settings import BrokerSettings, MpvSettings, PlayerSettings, ScreenSettings
from plugins.videotron.protocol import Mode, Shows

pytestmark = pytest.mark.timeout(60)

FLOOD, DAILY, FILE = "IP-2026-11-0001", "IP-2026-11-0002", "IP-2026-11-0003"


def make_clip(folder: Path, name: str, seconds: float = 1) -> bytes:
    path = folder / f"{name}.mp4"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        f"color={name}:s=64x32:r=25:d={seconds}",
        "-c:v",
        "libx264",
    ]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("clips")
    return {name: make_clip(folder, name) for name in ("red", "blue", "lime")}


@dataclass
class Scene:
    """The plugin, a broker, and real players that can be switched on and off."""

    station: object
    broker: object
    tools: object
    folder: Path
    agents: dict[str, Agent] = field(default_factory=dict)
    given: int = 0

    @contextlib.asynccontextmanager
    async def player(self, name: str = "gate-1", *, port: int = 0) -> AsyncIterator[Agent]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())  # that the station enrolled
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_atomically(folder / "identity.key", pem, mode=0o600)
        settings = PlayerSettings(
            player=name,
            state_dir=folder,
            trust=self.station.plugin._context.state_dir / "keys" / "keychain.json",
            broker=BrokerSettings(port=port or self.broker.port, password=self.broker.passwords[name]),
            screen=ScreenSettings(width=64, height=32),
            mpv=MpvSettings(vo="null", stalled_after_s=5),
        )
        agent = self.agents[name] = Agent(settings, clock=PlayersClock(), log=structlog.get_logger(player=name))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(agent.run())
            try:
                yield agent
            finally:
                task.cancel()

    async def deliver(self, data: bytes, number: str, *screens: str, made: bool = True, **facts: object) -> Item:
        """An item for these screens (default: gate-1), as the hub's ledger has it; `made`: its rendition is there."""
        path = self.folder / f"{number}.mp4"
        await asyncio.to_thread(path.write_bytes, data)
        profile, asset, now = VideoProfile(width=64, height=32), make_asset(path), datetime.now(UTC)
        times = {"start": now, "end": now + timedelta(days=1), "accepted_at": now}
        item = make_item(number, assets=(asset,), **{**times, **facts})
        self.station.hub.known.append(item)
        for screen in screens or ("gate-1",):
            want = Want(asset=asset.sha256, profile=profile)
            delivery = Delivery(key=f"{number}/{screen}", item=item.number, destination=screen, wants=(want,))
            rendition = make_rendition(path, asset, profile)
            state = DeliveryState.HANDED_OVER if made else DeliveryState.TRANSCODING
            current = CurrentDelivery(
                delivery=delivery, state=state, item=item, renditions=(rendition,) if made else ()
            )
            self.station.hub.current = [one for one in self.station.hub.current if one.delivery.key != delivery.key]
            self.station.hub.current.append(current)
        self.station.exchange.wake()
        return item

    def take_back(self, number: str) -> None:
        """A person withdrew the item."""
        hub = self.station.hub
        hub.current = [one for one in hub.current if one.item.number != number]
        hub.known = [
            dataclasses.replace(one, state=ItemState.WITHDRAWN) if one.number == number else one for one in hub.known
        ]

    async def order(self, name: str, why: str = "banjir", **args: str) -> Outcome:
        self.given += 1
        now = datetime.now(UTC)
        order = Order(id=self.given, name=f"videotron.{name}", args=args, who="ahmad", why=why, given_at=now)
        return await self.station.plugin.hub_order(order=order)

    def shows(self, name: str = "gate-1") -> Shows:
        return self.agents[name]._showing.shows

    def stands(self) -> dict[str, str]:
        return {row.wish.player: row.standing.stand.value for row in self.station.exchange.emergencies.rows()}

    async def holds(self, number: str, name: str = "gate-1") -> None:
        roster, exchange = self.station.exchange.roster, self.station.exchange

        def held() -> bool:
            films = exchange._player(name).films(number)
            return bool(films) and roster.holds(name, {film.cid for film in films})

        await self.tools.until(held, what=f"{name} holds {number}", within_s=20)


@pytest.fixture
async def scene(broker, tools, tmp_path) -> AsyncIterator[Scene]:
    station = tools.make_station(broker, tmp_path, screens=("gate-1", "gate-2"))
    async with station.running():
        await tools.until(lambda: station.exchange.broker.link and station.exchange.emergencies._opened.is_set())
        yield Scene(station=station, broker=broker, tools=tools, folder=tmp_path)


async def test_a_template_is_on_the_screen_within_two_seconds_and_confirmed(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player():
        await scene.holds(FLOOD)
        await tools.until(lambda: scene.shows() is Shows.ITEMS)

        began = time.monotonic()
        outcome = await scene.order("emergency", template="banjir", screens="gate-1")
        took = time.monotonic() - began

        assert outcome.done, outcome
        assert "gate-1: done" in outcome.message
        assert scene.shows() is Shows.EMERGENCY
        assert took < 2.0


async def test_a_template_is_never_in_the_round(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    async with scene.player() as agent:
        await scene.holds(FLOOD)
        await tools.until(lambda: agent.trusted.manifest and agent.trusted.manifest.standby)

        assert scene.shows() is Shows.FALLBACK


async def test_clear_brings_the_round_back_and_a_blackout_shows_nothing(scene, tools, clips):
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player():
        await tools.until(lambda: scene.shows() is Shows.ITEMS)

        dark = await scene.order("blackout", screens="all")
        black = scene.shows()
        clear = await scene.order("clear", screens="all")

        assert "gate-1: done" in dark.message
        assert "gate-2: not there since ?" in dark.message  # it was never heard, and follows when it comes
        assert black is Shows.BLACKOUT
        assert "gate-1: done" in clear.message
        assert scene.shows() is Shows.ITEMS


async def test_a_player_that_was_off_is_latched_when_it_comes_back_and_over_a_restart(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    async with scene.player():
        await scene.holds(FLOOD)

    outcome = await scene.order("emergency", template="banjir", screens="gate-1")
    assert outcome.done
    async with scene.player():
        await tools.until(lambda: scene.shows() is Shows.EMERGENCY)
    async with scene.player(port=1):  # where nobody listens
        await tools.until(lambda: scene.shows() is Shows.EMERGENCY)


async def test_an_order_given_without_a_broker_is_not_called_sent_and_reaches_the_screen_with_it(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    async with scene.player():
        await scene.holds(FLOOD)
        await scene.broker.kill()
        await tools.until(lambda: scene.station.exchange.broker.link is None)

        outcome = await scene.order("emergency", template="banjir", screens="gate-1")

        assert (scene.stands()["gate-1"], "not there since" in outcome.message) == ("offline", True)
        await scene.broker.start()
        await tools.until(lambda: scene.stands()["gate-1"] == "in force", within_s=20)
        assert scene.shows() is Shows.EMERGENCY


async def test_a_hub_that_was_killed_right_after_the_order_goes_on_with_it(scene, broker, tools, clips, tmp_path):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    async with scene.player():
        await scene.holds(FLOOD)
        killed = scene.station.exchange.emergencies
        killed._keyring = lambda: None  # it is killed before it can sign anything
        await killed.wish([wish(item=FLOOD)])
        assert scene.shows() is not Shows.EMERGENCY

        next_hub = tools.make_station(broker, tmp_path, scene.station.hub, screens=("gate-1", "gate-2"))
        async with next_hub.running():  # takes the connection over
            await tools.until(lambda: scene.shows() is Shows.EMERGENCY)


async def test_an_override_from_before_is_refused_whoever_sends_it_again(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player() as agent:
        await scene.holds(FLOOD)
        await scene.order("emergency", template="banjir", screens="gate-1")
        old = scene.station.exchange.emergencies.documents()["gate-1"]
        await scene.order("clear", screens="gate-1")

        link = scene.station.exchange.broker.link
        await link.publish(scene.station.exchange._topics.override("gate-1"), old, retain=True)
        await tools.until(lambda: agent.rejections.all())

        assert [one.attack for one in agent.rejections.all()] == ["rollback"]
        assert scene.shows() is Shows.ITEMS


async def test_it_goes_on_when_the_online_key_was_stolen_and_another_one_counts(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    async with scene.player() as agent:
        await scene.holds(FLOOD)
        await scene.order("emergency", template="banjir", screens="gate-1")
        before = agent.trusted.override

        keys = scene.station.plugin._context.state_dir / "keys"
        await asyncio.to_thread(rotate, keys, now=datetime.now(UTC), stolen=True)
        scene.station.exchange.wake()
        await tools.until(lambda: agent.trusted.override and agent.trusted.override.epoch == 2)

        after = agent.trusted.override
        assert (after.films, after.until) == (before.films, before.until)
        await tools.until(lambda: scene.shows() is Shows.EMERGENCY and scene.stands() == {"gate-1": "in force"})


async def test_it_ends_at_its_time_by_itself(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player():
        await scene.holds(FLOOD)
        until = datetime.now(UTC) + timedelta(seconds=2)
        await scene.order("emergency", template="banjir", screens="gate-1", until=until.isoformat())
        assert scene.shows() is Shows.EMERGENCY

        await tools.until(lambda: scene.shows() is Shows.ITEMS)
        assert datetime.now(UTC) >= until
        await tools.until(lambda: scene.stands() == {"gate-1": "over"})


async def test_a_withdrawn_item_leaves_the_screen_within_five_seconds_also_in_an_emergency(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player():
        await scene.holds(FLOOD)
        await scene.order("emergency", template="banjir", screens="gate-1")

        scene.take_back(FLOOD)
        await scene.station.plugin.hub_withdraw(item=scene.station.hub.known[0], reason="salah")
        await tools.until(lambda: scene.shows() is Shows.ITEMS, within_s=5)


async def test_a_file_is_followed_from_its_drop_to_the_screen_and_never_shown_by_the_schedule(scene, tools, clips):
    sha256 = hashlib.sha256(clips["lime"]).hexdigest()
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player() as agent:
        await tools.until(lambda: scene.shows() is Shows.ITEMS)
        await scene.order("emergency", file=sha256, reference="DARURAT-1", screens="gate-1")
        assert scene.stands() == {"gate-1": "waiting for the file"}

        approval = Approval(number="DARURAT-1", date=datetime.now(UTC).date(), approver="ahmad")
        await scene.deliver(clips["lime"], FILE, made=False, approval=approval)
        await tools.until(lambda: scene.stands() == {"gate-1": "making"})
        await scene.deliver(clips["lime"], FILE, approval=approval)
        await tools.until(lambda: scene.stands() == {"gate-1": "in force"})
        assert scene.shows() is Shows.EMERGENCY

        await scene.order("clear", screens="gate-1")
        await tools.until(lambda: scene.shows() is Shows.ITEMS)
        assert [item.item for item in agent.trusted.manifest.items] == [DAILY]
        assert [film.item for film in agent.trusted.manifest.standby] == [FILE]


async def test_a_file_whose_emergency_ended_before_it_was_there_does_not_come_into_the_loop(scene, tools, clips):
    reference = reference_at(datetime.now(UTC))
    sha256 = hashlib.sha256(clips["lime"]).hexdigest()
    await scene.order("emergency", file=sha256, reference=reference, screens="gate-1")
    await scene.order("clear", screens="gate-1")

    approval = Approval(number=reference, date=datetime.now(UTC).date(), approver="ahmad")
    await scene.deliver(clips["lime"], FILE, approval=approval)
    await tools.until(lambda: scene.station.exchange._player("gate-1").films(FILE))

    manifest = scene.station.exchange.issuer.issued["gate-1"].manifest
    assert [film.item for film in manifest.items] == []
    assert [film.item for film in manifest.standby] == [FILE]


async def test_somebody_elses_file_is_not_taken_for_the_one_that_was_ordered(scene, tools, clips):
    await scene.order("emergency", file="a" * 64, reference="DARURAT-1", screens="gate-1")
    approval = Approval(number="DARURAT-1", date=datetime.now(UTC).date(), approver="ahmad")

    await scene.deliver(clips["lime"], FILE, approval=approval)
    await tools.until(lambda: scene.station.exchange._player("gate-1").films(FILE))

    assert scene.stands() == {"gate-1": "waiting for the file"}


async def test_a_refused_file_is_told_with_its_reason_and_an_older_refusal_is_not(scene, tools):
    await scene.order("emergency", file="a" * 64, reference="DARURAT-1", screens="gate-1")
    now = datetime.now(UTC)

    for at in (now - timedelta(days=1), now):
        fact = Refused(name="x.mp4", reason="rusak", sha256="a" * 64)
        await scene.station.plugin.hub_facts(entries=[JournalEntry(seq=1, recorded_at=at, plugin="hub", fact=fact)])
        found = scene.station.exchange.emergencies.rows()[0].standing
        assert (found.stand.value, found.reason) == (("failed", "rusak") if at == now else ("waiting for the file", ""))


async def test_a_new_emergency_leaves_the_one_before_on_the_screen_until_its_film_is_there(scene, tools, clips):
    await scene.deliver(clips["red"], FLOOD, template="banjir")
    async with scene.player() as agent:
        await scene.holds(FLOOD)
        await scene.order("emergency", template="banjir", screens="gate-1")
        await scene.order("emergency", file="a" * 64, reference="DARURAT-1", screens="gate-1")

        assert scene.shows() is Shows.EMERGENCY
        assert [film.item for film in agent.trusted.override.films] == [FLOOD]


async def test_what_cannot_be_done_is_refused_in_words_and_changes_nothing(scene, clips):
    await scene.deliver(clips["red"], FLOOD, "gate-1", template="banjir")

    unknown = await scene.order("emergency", template="gempa", screens="all")
    elsewhere = await scene.order("emergency", template="banjir", screens="gate-2")
    partly = await scene.order("emergency", template="banjir", screens="all")

    assert not unknown.done
    assert "There are: banjir" in unknown.message
    assert not elsewhere.done
    assert partly.done
    assert "gate-2: has nothing of it" in partly.message
    assert scene.stands().keys() == {"gate-1"}


async def test_an_order_that_comes_again_does_not_undo_a_later_one(scene, tools, clips):
    await scene.deliver(clips["blue"], DAILY)
    async with scene.player():
        await tools.until(lambda: scene.shows() is Shows.ITEMS)
        given = Order(
            id=1, name="videotron.blackout", args={"screens": "gate-1"}, who="a", why="", given_at=datetime.now(UTC)
        )
        scene.given = 1
        await scene.station.plugin.hub_order(order=given)
        await scene.order("clear", screens="gate-1")
        again = await scene.station.plugin.hub_order(order=given)

        assert not again.done
        assert scene.shows() is Shows.ITEMS


async def test_a_large_transfer_does_not_hold_an_emergency_up(broker, tools, tmp_path, clips):
    station = tools.make_station(broker, tmp_path, screens=("gate-1", "gate-2"))
    async with station.running():
        scene = Scene(station=station, broker=broker, tools=tools, folder=tmp_path)
        await tools.until(lambda: station.exchange.broker.link and station.exchange.emergencies._opened.is_set())
        await scene.deliver(clips["red"], FLOOD, template="banjir")
        async with scene.player():
            await scene.holds(FLOOD)
            await scene.deliver(os.urandom(24_000_000), DAILY)
            await tools.until(lambda: station.exchange.sender.progress().get("gate-1", (0, 0))[0] > 100)

            began = time.monotonic()
            outcome = await scene.order("emergency", template="banjir", screens="gate-1")
            took = time.monotonic() - began

            held, blocks = station.exchange.sender.progress().get("gate-1", (0, 0))
            assert 0 < held < blocks  # it was still going on
            assert "gate-1: done" in outcome.message
            assert took < 2.0


def wish(**changes: object) -> Wish:
    facts = {"player": "gate-1", "order": 1, "mode": Mode.EMERGENCY, "until": None, "who": "ahmad", "why": "banjir"}
    return Wish(**{**facts, "given_at": datetime.now(UTC), **changes})
