"""The broker as the installer sets it up: its certificate, its listeners, and what it refuses."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from plugins.videotron.accounts import rules, why_not_start, write_accounts
from plugins.videotron.local_broker import LocalBroker

CONFIG = Path(__file__).parents[4] / "config"
BROKER = CONFIG / "broker"
pytestmark = pytest.mark.timeout(60)


def run(etc: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SIARHUB_ETC": str(etc)}
    return subprocess.run([str(BROKER), *words], env=environment, capture_output=True, text=True, timeout=30)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def strict(ca: Path) -> ssl.SSLContext:
    """As Python 3.13 looks at certificates by default."""
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@dataclass
class Installed:
    etc: Path
    broker: LocalBroker
    tls_port: int
    certificate_port: int

    def client(self, port: int, tls: ssl.SSLContext | None, player: str = "gate-1", **more: object) -> aiomqtt.Client:
        login = {"username": player, "password": self.broker.passwords[player]} | more
        return aiomqtt.Client(
            "127.0.0.1",
            port,
            identifier=str(more.get("identifier", player)),
            tls_context=tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=2,
            username=login["username"],  # type: ignore[arg-type]
            password=login["password"],  # type: ignore[arg-type]
        )

    @property
    def ca(self) -> Path:
        return self.etc / "tls" / "ca.pem"


def client_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Signed by an authority of the players' own."""
    key, pem, request = (folder / f"{name}.{kind}" for kind in ("key", "pem", "csr"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    if not (folder / "players-ca.pem").exists():
        authority = ["-x509", "-days", "2", "-subj", "/CN=players", "-keyout", str(folder / "players-ca.key")]
        subprocess.run(
            ["openssl", "req", *curve, *authority, "-out", str(folder / "players-ca.pem")],
            check=True,
            capture_output=True,
        )
    asked = ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)]
    subprocess.run(["openssl", "req", *curve, *asked], check=True, capture_output=True)
    signer = ["-CA", str(folder / "players-ca.pem"), "-CAkey", str(folder / "players-ca.key"), "-CAcreateserial"]
    subprocess.run(
        ["openssl", "x509", "-req", "-in", str(request), *signer, "-days", "2", "-out", str(pem)],
        check=True,
        capture_output=True,
    )
    return pem, key


@pytest.fixture
async def installed(tmp_path: Path) -> AsyncIterator[Installed]:
    etc = tmp_path / "etc"
    (etc / "broker").mkdir(parents=True)
    assert run(etc, "tls").returncode == 0
    client_certificate(etc / "tls", "gate-1")
    passwords = dict(write_accounts(etc / "broker", "led/v1", ["gate-1", "gate-2"], hub="siarhub"))
    plain, tls, certificates = free_port(), free_port(), free_port()
    text = run(etc, "settings").stdout.replace("#certificates ", "").replace(str(etc), str(etc))
    for old, new in (
        ("1884 127.0.0.1", f"{plain} 127.0.0.1"),
        ("8883", f"{tls} 127.0.0.1"),
        ("8884", f"{certificates} 127.0.0.1"),
    ):
        text = text.replace(f"listener {old}", f"listener {new}")
    text = text.replace("/var/lib/siarhub-broker/", f"{etc}/").replace("log_dest stderr", f"log_dest file {etc}/log")
    (etc / "broker" / "mosquitto.conf").write_text(("user root\n" if os.geteuid() == 0 else "") + text)
    broker = LocalBroker(
        folder=etc / "broker",
        port=plain,
        namespace="led/v1",
        hub_password=passwords.pop("siarhub"),
        passwords=passwords,
    )
    await broker.start()
    try:
        yield Installed(etc, broker, tls, certificates)
    finally:
        await broker.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_players_come_in_by_tls_with_their_password(installed, version):
    context = strict(installed.ca)
    context.minimum_version = context.maximum_version = version

    async with installed.client(installed.tls_port, context) as client:
        await client.publish("led/v1/s/gate-1/state", b"x", qos=1)


async def test_nobody_comes_in_by_less_than_tls_1_2_or_in_plain_text_or_without_a_password(installed):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(installed.ca)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(handshake, installed.tls_port, old, "127.0.0.1")
    for tls, more in ((None, {}), (strict(installed.ca), {"username": None, "password": None})):
        with pytest.raises((aiomqtt.MqttError, OSError)):
            await installed.client(installed.tls_port, tls, **more).__aenter__()


