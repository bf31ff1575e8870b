"""The whole exchange on a broker that is not Mosquitto: Debian's ejabberd with mod_mqtt, which speaks MQTT 5.

`apt-get install --no-install-recommends ejabberd`; where it is not, these tests are skipped.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest
import structlog

from hub.api import Played
from plugins.videotron.accounts import Access, Rule, rules
from plugins.videotron.player.agent import Agent, SystemClock
from plugins.videotron.player.settings import BrokerSettings, MpvSettings, PlayerSettings, ScreenSettings

LIBRARIES = next((path.parent for path in Path("/usr/lib").glob("*/ejabberd-[0-9]*/ebin/mod_mqtt.beam")), None)
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        shutil.which("erl") is None or LIBRARIES is None,
        reason="ejabberd is not installed: apt-get install --no-install-recommends ejabberd",
    ),
]
CID = "ab" * 16
PLAYERS = ("gate-1", "gate-2", "hall-1")
SETTINGS = """\
hosts: [localhost]
loglevel: warning
log_rotate_size: infinity
fqdn: localhost
auth_method: [internal]
listen:
  - {{port: {port}, ip: "127.0.0.1", module: mod_mqtt, max_payload_size: 1100000}}
acl:
{accounts}
access_rules:
{allowed}
modules:
  mod_mqtt:
    max_queue: 5000
    match_retained_limit: infinity
    session_expiry: 2 minutes
    access_publish:
{publish}
    access_subscribe:
{subscribe}
"""


@dataclass
class Ejabberd:
    """What a `LocalBroker` says of itself, for another broker."""

    folder: Path
    port: int
    hub_password: str
    passwords: dict[str, str]
    namespace: str = "led/v1"
    host: str = "127.0.0.1"
    hub_username: str = "siarhub"


def settings(port: int, table: list[Rule]) -> str:
    """Our table of rules in ejabberd's words: what no filter allows is denied, as soon as there is one."""
    accounts = sorted({rule.account for rule in table})
    topics = {access: sorted({rule.topic for rule in table if rule.access is access}) for access in Access}
    names, allowed = {}, []
    for access in Access:
        for number, topic in enumerate(topics[access]):
            names[access, topic] = f"{access}_{number}"
            who = sorted(rule.account for rule in table if (rule.access, rule.topic) == (access, topic))
            allowed.append(f"  {names[access, topic]}: [{', '.join(f'{{allow: {one}}}' for one in who)}]")
    filters = {access: "\n".join(f'      "{t}": {names[access, t]}' for t in topics[access]) for access in Access}
    return SETTINGS.format(
        port=port,
        accounts="\n".join(f"  {one}: {{user: [{one}]}}" for one in accounts),
        allowed="\n".join(allowed),
        publish=filters[Access.WRITE],
        subscribe=filters[Access.READ],
    )


