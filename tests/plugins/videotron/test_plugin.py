"""The hooks, as the hub calls them."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from hub.api import Channel, HealthState, MediaKind, Rejected, RetryLater
from hub.messages import catalogue
from hub.testing import FakeHub, PluginContract, make_asset, make_context, make_item, make_media, make_rendition
from plugins.videotron import plugin as plugin_module
from plugins.videotron.commands import videotron
from plugins.videotron.keys.keyring import make
from plugins.videotron.plugin import VideotronPlugin
from plugins.videotron.settings import BrokerSettings, ScreenSettings, VideotronSettings

SCREENS = {
    "gate-1": ScreenSettings(width=768, height=384, groups=("gates",)),
    "hall-1": ScreenSettings(width=64, height=32),
}
SETTINGS = VideotronSettings(broker=BrokerSettings(password="x"), screens=SCREENS)


def make_plugin(folder: Path, settings: VideotronSettings = SETTINGS, hub: FakeHub | None = None) -> VideotronPlugin:
    return VideotronPlugin(make_context(settings, folder, hub=hub, name="videotron"))


async def test_an_item_for_an_unknown_screen_is_refused_naming_the_nearest(tmp_path):
    problems = await make_plugin(tmp_path).hub_check_item(draft=make_item(screens=("gate1", "hall-1")))

    assert problems == ["There is no screen or group named gate1. Did you mean gate-1?"]


async def test_an_item_that_no_screen_can_show_is_refused(tmp_path):
    sound = make_item(assets=(make_asset(media=make_media(MediaKind.AUDIO), name="a.wav"),))

    [problem] = await make_plugin(tmp_path).hub_check_item(draft=sound)

    assert "nothing in it that a screen can show" in problem


async def test_items_for_other_channels_are_none_of_its_business(tmp_path):
    draft = make_item(channels=frozenset({Channel.RADIO}), screens=("nowhere",))

    assert await make_plugin(tmp_path).hub_check_item(draft=draft) == []


def test_every_message_for_office_staff_is_in_indonesian():
    say = catalogue("id", Path(plugin_module.__file__).parent)

    assert "Maksud Anda gate-1" in say(
        "There is no screen or group named {name}. Did you mean {nearest}?", name="x", nearest="gate-1"
    )
    assert "Yang ada: -" in say("There is no screen or group named {name}. There are: {known}.", name="x", known="-")
    assert "saluran" in say(
        "There is nothing in it that a screen can show. Add a video, an image or a PDF,"
        " or take videotron out of the channels."
    )


async def test_delivering_to_a_screen_that_is_gone_is_final(tmp_path):
    plugin, item = make_plugin(tmp_path), make_item()
    [delivery, _] = await plugin.hub_plan_deliveries(item=item)
    other = make_plugin(tmp_path, VideotronSettings(broker=BrokerSettings(password="x")))

    with pytest.raises(Rejected, match="gate-1"):
        await other.hub_deliver(delivery=delivery, renditions=[])


async def test_a_rendition_that_is_not_what_was_verified_is_never_offered(tmp_path):
    plugin, item, path = make_plugin(tmp_path), make_item(), tmp_path / "a.mp4"
    make(plugin._context.state_dir / "keys", now=datetime.now(UTC))
    [delivery, _] = await plugin.hub_plan_deliveries(item=item)
    path.write_bytes(b"verified")
    rendition = make_rendition(path, item.assets[0], delivery.wants[0].profile)

    path.write_bytes(b"tampered")
    with pytest.raises(Rejected, match="not the rendition"):
        await plugin.hub_deliver(delivery=delivery, renditions=[rendition])
    path.unlink()
    with pytest.raises(RetryLater):
        await plugin.hub_deliver(delivery=delivery, renditions=[rendition])


async def test_withdrawing_what_was_never_delivered_succeeds(tmp_path):
    await make_plugin(tmp_path).hub_withdraw(item=make_item(), reason="salah")


async def test_health_before_the_first_connection_says_what_is_wrong(tmp_path):
    health = await make_plugin(tmp_path).hub_health()

    assert health.state is HealthState.DOWN
    assert health.details == {"gate-1": "never heard", "hall-1": "never heard"}


def test_a_password_file_that_cannot_be_read_is_named_with_the_remedy(tmp_path):
    missing = BrokerSettings(password_file=tmp_path / "none")

    [problem] = make_plugin(tmp_path, VideotronSettings(broker=missing)).hub_check_environment()

    assert str(tmp_path / "none") in problem


def test_screens_without_a_password_for_the_hub_are_named(tmp_path):
    problem, _ = make_plugin(tmp_path, VideotronSettings(screens=SCREENS)).hub_check_environment()

    assert "siarhub videotron acl" in problem


def test_screens_without_keys_to_sign_for_them_are_named_with_the_remedy(tmp_path):
    settings = VideotronSettings(screens=SCREENS, broker=BrokerSettings(password="x"), keys=tmp_path / "keys")
    [problem] = make_plugin(tmp_path, settings).hub_check_environment()

    make(tmp_path / "keys", now=datetime.now(UTC))

    assert "siarhub videotron keys init" in problem
    assert make_plugin(tmp_path, settings).hub_check_environment() == []


def test_a_broker_that_cannot_be_reached_is_named_with_the_remedy(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = VideotronSettings(broker=BrokerSettings(port=port, password="x"))
        [problem] = make_plugin(tmp_path, settings).hub_check_reachable()

        taken.listen()
        assert make_plugin(tmp_path, settings).hub_check_reachable() == []
    assert f"127.0.0.1:{port}" in problem


class TestContract(PluginContract):
    plugin_class = VideotronPlugin
    settings = {  # noqa: RUF012 - as the manual shows it
        "broker": {"port": 9, "password": "x"},
        "screens": {"gate-1": {"width": 64, "height": 32}, "hall-1": {"width": 32, "height": 64}},
    }

    @pytest.fixture(autouse=True)
    def keys(self, tmp_path):
        make(tmp_path / "keys", now=datetime.now(UTC))
        self.settings = self.settings | {"keys": str(tmp_path / "keys")}


class Commands:
    """What `siarhub` gives a command."""

    def __init__(self, folder: Path, settings: VideotronSettings = SETTINGS) -> None:
        self.folder, self._settings = folder, settings

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo("Asia/Makassar")

    def settings(self, plugin: str, model: type) -> VideotronSettings:
        return self._settings

    def state_dir(self, plugin: str) -> Path:
        return self.folder


def test_the_acl_is_printed_for_the_configured_screens(tmp_path):
    result = CliRunner().invoke(videotron, ["acl"], obj=Commands(tmp_path))

    assert "user gate-1\n" in result.output
    assert "topic write led/v1/r/+/hall-1\n" in result.output


def test_an_acl_for_no_screen_is_refused_with_1(tmp_path):
    nobody = Commands(tmp_path, VideotronSettings())

    result = CliRunner().invoke(videotron, ["acl"], obj=nobody)

    assert result.exit_code == 1
    assert "no screen is configured" in result.output


def test_accounts_are_written_with_what_to_do_next(tmp_path):
    folder = tmp_path / "broker"

    result = CliRunner().invoke(videotron, ["acl", "--accounts", str(folder)], obj=Commands(tmp_path))

    assert result.exit_code == 0, result.output
    assert {path.name for path in folder.iterdir() if path.name != ".lock"} == {
        "acl", "passwords", "siarhub.password", "gate-1.password", "hall-1.password"
    }  # fmt: skip
    assert "systemctl reload mosquitto" in result.output


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"screens": {"Gate 1": {"width": 64, "height": 32}}}, "screens"),
        ({"screens": {"g": {"width": 65, "height": 32}}}, "width"),
        ({"screens": {"g": {"width": 64, "height": 32, "groups": ["g"]}}}, "name of a screen"),
        ({"screens": {"siarhub": {"width": 64, "height": 32}}}, "broker.username"),
        ({"broker": {"password": "x", "password_file": "/y"}}, "not both"),
        ({"broker": {"cert_file": "/c", "key_file": "/k"}}, "ca_file"),
        ({"namespace": "led/+"}, "namespace"),
    ],
)
def test_a_wrong_setting_is_named(table, named):
    with pytest.raises(ValueError, match=named):
        VideotronSettings.model_validate(table)
