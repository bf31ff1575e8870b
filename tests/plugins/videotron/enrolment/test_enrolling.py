"""A player becomes a screen's, through a real broker that is watched, told lies, and killed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiomqtt
import pytest
from click.testing import CliRunner

from plugins.videotron.accounts import password_line, write_accounts
from plugins.videotron.commands.enrol import broker_accounts, enrol, enrolments, revoke
from plugins.videotron.enrolment.desk import EnrolmentDesk
from plugins.videotron.keys import keyring
from plugins.videotron.player.enrolling import Enrolling, Pace
from plugins.videotron.player.enrolment import load
from plugins.videotron.player.identity import Identity
from plugins.videotron.protocol.enrolment import (
    Ask,
    Credential,
    Meeting,
    Offer,
    Rendezvous,
    Size,
    open_ask,
    seal_credential,
)

pytestmark = pytest.mark.timeout(60)


@contextlib.asynccontextmanager
async def knocking(player: Enrolling) -> AsyncIterator[asyncio.Task[object]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(player.run())
        try:
            yield task
        finally:
            task.cancel()


async def enrolled(site: Any, name: str = "player", screen: str = "gate-1"):  # type: ignore[no-untyped-def]
    player = site.player(name)
    async with knocking(player) as task:
        result = await site.say(enrol, screen, player.code)
        assert result.exit_code == 0, result.output
        return await task


async def test_a_code_on_the_screen_makes_a_player_and_leaves_no_door_open(site):
    before = site.accounts()
    player = site.player()

    async with knocking(player) as task:
        result = await site.say(enrol, "gate-1", player.code.lower())
        assert result.exit_code == 0, result.output
        enrolment = await task

    assert "gate-1 is enrolled: siarhub-player test, output 64x32" in result.output
    credential = enrolment.credential
    assert (credential.player, credential.site, credential.zone) == ("gate-1", "kalsel", "Asia/Makassar")
    assert credential.chain() == keyring.read_chain(site.office.root / "keys")
    assert load(site.folder / "player") == enrolment
    assert (site.folder / "player" / "enrolment.json").stat().st_mode & 0o777 == 0o600
    assert site.office.record.key_of("gate-1") == Identity.load_or_make(site.folder / "player").public
    assert site.accounts() == before
    assert credential.password not in (site.broker.folder / "passwords").read_text()
    async with site.as_itself(credential) as client:
        await client.publish("led/v1/s/gate-1/state", b"x", qos=1)


async def test_the_hubs_connection_is_not_touched_by_an_enrolment(site):
    hub = aiomqtt.Client(
        "127.0.0.1",
        site.broker.port,
        identifier="siarhub",
        username="siarhub",
        password=site.broker.hub_password,
        protocol=aiomqtt.ProtocolVersion.V5,
    )
    async with hub:
        await enrolled(site)

        await hub.publish("led/v1/hub", b"x", qos=1)  # raises when it was cut off


async def test_wrong_code_enrols_nobody_and_says_so(site):
    player = site.player()
    async with knocking(player) as task:
        result = await site.say(enrol, "gate-1", Offer(bytes(32)).code, "--within", "2")

        assert result.exit_code == 1
        assert "no player asked with this code" in result.stderr
        assert not task.done()
    assert site.office.record.key_of("gate-1") is None
    assert not any(account.startswith("enrol") for account in site.accounts())


@pytest.mark.parametrize(("words", "says"), [(["gate-1", "AAAA"], "has 16 letters"), (["gate-1"], "give the CODE")])
async def test_a_code_that_is_none_is_wrong_usage(site, words, says):
    result = await site.say(enrol, *words)

    assert result.exit_code == 2
    assert says in result.stderr


async def test_an_unknown_screen_is_told_before_anything_is_opened(site):
    result = await site.say(enrol, "gate-9", Offer(bytes(32)).code)

    assert result.exit_code == 1
    assert "there are: gate-1, gate-2" in result.stderr
    assert not (site.broker.folder / "enrolling.json").exists()


async def test_with_the_hub_down_nothing_is_given_away(site):
    site.office.runs = False
    player = site.player()

    async with knocking(player) as task:
        result = await site.say(enrol, "gate-1", player.code)

        assert result.exit_code == 1
        assert "not running" in result.stderr
        assert not task.done()
    assert load(site.folder / "player") is None
    assert not any(account.startswith("enrol") for account in site.accounts())


async def test_without_keys_there_is_nothing_to_trust_and_no_enrolment(site):
    (site.office.root / "keys" / "keychain.json").unlink()

    result = await site.say(enrol, "gate-1", Offer(bytes(32)).code)

    assert result.exit_code == 1
    assert "keys init" in result.stderr


async def test_expired_code_is_dead_and_a_new_one_is_shown(site):
    player = site.player(pace=Pace(code_lasts_s=0.5, knock_every_s=0.1, ask_again_s=0.3))
    first = player.code
    async with knocking(player) as task:
        async with asyncio.timeout(10):
            while player.code == first:  # noqa: ASYNC110 - the screen tells nobody
                await asyncio.sleep(0.02)

        result = await site.say(enrol, "gate-1", first, "--within", "2")

        assert result.exit_code == 1
        assert not task.done()
    assert load(site.folder / "player") is None


async def test_after_a_kill_before_the_end_the_player_begins_anew_with_another_code(site):
    player = site.player()
    async with knocking(player):
        code = player.code
    again = site.player()

    assert again.code != code
    assert (await enrolled(site)).credential.player == "gate-1"


@pytest.mark.parametrize("cut", range(0, 2000, 97))
def test_after_a_kill_in_the_middle_of_storing_the_player_is_enrolled_or_is_not(tmp_path, cut):
    """The file is there as a whole or not at all: what a kill leaves is a temporary name that nobody reads."""
    (tmp_path / ".abc.tmp").write_bytes(b"x" * cut)
    assert load(tmp_path) is None

    (tmp_path / "enrolment.json").write_bytes(b"{" * cut)
    assert load(tmp_path) is None
    assert list(tmp_path.glob("enrolment.json.spoiled-*"))


async def test_what_was_stored_counts_when_its_confirmation_is_lost(site):
    """The technician is told that it is not known; the player is enrolled all the same."""
    player = site.player()

    class Mute(Enrolling):
        def _ask(self, offer: Offer, stored: str | None = None) -> bytes:
            return super()._ask(offer, stored) if stored is None else b"lost on the way"

    mute = Mute.__new__(Mute)
    mute.__dict__.update(player.__dict__)
    async with knocking(mute) as task:
        result = await site.say(enrol, "gate-1", player.code, "--within", "2")
        enrolment = await task

    assert result.exit_code == 1
    assert "has not confirmed" in result.stderr
    async with site.as_itself(enrolment.credential):
        pass
    assert site.office.record.key_of("gate-1") == base64.b64decode(enrolment.key)


@dataclass
class HostileBroker:
    """Somebody who may say and hear everything at the broker."""

    site: Any
    client: aiomqtt.Client

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, site: Any, meeting: Rendezvous) -> AsyncIterator[HostileBroker]:
        """It lets the player of this code in without any technician."""
        broker = site.broker
        with (broker.folder / "acl").open("a") as acl:
            acl.write("\nuser evil\ntopic readwrite led/v1/#\n")
            acl.write(f"\nuser {meeting.account}\ntopic write led/v1/e/+/ask\ntopic read led/v1/e/+/answer\n")
        with (broker.folder / "passwords").open("a") as passwords:
            passwords.write(password_line("evil", "evil") + password_line(meeting.account, meeting.password))
        broker._process.send_signal(signal.SIGHUP)
        client = aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            identifier="evil",
            username="evil",
            password="evil",
            protocol=aiomqtt.ProtocolVersion.V5,
        )
        async with asyncio.timeout(10):
            while True:
                try:
                    await client.__aenter__()
                    break
                except aiomqtt.MqttError:
                    await asyncio.sleep(0.05)
        try:
            await client.subscribe("led/v1/e/+/ask", qos=1)
            yield cls(site, client)
        finally:
            await client.__aexit__(None, None, None)

    async def next_ask(self) -> bytes:
        async with asyncio.timeout(10):
            return bytes((await anext(client_messages(self.client))).payload)

    async def answer(self, meeting: Rendezvous, message: bytes) -> None:
        await self.client.publish(meeting.answer_topic("led/v1"), message, qos=1)


def client_messages(client: aiomqtt.Client):  # type: ignore[no-untyped-def]
    return aiter(client.messages)


async def test_a_broker_that_does_not_know_the_code_can_answer_nothing(site):
    """Forged, garbage, empty, another code's: the player asks on, and holds nothing."""

    player = site.player()
    meeting = Rendezvous.of(player.code)
    mine = Credential(
        player="gate-1",
        password="evil",
        site="evil",
        keychain=base64.b64encode(keyring.read_chain(site.office.root / "keys")).decode(),
        zone="UTC",
        screen=Size(width=64, height=32),
        broker=Meeting(host="evil.example", port=1, ca=None),
    )
    async with HostileBroker.of(site, meeting) as evil, knocking(player) as task:
        ask = Ask.model_validate_json((await evil.next_ask())[32:])  # the broker reads it, and may use its keys
        for guess in (bytes(10), b"\xff" * 10):
            await evil.answer(meeting, seal_credential(Rendezvous(guess), ask, mine)[0])
        for junk in (b"", b"x", b"\0" * 200, b"{}", ask.model_dump_json().encode(), b"x" * 200_000):
            await evil.answer(meeting, junk)
        for _ in range(3):
            await evil.next_ask()

        assert not task.done()
    assert load(site.folder / "player") is None