async def test_a_player_believes_no_other_brokers_certificate(installed, tmp_path):
    (tmp_path / "other").mkdir()
    assert run(tmp_path / "other", "tls").returncode == 0

    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(
            handshake, installed.tls_port, strict(tmp_path / "other" / "tls" / "ca.pem"), "127.0.0.1"
        )
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(handshake, installed.tls_port, strict(installed.ca), "elsewhere.example")
    await asyncio.to_thread(handshake, installed.tls_port, strict(installed.ca), "127.0.0.1")


def handshake(port: int, context: ssl.SSLContext, name: str) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as sock,
        context.wrap_socket(sock, server_hostname=name),
    ):
        pass


async def test_with_certificates_the_common_name_is_the_account_whatever_is_said(installed):
    context = strict(installed.ca)
    context.load_cert_chain(*client_certificate(installed.etc / "tls", "gate-1"))

    async with (
        installed.client(installed.broker.port, None, "gate-2") as victim,
        installed.client(
            installed.certificate_port, context, username="gate-2", password="x", identifier="gate-2"
        ) as one,
    ):
        await one.subscribe("#", qos=1)
        await victim.publish("led/v1/s/gate-2/state", b"x", qos=1)  # raises when its session was taken over
        hub = installed.client(
            installed.broker.port,
            None,
            "gate-1",
            username="siarhub",
            password=installed.broker.hub_password,
            identifier="siarhub",
        )
        async with hub:
            for topic in ("led/v1/p/gate-2/c", "led/v1/p/gate-1/c"):
                await hub.publish(topic, b"x", qos=1)
        async with asyncio.timeout(5):
            assert str((await anext(aiter(one.messages))).topic) == "led/v1/p/gate-1/c"


async def test_without_a_certificate_nobody_comes_in_where_one_is_required(installed):
    with pytest.raises((aiomqtt.MqttError, OSError)):
        async with installed.client(installed.certificate_port, strict(installed.ca)) as client:
            await client.publish("led/v1/s/gate-1/state", b"x", qos=1)


def test_making_the_certificate_again_changes_nothing_and_a_new_name_makes_it_anew(tmp_path):
    run(tmp_path, "tls")
    files = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}

    run(tmp_path, "tls")
    assert {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == files

    assert "hub.example" in run(tmp_path, "tls", "hub.example").stdout
    after = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    assert (after["ca.pem"], after["ca.key"]) == (files["ca.pem"], files["ca.key"])
    assert after["broker.pem"] != files["broker.pem"]

    run(tmp_path, "tls")
    assert (tmp_path / "tls" / "broker.pem").read_bytes() == after["broker.pem"]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()}
    assert (modes["ca.key"], modes["broker.key"], modes["ca.pem"], modes["broker.pem"]) == (0o600, 0o640, 0o644, 0o644)


@pytest.mark.parametrize("lost", ["broker.key", "broker.pem"])
def test_a_pair_that_does_not_fit_is_made_anew(tmp_path, lost):
    run(tmp_path, "tls")
    other = tmp_path / "other"
    other.mkdir()
    run(other, "tls")
    shutil.copy(other / "tls" / lost, tmp_path / "tls" / lost)

    assert run(tmp_path, "tls").returncode == 0

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls" / "broker.pem", tmp_path / "tls" / "broker.key")
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", tmp_path / "tls" / "ca.pem", tmp_path / "tls" / "broker.pem"],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("name", ["evil,DNS:x", "a b", "x\ny;", "$(id)"])
def test_what_is_no_name_gets_no_certificate(tmp_path, name):
    assert run(tmp_path, "tls", name).returncode == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "user siarhub\n",
        "topic readwrite #\n",
        "topic read led/v1/hub\nuser x\ntopic read y\n",
        "user x\ntopic read #\n",
    ],
)
def test_an_empty_acl_refuses_to_start_the_service_and_its_reload(tmp_path, text):
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "mosquitto.conf").write_text(run(tmp_path, "settings").stdout)
    write_accounts(tmp_path / "broker", "led/v1", ["gate-1"], hub="siarhub")
    assert run(tmp_path, "check").returncode == 0, run(tmp_path, "check").stderr

    (tmp_path / "broker" / "acl").write_text(text)

    refused = run(tmp_path, "check")
    assert refused.returncode == 1
    assert "must not start" in refused.stderr
    assert why_not_start(text)
    unit = (CONFIG / "siarhub-broker.service").read_text()
    before = {key: re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)[0] for key in ("ExecStartPre", "ExecReload")}
    assert set(before.values()) == {"/bin/sh /opt/siarhub/current/config/broker check"}


