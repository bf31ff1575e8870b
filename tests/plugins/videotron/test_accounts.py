"""What each account may say and hear, asked of a real Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib

import aiomqtt
import pytest

from plugins.videotron.accounts import acl, write_accounts
from plugins.videotron.local_broker import local_broker

CID = "ab" * 16


def account(broker, username: str, password: str, identifier: str = "") -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=identifier or username,
        username=username,
        password=password,
        protocol=aiomqtt.ProtocolVersion.V5,
    )


async def reasons(client: aiomqtt.Client, topics: list[str]) -> dict[str, bool]:
    """By topic: whether the broker lets this client publish there."""
    paho, allowed, topic_of = client._client, {}, {}
    acknowledged = paho.on_publish

    def look(client, userdata, mid, reason, properties):
        allowed[topic_of[mid]] = not (reason.is_failure and reason.getName() == "Not authorized")
        acknowledged(client, userdata, mid, reason, properties)

    publish = paho.publish

    def remember(topic, *args, **kwargs):
        info = publish(topic, *args, **kwargs)
        topic_of[info.mid] = topic
        return info

    paho.on_publish, paho.publish = look, remember
    for topic in topics:
        await client.publish(topic, b"x", qos=1)
    return allowed


async def test_a_player_speaks_for_itself_alone(broker):
    mine = [f"led/v1/r/{CID}/gate-1", "led/v1/s/gate-1/state", "led/v1/s/gate-1/proof"]
    not_mine = [
        "led/v1/hub",
        f"led/v1/c/{CID}/m",
        f"led/v1/c/{CID}/b",
        "led/v1/p/gate-1/want",
        "led/v1/p/gate-2/c",
        f"led/v1/r/{CID}/gate-2",
        "led/v1/s/gate-2/state",
        "other/topic",
    ]

    async with account(broker, "gate-1", broker.passwords["gate-1"]) as client:
        allowed = await reasons(client, mine + not_mine)

    assert allowed == dict.fromkeys(mine, True) | dict.fromkeys(not_mine, False)


async def test_the_hub_speaks_for_no_player(broker):
    hubs = ["led/v1/hub", f"led/v1/c/{CID}/m", f"led/v1/c/{CID}/b", "led/v1/p/gate-1/want", "led/v1/p/gate-1/b"]
    players = [f"led/v1/r/{CID}/gate-1", "led/v1/s/gate-1/state"]

    async with account(broker, "siarhub", broker.hub_password) as client:
        allowed = await reasons(client, hubs + players)

    assert allowed == dict.fromkeys(hubs, True) | dict.fromkeys(players, False)


async def test_a_player_hears_what_is_meant_for_it_alone(broker):
    async with (
        account(broker, "gate-1", broker.passwords["gate-1"]) as player,
        account(broker, "siarhub", broker.hub_password) as hub,
    ):
        await player.subscribe("#", qos=1)
        for topic in ("led/v1/p/gate-2/c", f"led/v1/c/{CID}/b", "led/v1/p/gate-1/c"):
            await hub.publish(topic, b"x", qos=1)
        heard = [str((await anext(aiter(player.messages))).topic) for _ in range(2)]

    assert heard == [f"led/v1/c/{CID}/b", "led/v1/p/gate-1/c"]


@pytest.mark.parametrize(("username", "password"), [("gate-1", "wrong"), ("nobody", "x"), ("", "")])
async def test_nobody_else_is_let_in(broker, username, password):
    with pytest.raises(aiomqtt.MqttError):
        async with account(broker, username or None, password or None, identifier="gate-1"):
            pass


async def test_a_player_cannot_take_the_session_of_another(broker):
    async with (
        account(broker, "gate-1", broker.passwords["gate-1"]) as victim,
        account(broker, "gate-2", broker.passwords["gate-2"], identifier="gate-1"),
    ):
        await victim.publish("led/v1/s/gate-1/state", b"x", qos=1)  # raises if it was cut off


def test_an_acl_for_nobody_is_refused():
    with pytest.raises(ValueError, match="no screen"):
        acl("led/v1", [], hub="siarhub")


def test_passwords_stay_when_a_screen_is_added_and_go_when_one_is_removed(tmp_path):
    before = write_accounts(tmp_path, "led/v1", ["gate-1", "gate-2"], hub="siarhub")

    after = write_accounts(tmp_path, "led/v1", ["gate-1", "gate-3"], hub="siarhub")

    assert {name: after[name] for name in ("siarhub", "gate-1")} == {n: before[n] for n in ("siarhub", "gate-1")}
    assert "gate-2:" not in (tmp_path / "passwords").read_text()
    assert "gate-2" not in (tmp_path / "acl").read_text()
    assert (tmp_path / "gate-3.password").stat().st_mode & 0o777 == 0o600
    assert not any(password in (tmp_path / "passwords").read_text() for password in after.values())


def test_with_the_last_screen_its_account_goes_too_and_the_hub_keeps_its_own(tmp_path):
    before = write_accounts(tmp_path, "led/v1", ["gate-1"], hub="siarhub")

    after = write_accounts(tmp_path, "led/v1", [], hub="siarhub")

    assert after == {"siarhub": before["siarhub"]}
    assert [line.split(":")[0] for line in (tmp_path / "passwords").read_text().splitlines()] == ["siarhub"]
    rules = (tmp_path / "acl").read_text().splitlines()
    assert [line for line in rules if line.startswith("user ")] == ["user siarhub"]


async def test_two_local_brokers_do_not_meet(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(local_broker(tmp_path / name, ["gate-1"])) for name in ("one", "two")
        ]
        assert one.port != two.port
        with pytest.raises(aiomqtt.MqttError):
            async with account(two, "gate-1", one.passwords["gate-1"]):
                await asyncio.Event().wait()