async def test_an_answer_replayed_to_the_next_code_is_refused(site):

    first, player = Offer(Identity.load_or_make(site.folder).public), site.player()
    meeting = Rendezvous.of(player.code)
    ask = open_ask(first.rendezvous, first.ask(software="s", screen=None))
    keychain = base64.b64encode(keyring.read_chain(site.office.root / "keys")).decode()
    real = Credential(
        player="gate-1",
        password="old",
        site="kalsel",
        keychain=keychain,
        zone="UTC",
        screen=Size(width=64, height=32),
        broker=Meeting(host="127.0.0.1", port=1, ca=None),
    )
    recorded, _ = seal_credential(first.rendezvous, ask, real)

    async with HostileBroker.of(site, meeting) as evil, knocking(player) as task:
        for _ in range(3):
            await evil.next_ask()
            await evil.answer(meeting, recorded)
        await evil.next_ask()

        assert not task.done()
    assert load(site.folder / "player") is None


async def test_who_reads_the_code_off_the_screen_gains_nothing(site):
    """He knocks at the same door with a key of his own, and is refused; he may see the answer, which is sealed."""
    player = site.player()
    meeting = Rendezvous.of(player.code)
    thief = Offer(b"t" * 32)
    thief.rendezvous = meeting
    refused: list[bytes] = []

    async def steal() -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1",
                    site.broker.port,
                    identifier=meeting.account,
                    username=meeting.account,
                    password=meeting.password,
                    protocol=aiomqtt.ProtocolVersion.V5,
                ) as client:
                    await client.publish(meeting.ask_topic("led/v1"), thief.ask(software="s", screen=None), qos=1)
                    refused.append(b"")
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        stealing = group.create_task(steal())
        said = group.create_task(site.say(enrol, "gate-1", player.code, "--within", "30"))
        async with asyncio.timeout(20):
            while not refused:  # noqa: ASYNC110 - his first try is in
                await asyncio.sleep(0.05)
        assert not said.done()
        stealing.cancel()
        async with knocking(player) as task:
            result = await said
            assert result.exit_code == 0, result.output
            enrolment = await task

    assert site.office.record.key_of("gate-1") == base64.b64decode(enrolment.key) != b"t" * 32