@pytest.mark.parametrize("line", ["acl_file", "password_file", "allow_anonymous", "per_listener_settings"])
def test_settings_without_a_lock_refuse_to_start(tmp_path, line):
    (tmp_path / "broker").mkdir()
    text = run(tmp_path, "settings").stdout
    (tmp_path / "broker" / "mosquitto.conf").write_text(re.sub(rf"^{line} .*\n", "", text, flags=re.MULTILINE))
    write_accounts(tmp_path / "broker", "led/v1", ["gate-1"], hub="siarhub")

    refused = run(tmp_path, "check")

    assert refused.returncode == 1
    assert line in refused.stderr


def test_the_installers_first_acl_is_the_hubs_part_of_the_rules(tmp_path):
    lines = run(tmp_path, "first-acl").stdout.splitlines()

    assert lines == [
        "user siarhub",
        *(f"topic {rule.access} {rule.topic}" for rule in rules("led/v1", [], hub="siarhub")),
    ]


HUB = """\
[hub]
root = "{folder}/srv"
state_dir = "{folder}/state"
plugin_dir = "{folder}/plugins"
[intake]
min_free_bytes = 1000000
[plugins.radio]
enabled = false
[plugins.archive]
enabled = false
[plugins.videotron.broker]
port = {port}
password_file = "{etc}/broker/siarhub.password"
players_host = "127.0.0.1"
players_port = {tls_port}
players_ca_file = "{etc}/tls/ca.pem"
[plugins.videotron.screens.gate-1]
width = 64
height = 32
"""


async def test_the_whole_story_by_its_commands_over_tls(installed, bare_machine, tmp_path):
    """An empty machine shows its code, is enrolled, follows a signed manifest, is heard; is revoked, and is gone."""
    machine, config = bare_machine, tmp_path / "siarhub.toml"
    for folder in ("srv", "state", "plugins"):
        (tmp_path / folder).mkdir()
    config.write_text(
        HUB.format(folder=tmp_path, etc=installed.etc, port=installed.broker.port, tls_port=installed.tls_port)
    )

    def siarhub(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("siarhub")), *words, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    accounts = ["--accounts", str(installed.etc / "broker"), "--group", grp.getgrgid(os.getegid()).gr_name]
    accounts += ["--reload", f"kill -HUP {installed.broker._process.pid}"]
    made = await asyncio.to_thread(siarhub, "videotron", "keys", "init")
    assert made.returncode == 0, made.stderr
    machine.port, machine.more = installed.tls_port, '[broker.tls]\n[mpv]\nvo = "null"\n'
    machine.start()
    with (tmp_path / "hub.log").open("wb") as log:
        command = [str(Path(sys.executable).with_name("siarhub")), "run", "--config", str(config)]
        hub = await asyncio.create_subprocess_exec(*command, stderr=log)
    try:
        said = await machine.status(lambda told: told.get("code"))
        async with asyncio.timeout(30):
            while not (tmp_path / "state" / "control.sock").exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)

        result = await asyncio.to_thread(siarhub, "videotron", "enrol", "gate-1", said["code"], *accounts)
        assert result.returncode == 0, result.stderr + (tmp_path / "hub.log").read_text()[-3000:]

        async def seen(online: bool) -> dict[str, object]:
            while True:
                told = await asyncio.to_thread(siarhub, "videotron", "players", "--json")
                [row] = json.loads(told.stdout)
                if row["online"] is online and (not online or row["seq_followed"]):
                    return dict(row)
                await asyncio.sleep(0.3)

        async with asyncio.timeout(40):
            row = await seen(online=True)
        assert row["seq_followed"] == row["seq"]

        revoked = await asyncio.to_thread(siarhub, "videotron", "revoke", "gate-1", "--why", "dicuri", *accounts)
        assert revoked.returncode == 0, revoked.stderr
        listed = json.loads((await asyncio.to_thread(siarhub, "videotron", "enrolments", "--json")).stdout)
        assert [(one["player"], one["key"], one["why"]) for one in listed] == [("gate-1", said["key"], "dicuri")]
        refused = installed.client(installed.tls_port, strict(installed.ca))
        with pytest.raises(aiomqtt.MqttError):
            await refused.__aenter__()
        rules_left = json.loads((await asyncio.to_thread(siarhub, "videotron", "acl", "--json")).stdout)
        assert {rule["account"] for rule in rules_left} == {"siarhub", "gate-1"}
    finally:
        hub.terminate()
        await hub.wait()
