"""Long absences of the hub, wrong clocks, full disks: what the screen shows meanwhile, and that all is proved."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from plugins.videotron.keys.ceremony import rotate
from plugins.videotron.keys.keyring import Keyring, load, make
from plugins.videotron.player import connection
from plugins.videotron.player.agent import Agent
from plugins.videotron.player.clips import Clip, Play, Result
from plugins.videotron.player.settings import TlsSettings
from plugins.videotron.protocol import Daypart, Mode, Trouble

FIRST, SECOND, THIRD = "IP-2026-11-0001", "IP-2026-11-0002", "IP-2026-11-0003"
DEAD = datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPOOLED = 1000


class SetClock:
    """A machine's clock that can be set; its monotonic one goes on."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        return monotonic()

    def set(self, moment: datetime) -> None:
        self._offset = moment - datetime.now(UTC)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def start(settings: Any, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """`async with start() as agent`: a player in this process that goes by the clock that can be set."""
    monkeypatch.setattr(connection, "LONGEST_BACKOFF_S", 1.0)  # nobody waits here for a broker that is up again
    limits = settings.limits.model_copy(update={"keep_free_mb": 0})

    @contextlib.asynccontextmanager
    async def begin() -> AsyncIterator[Agent]:
        agent = Agent(settings.model_copy(update={"limits": limits}), clock=clock, log=structlog.get_logger())
        async with running(agent.run()):
            yield agent

    return begin


@contextlib.asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


def item_on(agent: Agent) -> str:
    showing = agent.playback.showing
    return showing.item if showing else ""


def codes(agent: Agent) -> set[str]:
    return {problem.code for problem in agent.problems()}


# --- days without a hub


async def test_seven_days_offline(
    hub: Any, broker: Any, films: Any, start: Any, clock: SetClock, eventually: Any
) -> None:
    """By each item's own rules, to the fallback at the manifest's end; and every play is proved afterwards, no gap."""
    began = datetime.now(UTC)
    fresh_a_day = films["red"].entry(FIRST, end=began + 30 * DAY, fresh_s=86400)
    three_days = films["blue"].entry(SECOND, end=began + 3 * DAY)
    hour = (began + 2 * DAY).astimezone(zone()).hour
    mornings = films["large"].entry(
        THIRD,
        start=began + 2 * DAY - HOUR,
        end=began + 30 * DAY,
        seconds=2.0,
        dayparts=(Daypart(start=f"{(hour - 2) % 24:02}:00", end=f"{(hour + 2) % 24:02}:00"),),
    )
    await hub.serve(films["red"], films["blue"], films["large"])
    await hub.manifest(1, fresh_a_day, three_days, mornings, issued=began)
    by_hours = {
        1: {FIRST, SECOND},
        23: {FIRST, SECOND},
        25: {SECOND},  # offline for longer than the first one's class allows
        48: {SECOND, THIRD},
        60: {SECOND},  # outside the third one's hours
        73: {THIRD},  # the second one is over
        84: {""},  # nothing may be shown: the fallback
        6 * 24: {THIRD},
        7 * 24 + 1: {""},  # the manifest has expired
    }

    async with start() as agent:
        await hub.until(lambda: hub.last() and len(hub.last().holds) == 3)
        await broker.kill()
        before = agent.proofs.seq
        for hours, expected in by_hours.items():
            clock.set(began + hours * HOUR)
            agent._wake.set()
            await eventually(lambda expected=expected: shown_items(agent) == expected and item_on(agent) in expected)
            if expected != {""}:
                count = agent.proofs.seq
                await eventually(lambda count=count: agent.proofs.seq >= count + 2)
            assert agent.playback.healthy
        assert Trouble.EXPIRED in codes(agent)
        for number in range(SPOOLED):
            agent._played(a_play(began + timedelta(minutes=10 * number)))
        await eventually(lambda: agent.proofs.seq >= before + SPOOLED)

        hub.proofs.clear()
        await broker.start()
        await eventually(lambda: agent.proofs.waiting == 0, 20)
        clock.set(datetime.now(UTC))
        await hub.manifest(2, three_days)
        await hub.until(lambda: hub.shows(SECOND) and hub.last().seq == 2)

    proved = [entry for entry in hub.played() if entry.seq > before]
    numbers = [entry.seq for entry in proved]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    late = [e for e in proved if e.item == FIRST and e.title != "spooled" and e.started_at > began + DAY]
    assert not late
    assert not [e for e in proved if e.item == SECOND and e.manifest == 1 and e.started_at > began + 3 * DAY]


def zone() -> Any:
    return ZoneInfo("Asia/Makassar")  # of the scripted hub's manifests


def shown_items(agent: Agent) -> set[str]:
    return {entry.item for entry in agent._showing.loop} or {""}


def a_play(at: datetime) -> Play:
    clip = Clip(key="x", path=Path("x"), item=FIRST, sha256="a" * 64, title="spooled", epoch=1, manifest=1)
    return Play(clip=clip, started_at=at, seconds=10.0, result=Result.COMPLETED)


# --- clocks


async def stored(hub: Any, films: Any, start: Any, **changes: Any) -> None:
    """A player that has the first film by manifest 7, and is off again."""
    await hub.serve(films["red"])
    await hub.manifest(7, films["red"].entry(FIRST), **changes)
    async with start():
        await hub.until(lambda: hub.shows(FIRST))
    hub.states.clear()


async def test_a_machine_in_1970_without_a_network_shows_its_manifest_and_dates_its_plays_by_it(
    hub: Any, broker: Any, films: Any, start: Any, clock: SetClock, eventually: Any
) -> None:
    await stored(hub, films, start)
    await broker.kill()
    clock.set(DEAD)

    async with start() as agent:
        await eventually(lambda: item_on(agent) == FIRST)
        assert Trouble.CLOCK_BEHIND in codes(agent)
        count = agent.proofs.seq
        await eventually(lambda: agent.proofs.seq >= count + 2)
        await broker.start()
        await eventually(lambda: len(hub.played(FIRST)) > count)

    assert all(play.started_at > datetime.now(UTC) - DAY for play in hub.played(FIRST))


async def test_a_machine_in_1970_with_nothing_stored_shows_its_fallback_and_follows_the_hub_when_it_comes(
    hub: Any, broker: Any, films: Any, start: Any, clock: SetClock, eventually: Any
) -> None:
    await broker.kill()
    clock.set(DEAD)

    async with start() as agent:
        await agent.playback.first_picture.wait()
        assert agent.shows == "fallback"
        assert Trouble.NO_MANIFEST in codes(agent)
        await broker.start()
        await eventually(lambda: hub.client is not None)
        await hub.until(lambda: hub.last() and hub.last().online)
        await hub.serve(films["red"])
        await hub.manifest(1, films["red"].entry(FIRST))
        await hub.until(lambda: hub.shows(FIRST))

    assert hub.last().time > datetime.now(UTC) - 2 * DAY


async def test_a_clock_ten_years_ahead_shows_the_fallback_deletes_nothing_and_is_over_when_it_is_set(
    hub: Any, films: Any, start: Any, clock: SetClock, settings: Any
) -> None:
    await stored(hub, films, start)
    clock.set(datetime.now(UTC) + 3653 * DAY)

    async with start() as agent:
        await hub.until(lambda: hub.last() and hub.last().shows == "fallback")
        await agent.playback.first_picture.wait()
        assert {Trouble.EXPIRED, Trouble.KEYS_EXPIRED} <= codes(agent)
        await hub.manifest(8, films["red"].entry(FIRST))
        await hub.until(lambda: "expired" in {one.attack for one in hub.last().rejections})
        assert agent.store.present()

        clock.set(datetime.now(UTC))
        agent._wake.set()
        await hub.until(lambda: hub.shows(FIRST))
        await hub.manifest(8, films["red"].entry(FIRST))
        await hub.until(lambda: hub.last().seq == 8)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_clock_that_jumps_cuts_no_film_and_makes_no_play_longer(
    hub: Any, films: Any, start: Any, clock: SetClock, jump: timedelta, eventually: Any
) -> None:
    await hub.serve(films["red"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start() as agent:
        await hub.until(lambda: len(hub.played(FIRST)) >= 2)
        clock.set(datetime.now(UTC) + jump)
        agent._wake.set()
        count = len(hub.played(FIRST))
        await hub.until(lambda: len(hub.played(FIRST)) >= count + 3)

        assert agent.playback.restarts == 0
    assert all(play.result == "completed" and 0.8 < play.seconds < 1.6 for play in hub.played(FIRST)[:-1])


async def test_a_hub_that_signed_far_in_the_future_is_followed_again_after_its_keys_were_revoked(
    hub: Any, films: Any, start: Any, settings: Any, tmp_path: Path
) -> None:
    """Its wrong time is the player's floor: what it signs by the right one has expired, until a new epoch begins."""
    keys, now = tmp_path / "keys", datetime.now(UTC)
    hub.keyring = wrong = make(keys, "an-office", now=now)
    (settings.state_dir / "keychain.json").write_bytes(wrong.chain)
    await hub.serve(films["red"])
    ahead = now + 30 * DAY
    await hub.manifest(1, films["red"].entry(FIRST, end=ahead + DAY), issued=ahead)
    async with start() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        assert agent.time.now() >= ahead
        await hub.manifest(2, films["red"].entry(SECOND), issued=now)
        await hub.until(lambda: "expired" in {one.attack for one in hub.last().rejections})

        rotate(keys, now=datetime.now(UTC), stolen=True)
        new: Keyring = load(keys, now=datetime.now(UTC))
        await hub.say(hub.topics.keys, new.chain)
        await hub.until(lambda: hub.last().keyset == 2)
        hub.keyring = replace(wrong, online=new.online, keyset=new.keyset, chain=new.chain)
        await hub.serve(films["red"])
        await hub.manifest(1, films["red"].entry(SECOND), issued=datetime.now(UTC))
        await hub.until(lambda: hub.shows(SECOND) and hub.last().epoch == 2)
        assert agent.time.now() < now + DAY
    async with start() as agent:
        await hub.until(lambda: hub.shows(SECOND))
        assert agent.time.now() < now + DAY


def certificate(folder: Path) -> tuple[Path, Path]:
    """One that counts from tomorrow on, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC) + DAY).not_valid_after(datetime.now(UTC) + 9 * DAY)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = made.add_extension(here, critical=False).add_extension(x509.BasicConstraints(True, None), critical=True)
    folder.mkdir()
    (folder / "c.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "k.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "c.pem", folder / "k.pem"


@pytest.fixture
def tomorrows(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """The certificate, and the port, of a server whose certificate counts from tomorrow on."""
    pem, secret = certificate(tmp_path / "broker-tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as peer:
                        peer.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield pem, server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_machine_in_1970_finds_its_broker_by_tls_and_nobody_else(tomorrows: tuple[Path, int], tmp_path: Path) -> None:
    """As if today were too early for the certificate, which to a clock without a battery it is."""
    own, port = tomorrows

    def shake_hands(ca: Path, *, clock_is_dead: bool) -> None:
        context = connection.tls_context(TlsSettings(ca_file=ca), clock_is_dead=clock_is_dead)
        with socket.create_connection(("127.0.0.1", port)) as sock:
            context.wrap_socket(sock, server_hostname="127.0.0.1").close()

    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        shake_hands(own, clock_is_dead=False)
    shake_hands(own, clock_is_dead=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificate(tmp_path / "stranger")[0], clock_is_dead=True)


# --- disks


@pytest.fixture
def small_disk(settings: Any) -> Iterator[Path]:
    """The player's folder on a disk of 3 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder, keychain = settings.state_dir, (settings.state_dir / "keychain.json").read_bytes()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "siar-small-disk", str(folder)])
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    (folder / "keychain.json").write_bytes(keychain)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


async def test_a_disk_that_runs_full_darkens_nothing_is_told_and_all_goes_on_when_it_has_room(
    hub: Any, films: Any, start: Any, small_disk: Path, eventually: Any
) -> None:
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        fill(small_disk)
        await hub.manifest(8, films["blue"].entry(SECOND))
        await hub.override(1, Mode.BLACKOUT)
        await eventually(lambda: Trouble.DISK_ERROR in codes(agent))
        restarts = agent.playback.restarts
        assert (agent.trusted.version, agent.trusted.override_counter) == ((1, 7), 0)
        await eventually(lambda: item_on(agent) == FIRST and Trouble.PROOFS_LOST in codes(agent))

        (small_disk / "filler").unlink()
        await hub.override(1, Mode.NONE)
        await hub.manifest(8, films["blue"].entry(SECOND))
        await hub.until(lambda: hub.shows(SECOND) and hub.last().seq == 8)
        await eventually(lambda: not {Trouble.DISK_ERROR, Trouble.PROOFS_LOST} & codes(agent))
        assert agent.playback.restarts == restarts


async def test_a_player_starts_and_shows_its_manifest_on_a_full_disk(
    hub: Any, films: Any, start: Any, small_disk: Path, eventually: Any
) -> None:
    await stored(hub, films, start)
    fill(small_disk)

    async with start() as agent:
        await eventually(lambda: item_on(agent) == FIRST)
        assert agent.trusted.version == (1, 7)


async def test_a_player_starts_on_a_disk_that_is_read_only_tells_and_follows_nothing_that_it_cannot_keep(
    hub: Any, films: Any, start: Any, small_disk: Path, eventually: Any
) -> None:
    await stored(hub, films, start)
    remount(small_disk, "ro")

    async with start() as agent:
        await eventually(lambda: item_on(agent) == FIRST)
        assert Trouble.PROOFS_LOST in codes(agent)
        await hub.manifest(8, films["red"].entry(SECOND))
        await eventually(lambda: Trouble.DISK_ERROR in codes(agent))
        assert agent.trusted.version == (1, 7)
        assert item_on(agent) in (FIRST, "")
    remount(small_disk, "rw")
    async with start() as agent:
        await hub.until(lambda: hub.shows(SECOND) and hub.last().seq == 8)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
async def test_a_disk_that_fails_at_each_sync_darkens_nothing_and_is_told(
    hub: Any, films: Any, start: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start() as agent:
        await hub.until(lambda: hub.shows(FIRST))

        def fsync(_: int) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as failing:
            failing.setattr(os, "fsync", fsync)
            await hub.manifest(8, films["blue"].entry(SECOND))
            await eventually(lambda: Trouble.DISK_ERROR in codes(agent))
            assert (agent.trusted.version, agent.playback.restarts) == ((1, 7), 0)
            assert agent.shows == "items"
        await hub.manifest(8, films["blue"].entry(SECOND))
        await hub.until(lambda: hub.shows(SECOND))
        await hub.manifest(6, films["red"].entry(FIRST))
        await hub.until(lambda: "rollback" in {one.attack for one in hub.last().rejections})