async def test_a_revoked_player_is_cut_off_and_refused_within_a_minute(site):
    credential = (await enrolled(site)).credential
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(site.as_itself(credential))
        began = asyncio.get_running_loop().time()

        result = await site.say(revoke, "gate-1", "--why", "dicuri")

        assert result.exit_code == 0, result.output
        with pytest.raises(aiomqtt.MqttError):
            await anext(aiter(client.messages))
        with pytest.raises(aiomqtt.MqttError):
            await site.as_itself(credential).__aenter__()
        assert asyncio.get_running_loop().time() - began < 60
        stack.pop_all()
    assert site.office.record.key_of("gate-1") is None
    assert "gate-1" not in site.accounts()
    assert not (site.broker.folder / "gate-1.password").exists()


async def test_a_revoked_account_stays_out_when_the_accounts_are_made_anew(site):

    await site.say(revoke, "gate-1", "--why", "dicuri")

    write_accounts(site.broker.folder, "led/v1", ["gate-1", "gate-2"], hub="siarhub")

    assert "gate-1" not in site.accounts()


async def test_a_revoked_screen_is_enrolled_anew_by_another_key_only(site):
    first = await enrolled(site)
    await site.say(revoke, "gate-1", "--why", "dicuri")

    (site.folder / "player" / "enrolment.json").unlink()
    player = site.player()
    async with knocking(player):
        result = await site.say(enrol, "gate-1", player.code)
        assert result.exit_code == 1
        assert "siarhub-player forget" in result.stderr

    second = await enrolled(site, "another")
    assert second.key != first.key
    async with site.as_itself(second.credential):
        pass