@pytest.fixture
async def ejabberd(tmp_path: Path) -> AsyncIterator[Ejabberd]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    passwords = {account: secrets.token_hex(12) for account in ("siarhub", *PLAYERS)}
    folder = tmp_path / "ejabberd"
    (folder / "spool").mkdir(parents=True)
    (folder / "ejabberd.yml").write_text(settings(port, rules("led/v1", PLAYERS, hub="siarhub")))
    register = "".join(
        f'ejabberd_auth:try_register(<<"{a}">>, <<"localhost">>, <<"{p}">>),' for a, p in passwords.items()
    )
    process = await asyncio.create_subprocess_exec(
        *("erl", "-noinput", "-mnesia", "dir", f'"{folder}/spool"', "-s", "ejabberd"),
        *("-eval", f'{register} file:write_file("{folder}/ready", <<>>).'),
        env=os.environ
        | {
            "EJABBERD_CONFIG_PATH": f"{folder}/ejabberd.yml",
            "EJABBERD_LOG_PATH": f"{folder}/ejabberd.log",
            "ERL_LIBS": str(LIBRARIES.parents[1]),  # type: ignore[union-attr]
            "ERL_CRASH_DUMP": f"{folder}/crash",
            "HOME": str(folder),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not (folder / "ready").exists():
                assert process.returncode is None, (folder / "ejabberd.log").read_text()[-2000:]
                await asyncio.sleep(0.1)
        yield Ejabberd(folder, port, passwords.pop("siarhub"), passwords)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def client(broker: Ejabberd, account: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=account,
        username=account,
        password=broker.hub_password if account == "siarhub" else broker.passwords[account],
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=5,
    )


async def test_files_travel_are_received_and_their_plays_are_proved(ejabberd, tools, tmp_path):
    players = [tools.SmallPlayer(name, ejabberd) for name in PLAYERS]
    data = os.urandom(60 * tools.block_bytes + 17)
    station = tools.make_station(ejabberd, tmp_path)
    async with station.running():
        await tools.until(lambda: station.exchange.broker.link, what="connected")

        async with tools.on(*players):
            await station.deliver(data)
            await tools.until(lambda: len(station.delivered()) == 3, within_s=30)
            held = [player.file(cid) for player in players for cid in player.done]
            await players[0].prove(players[0].manifest.items[0])
            await tools.until(lambda: players[0].acks)
            await tools.until(lambda: station.hub.facts(Played))

    assert held == [data] * 3
    assert sum(player.blocks for player in players) <= 3 * 61 * 1.2
    assert not station.exchange.broker.refused


async def test_a_withdrawn_item_is_gone_and_a_new_player_gets_what_is_retained(ejabberd, tools, tmp_path):
    player = tools.SmallPlayer("gate-1", ejabberd)
    station = tools.make_station(ejabberd, tmp_path, screens=("gate-1",))
    async with station.running():
        await tools.until(lambda: station.exchange.broker.link, what="connected")
        await station.deliver(b"x" * 10_000)
        async with tools.on(player):
            await tools.until(lambda: player.done)
            await station.plugin.hub_withdraw(item=station.hub.current[0].item, reason="salah")
            await tools.until(lambda: player.manifest and not player.manifest.items)
        late = tools.SmallPlayer("gate-1", ejabberd)
        async with tools.on(late):
            await tools.until(lambda: late.manifest)

    assert late.manifest.items == ()


async def test_the_real_player_fetches_shows_and_proves(ejabberd, tools, tmp_path):
    clip = tmp_path / "clip.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=s=64x32:r=25:d=1", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    await asyncio.to_thread(subprocess.run, ["ffmpeg", "-v", "error", *source, str(clip)], check=True)
    (tmp_path / "player").mkdir()
    settings = PlayerSettings(
        player="gate-1",
        state_dir=tmp_path / "player",
        broker=BrokerSettings(port=ejabberd.port, password=ejabberd.passwords["gate-1"]),
        screen=ScreenSettings(width=64, height=32),
        mpv=MpvSettings(vo="null", stalled_after_s=5),
    )
    station = tools.make_station(ejabberd, tmp_path, screens=("gate-1",))
    keychain = station.plugin._context.state_dir / "keys" / "keychain.json"
    (settings.state_dir / "keychain.json").write_bytes(keychain.read_bytes())
    agent = Agent(settings, clock=SystemClock(), log=structlog.get_logger())
    station.plugin._enrolments.enrol("gate-1", agent.identity.public, at=SystemClock().now(), who="a test")
    async with station.running(), asyncio.TaskGroup() as group:
        player = group.create_task(agent.run())
        await station.deliver(clip.read_bytes())
        await tools.until(lambda: station.hub.facts(Played), within_s=40)
        await station.plugin.hub_withdraw(item=station.hub.current[0].item, reason="salah")
        await tools.until(lambda: agent.trusted.manifest and not agent.trusted.manifest.items)
        player.cancel()

    assert station.hub.facts(Played)[0].complete


MEANT = {
    "hub": ({"siarhub"}, {"gate-1", "gate-2"}),
    "keys": ({"siarhub"}, {"gate-1", "gate-2"}),
    f"c/{CID}/m": ({"siarhub"}, {"gate-1", "gate-2"}),
    f"c/{CID}/b": ({"siarhub"}, {"gate-1", "gate-2"}),
    "p/gate-1/want": ({"siarhub"}, {"gate-1"}),
    "p/gate-1/c": ({"siarhub"}, {"gate-1"}),
    "p/gate-2/b": ({"siarhub"}, {"gate-2"}),
    f"r/{CID}/gate-1": ({"gate-1"}, {"siarhub"}),
    f"r/{CID}/gate-2": ({"gate-2"}, {"siarhub"}),
    "s/gate-1/state": ({"gate-1"}, {"siarhub"}),
    "s/gate-1/proof": ({"gate-1"}, {"siarhub"}),
    "s/gate-2/shot": ({"gate-2"}, {"siarhub"}),
    "s/gate-1/x": (set(), set()),
    "x": (set(), set()),
}


@pytest.mark.parametrize("account", ["siarhub", "gate-1", "gate-2"])
async def test_the_same_rules_hold(ejabberd, account):
    """A denied publish is acknowledged as failed (0x90 here), a denied subscription refused."""
    meant = {name: (account in writers, account in readers) for name, (writers, readers) in MEANT.items()}
    async with client(ejabberd, account) as link:
        found, reasons = {}, {}
        acknowledged = link._client.on_publish

        def look(paho, userdata, mid, reason, properties):
            reasons[mid] = reason.is_failure
            acknowledged(paho, userdata, mid, reason, properties)

        link._client.on_publish = look
        for name in MEANT:
            reasons.clear()
            await link.publish(f"led/v1/{name}", b"x", qos=1)
            [denied] = reasons.values()
            [granted] = await link.subscribe(f"led/v1/{name}", qos=1)
            found[name] = (not denied, not granted.is_failure)
        everything = [await link.subscribe(one, qos=1) for one in ("#", "led/#", "led/v1/p/+/c", "led/v1/+/+/state")]

    assert found == meant
    assert all(code.is_failure for codes in everything for code in codes)


async def test_nobody_comes_in_without_the_password(ejabberd):
    ejabberd.passwords["gate-1"] = "wrong"

    with pytest.raises(aiomqtt.MqttError):
        await client(ejabberd, "gate-1").__aenter__()
