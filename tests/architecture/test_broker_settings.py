"""The installed broker settings lock players into their own names, on each way in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

BROKER = Path(__file__).parents[2] / "config" / "broker"
LISTENER_ONLY = ("use_username_as_clientid", "max_connections", "use_identity_as_username", "require_certificate")


def installed() -> str:
    return subprocess.run([str(BROKER), "settings"], capture_output=True, text=True, check=True, timeout=10).stdout


def test_each_listener_forces_the_account_as_client_id() -> None:
    head, *listeners = re.split(r"^listener ", installed(), flags=re.MULTILINE)

    assert listeners
    assert all(re.search(r"^use_username_as_clientid true$", one, re.MULTILINE) for one in listeners)
    # Before the first listener, each of these makes Mosquitto open port 1883 on every address besides.
    assert not [name for name in LISTENER_ONLY if re.search(rf"^{name} ", head, re.MULTILINE)]


def test_nobody_comes_in_without_a_password() -> None:
    lines = installed().splitlines()

    assert "allow_anonymous false" in lines
    assert any(line.startswith("password_file ") for line in lines)
    assert any(line.startswith("acl_file ") for line in lines)


def test_debians_broker_keeps_its_port() -> None:
    assert re.findall(r"^listener (\S+) (\S+)$", installed(), re.MULTILINE) == [("1884", "127.0.0.1")]


def test_what_the_installed_file_says_of_itself_is_so_there() -> None:
    text = installed()

    assert text.startswith("# The broker of Siar Hub: siarhub-broker.service.")
    assert not [foreign for foreign in ("mosquitto.service", "reload mosquitto", "conf.d") if foreign in text]
    assert "per_listener_settings false" in text.splitlines()