async def test_what_a_machine_calls_itself_moves_no_cursor(site):
    player = site.player()
    player._software = "evil\x1b[2J\n\u202egate"
    async with knocking(player):
        result = await site.say(enrol, "gate-1", player.code)

    assert "evil[2Jgate" in result.output


async def test_a_flood_of_wishes_at_the_door_keeps_nobody_out(site):
    """By somebody who read the code; the broker lets him in, and his words are thrown away."""
    player = site.player()
    meeting = Rendezvous.of(player.code)

    async def flood() -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1",
                    site.broker.port,
                    identifier=meeting.account,
                    username=meeting.account,
                    password=meeting.password,
                    protocol=aiomqtt.ProtocolVersion.V5,
                ) as client:
                    for _ in range(200):
                        await client.publish(meeting.ask_topic("led/v1"), b"x" * 10_000, qos=0)
            await asyncio.sleep(0.3)

    async with asyncio.TaskGroup() as group:
        flooding = group.create_task(flood())
        async with knocking(player) as task:
            result = await site.say(enrol, "gate-1", player.code, "--within", "30")
            assert result.exit_code == 0, result.output
            assert (await task).credential.player == "gate-1"
        flooding.cancel()


async def test_a_new_machine_at_a_screen_ends_the_account_of_the_old_one_when_that_is_meant(site):
    first = await enrolled(site)
    player = site.player("another")
    async with knocking(player) as task:
        result = await site.say(enrol, "gate-1", player.code)
        assert result.exit_code == 1
        assert "has a player already" in result.stderr
        async with site.as_itself(first.credential):
            pass

        result = await site.say(enrol, "gate-1", player.code, "--replace")
        assert result.exit_code == 0, result.output
        second = await task

    with pytest.raises(aiomqtt.MqttError):
        await site.as_itself(first.credential).__aenter__()
    async with site.as_itself(second.credential):
        pass


async def test_the_same_machine_is_enrolled_again_when_it_lost_what_it_had_stored(site):
    first = await enrolled(site)
    (site.folder / "player" / "enrolment.json").unlink()

    second = await enrolled(site)

    assert second.key == first.key
    assert second.credential.password != first.credential.password


async def test_revoking_is_repeatable_and_refuses_what_was_never_there(site):
    for _ in range(2):
        assert (await site.say(revoke, "gate-2", "--why", "x")).exit_code == 0

    assert (await site.say(revoke, "gate-9", "--why", "x")).exit_code == 1
    assert (await site.say(revoke, "../x", "--why", "x")).exit_code == 1


