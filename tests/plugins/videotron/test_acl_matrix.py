"""Every account, every class of topic, publish and subscribe, on a real Mosquitto: exactly what is meant."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from pathlib import Path

import aiomqtt
import pytest

from hub.testing import make_context
from plugins.videotron.accounts import Access, acl, password_line, rules, why_not_start, write_accounts
from plugins.videotron.enrolment.doors import Door, keep_doors
from plugins.videotron.local_broker import BrokerDidNotStart, LocalBroker, local_broker
from plugins.videotron.plugin import VideotronPlugin
from plugins.videotron.settings import BrokerSettings, VideotronSettings

CID, DOOR, OTHER = "ab" * 16, "0123456789abcdef", "f" * 16
HUB, ONE, TWO, NEW, COMMAND = "siarhub", "gate-1", "gate-2", f"enrol.{DOOR}", f"enroller.{DOOR}"
EVERYBODY = (HUB, ONE, TWO, NEW, COMMAND)
# topic: who may publish there, who is sent it
MEANT: dict[str, tuple[set[str], set[str]]] = {
    "hub": ({HUB}, {ONE, TWO}),
    "keys": ({HUB}, {ONE, TWO}),
    f"c/{CID}/m": ({HUB}, {ONE, TWO}),
    f"c/{CID}/b": ({HUB}, {ONE, TWO}),
    f"c/{CID}/x": (set(), set()),
    f"c/{CID}/b/more": (set(), set()),
    "p/gate-1/want": ({HUB}, {ONE}),
    "p/gate-1/now": ({HUB}, {ONE}),
    "p/gate-1/c": ({HUB}, {ONE}),
    "p/gate-1/b": ({HUB}, {ONE}),
    "p/gate-1/x": (set(), {ONE}),
    "p/gate-1": (set(), set()),
    "p/gate-1/c/more": (set(), set()),
    "p/gate-2/want": ({HUB}, {TWO}),
    "p/gate-2/b": ({HUB}, {TWO}),
    f"r/{CID}/gate-1": ({ONE}, {HUB}),
    f"r/{CID}/gate-2": ({TWO}, {HUB}),
    f"r/{CID}/gate-3": (set(), {HUB}),
    "s/gate-1/state": ({ONE}, {HUB}),
    "s/gate-1/proof": ({ONE}, {HUB}),
    "s/gate-1/shot": ({ONE}, {HUB}),
    "s/gate-1/x": (set(), set()),
    "s/gate-1": (set(), set()),
    "s/gate-2/state": ({TWO}, {HUB}),
    f"e/{DOOR}/ask": ({NEW}, {COMMAND}),
    f"e/{DOOR}/answer": ({COMMAND}, {NEW}),
    f"e/{DOOR}/x": (set(), set()),
    f"e/{OTHER}/ask": (set(), set()),
    f"e/{OTHER}/answer": (set(), set()),
    "x": (set(), set()),
    "": (set(), set()),
}
FOREIGN = ("elsewhere", "led", "led/v2/hub", "/led/v1/hub", f"led/v1x/c/{CID}/m", "$SYS/broker/version", "$CONTROL/x")
MARK = {HUB: "s/gate-1/shot", ONE: "p/gate-1/c", TWO: "p/gate-2/b", NEW: f"e/{DOOR}/answer", COMMAND: f"e/{DOOR}/ask"}


def topic(name: str) -> str:
    return f"led/v1/{name}" if name else "led/v1"


@pytest.fixture
async def door_open(tmp_path: Path):
    """A broker with two players, a door for an enrolment, and somebody who may say everything."""
    secret = {account: secrets.token_urlsafe(12) for account in (NEW, COMMAND, "injector")}
    lines = tuple(password_line(account, secret[account]) for account in (NEW, COMMAND))
    (tmp_path / "broker").mkdir()
    keep_doors(tmp_path / "broker", [Door(id=DOOR, until=time.time() + 600, password_lines=lines)])
    async with local_broker(tmp_path / "broker", [ONE, TWO]) as broker:
        await broker.stop()
        for name, text in (
            ("acl", "\nuser injector\ntopic readwrite led/v1/#\ntopic readwrite elsewhere\ntopic write led/#\n"),
            ("passwords", password_line("injector", secret["injector"])),
        ):
            with (broker.folder / name).open("a") as file:
                file.write(text)
        await broker.start()
        yield broker, {**secret, **broker.passwords, HUB: broker.hub_password}


def client(broker: LocalBroker, secret: dict[str, str], account: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=account,
        username=account,
        password=secret[account],
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=5,
    )


async def may_publish(link: aiomqtt.Client, topics: list[str]) -> dict[str, bool]:
    """By topic: whether the PUBACK says anything but 0x87."""
    paho, allowed, topic_of = link._client, {}, {}
    acknowledged, publish = paho.on_publish, paho.publish

    def look(client, userdata, mid, reason, properties):
        allowed[topic_of[mid]] = reason.value != 0x87
        acknowledged(client, userdata, mid, reason, properties)

    def remember(name, *args, **kwargs):
        info = publish(name, *args, **kwargs)
        topic_of[info.mid] = name
        return info

    paho.on_publish, paho.publish = look, remember
    for name in topics:
        await link.publish(name, b"x", qos=1)
    return allowed


async def heard(link: aiomqtt.Client, injector: aiomqtt.Client, filters: list[str], mark: str) -> set[str]:
    """The topics of all that arrives when everything is said, in order, and `mark` last."""
    for one in filters:
        await link.subscribe(one, qos=1)
    for name in MEANT:
        await injector.publish(topic(name), b"x", qos=1)
    await injector.publish("elsewhere", b"x", qos=1)
    await injector.publish(topic(mark), b"the end", qos=1)
    found = set()
    async with asyncio.timeout(10):
        async for message in link.messages:
            if message.payload == b"the end":
                return found
            found.add(str(message.topic))
    raise AssertionError


@pytest.mark.parametrize("account", EVERYBODY)
async def test_publishes_what_is_meant_and_nothing_else(door_open, account):
    broker, secret = door_open

    async with client(broker, secret, account) as link:
        allowed = await may_publish(link, [*map(topic, MEANT), *(one for one in FOREIGN if one[0] != "$")])

    meant = {topic(name): account in writers for name, (writers, _) in MEANT.items()}
    assert allowed == meant | {one: False for one in FOREIGN if one[0] != "$"}


@pytest.mark.parametrize("account", EVERYBODY)
async def test_hears_what_is_meant_and_nothing_else_whatever_it_subscribes(door_open, account):
    broker, secret = door_open
    meant = {topic(name) for name, (_, readers) in MEANT.items() if account in readers}
    by_name = [*map(topic, MEANT), *FOREIGN]

    for filters in (by_name, ["#", "$SYS/#"], ["+/#", "led/+/+/+/+", "/#"]):
        async with (
            client(broker, secret, "injector") as injector,
            client(broker, secret, account) as link,
        ):
            assert await heard(link, injector, filters, MARK[account]) == meant, filters


async def test_rules_are_the_same_as_a_table_for_other_brokers(tmp_path):
    table = rules("led/v1", [ONE], hub=HUB)

    text = acl("led/v1", [ONE], hub=HUB)

    assert [f"topic {rule.access} {rule.topic}" for rule in table] == [
        line for line in text.splitlines() if line.startswith("topic ")
    ]
    assert {rule.account for rule in table if rule.access is Access.WRITE and "/s/" in rule.topic} == {ONE}


def test_a_door_whose_time_is_over_is_shut_at_the_next_change(tmp_path):
    lines = (password_line(NEW, "x"), password_line(COMMAND, "y"))
    keep_doors(tmp_path, [Door(id=DOOR, until=time.time() - 1, password_lines=lines)])

    write_accounts(tmp_path, "led/v1", [ONE], hub=HUB)

    assert "enrol" not in (tmp_path / "acl").read_text() + (tmp_path / "passwords").read_text()


@pytest.mark.parametrize(
    "said",
    ["no json", "{}", '[{"id": "x"}]', '[{"id": "0123456789abcdef", "until": 9e9, "password_lines": ["evil:x\\n"]}]'],
)
def test_a_spoiled_list_of_doors_opens_none(tmp_path, said):
    (tmp_path / "enrolling.json").write_text(said)

    write_accounts(tmp_path, "led/v1", [ONE], hub=HUB)

    assert (tmp_path / "passwords").read_text().count("\n") == 2


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n\n", "user siarhub\n", "topic readwrite #\n", "topic read led/v1/hub\nuser x\ntopic read y\n"],
)
async def test_an_empty_acl_refuses_to_start(tmp_path, text):
    async with local_broker(tmp_path / "broker", [ONE]) as broker:
        await broker.stop()
        (broker.folder / "acl").write_text(text)

        with pytest.raises(BrokerDidNotStart, match="acl_file"):
            await broker.start()

    assert why_not_start(text)


def test_an_empty_acl_keeps_the_plugin_down(tmp_path):
    write_accounts(tmp_path, "led/v1", [ONE], hub=HUB)
    broker = BrokerSettings(password_file=tmp_path / "siarhub.password")
    plugin = VideotronPlugin(make_context(VideotronSettings(broker=broker), tmp_path, name="videotron"))
    assert plugin.hub_check_environment() == []

    (tmp_path / "acl").write_text("")

    [problem] = plugin.hub_check_environment()
    assert "has no rules" in problem


def test_the_acl_that_we_write_may_start(tmp_path):
    write_accounts(tmp_path, "led/v1", [], hub=HUB)
    assert why_not_start((tmp_path / "acl").read_text()) == ""

    write_accounts(tmp_path, "led/v1", [ONE], hub=HUB)
    assert why_not_start((tmp_path / "acl").read_text()) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_files_stay_with_whom_they_were_given_to(tmp_path):
    write_accounts(tmp_path, "led/v1", [ONE], hub=HUB)
    os.chown(tmp_path / "passwords", 0, 12345)
    os.chown(tmp_path / "siarhub.password", 23456, 0)

    write_accounts(tmp_path, "led/v1", [ONE], hub=HUB)

    assert (tmp_path / "passwords").stat().st_gid == 12345
    assert (tmp_path / "siarhub.password").stat().st_uid == 23456