async def test_a_revocation_that_the_hub_could_not_be_told_is_repeated_when_it_runs(site):
    await enrolled(site)
    site.office.runs = False
    first = await site.say(revoke, "gate-1", "--why", "dicuri")
    assert (first.exit_code, "not running" in first.stderr) == (1, True)
    assert "gate-1" not in site.accounts()

    site.office.runs = True
    wanted = site.office.wanted
    site.office.wanted = wanted.model_copy(update={"screens": {"gate-2": wanted.screens["gate-2"]}})
    assert (await site.say(revoke, "gate-1", "--why", "dicuri")).exit_code == 0

    assert site.office.record.key_of("gate-1") is None


async def test_enrolment_by_a_file_that_a_person_carries(site, tmp_path):
    public = Identity.load_or_make(tmp_path).public
    key, out = base64.b64encode(public).decode(), tmp_path / "gate-1.enrolment"

    result = await site.say(enrol, "gate-1", "--key", key, "--out", str(out))

    assert result.exit_code == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    assert site.office.record.key_of("gate-1") == public
    listed = await asyncio.to_thread(CliRunner().invoke, enrolments, ["--json"], obj=site.office)
    assert [(row["player"], row["key"], row["revoked_at"]) for row in json.loads(listed.output)] == [
        ("gate-1", key, None)
    ]


async def test_a_broker_that_cannot_be_reloaded_gets_no_door(site):
    site.reload = "false"

    result = await site.say(enrol, "gate-1", Offer(bytes(32)).code)

    assert result.exit_code == 1
    assert "not reloaded" in result.stderr
    assert not any(account.startswith("enrol") for account in site.accounts())


async def test_the_door_is_shut_when_the_command_is_interrupted(site):
    """Ctrl-C, SIGTERM and a lost terminal all raise KeyboardInterrupt in the command."""

    accounts = broker_accounts(site.office, site.broker.folder, "root", site.reload)
    desk = EnrolmentDesk(site.office, "gate-1", accounts)
    seen = threading.Event()

    def interrupted(*_: object) -> None:
        seen.set()
        raise KeyboardInterrupt

    desk._decide = interrupted  # type: ignore[method-assign]
    player = site.player()
    async with knocking(player):
        with pytest.raises(KeyboardInterrupt):
            await asyncio.to_thread(desk.enrol_by_code, Rendezvous.of(player.code), within_s=20)

    assert seen.is_set()
    assert not any(account.startswith("enrol") for account in site.accounts())


async def test_a_door_that_a_killed_command_left_open_is_taken_over_or_shut_by_the_next(site):
    accounts = broker_accounts(site.office, site.broker.folder, "root", site.reload)
    before = site.accounts()
    left = Rendezvous.of(Offer(bytes(32)).code)
    await asyncio.to_thread(accounts.let_in, left, for_s=0.0)  # killed, and its time is over
    player = site.player()
    same = Rendezvous.of(player.code)
    await asyncio.to_thread(accounts.let_in, same, for_s=600)  # killed, too

    async with knocking(player):
        result = await site.say(enrol, "gate-1", player.code)

    assert result.exit_code == 0, result.output
    assert site.accounts() == before


async def test_two_technicians_enrol_two_screens_at_the_same_time(site):
    one, two = site.player("one"), site.player("two")
    async with knocking(one) as first, knocking(two) as second:
        results = await asyncio.gather(site.say(enrol, "gate-1", one.code), site.say(enrol, "gate-2", two.code))
        assert [result.exit_code for result in results] == [0, 0], [result.output for result in results]
        credentials = [(await first).credential, (await second).credential]

    assert [credential.player for credential in credentials] == ["gate-1", "gate-2"]
    for credential in credentials:
        async with site.as_itself(credential):
            pass
    assert not any(account.startswith("enrol") for account in site.accounts())
