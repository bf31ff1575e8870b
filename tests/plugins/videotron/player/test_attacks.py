"""The broker as the attacker, against the real player: each attack by the name of TUF, Uptane and our research.

The pure judgements have tests of their own beside `protocol/trust.py`; here the whole player must go on showing what it
may, say what it refused, and keep that over a restart.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plugins.videotron.keys.ceremony import rotate
from plugins.videotron.keys.keyring import Keyring, load, make
from plugins.videotron.protocol import (
    Command,
    CommandName,
    Mode,
    ProofAck,
    SigningKey,
    encode,
    encode_signed,
)

FIRST, SECOND = "IP-2026-11-0001", "IP-2026-11-0002"
PLAYER = "gate-1"
SITE = "an-office"


def refused(hub: Any) -> set[str]:
    return {one.attack for one in hub.last().rejections} if hub.last() else set()


@pytest.fixture
async def showing(hub: Any, films: Any, start_agent: Any) -> Any:
    """A player that shows the red film by manifest 7."""
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start_agent() as agent:
        await hub.until(lambda: hub.shows(FIRST))
        yield agent
        assert not hub.played(SECOND)
        assert agent.trusted.version == (1, 7)


async def test_arbitrary_content(hub: Any, films: Any, showing: Any) -> None:
    """Manifests that nobody of ours signed: unsigned, signed by the attacker, altered under a good signature."""
    evil = hub.manifest_of(8, films["blue"].entry(SECOND))
    good = json.loads(hub.signed(hub.manifest_of(8, films["red"].entry(FIRST))))
    good["payload"] = evil.model_dump_json()

    await hub.say(hub.topics.manifest(PLAYER), encode(evil))
    await hub.until(lambda: "unsigned" in refused(hub))
    await hub.say(hub.topics.manifest(PLAYER), encode_signed(evil, SigningKey.new()))
    await hub.until(lambda: "unknown key" in refused(hub))
    await hub.say(hub.topics.manifest(PLAYER), json.dumps(good).encode())
    await hub.until(lambda: "bad signature" in refused(hub))


async def test_rollback_and_replay_of_an_old_schedule(hub: Any, films: Any, showing: Any) -> None:
    await hub.manifest(6, films["blue"].entry(SECOND))

    await hub.until(lambda: "rollback" in refused(hub))


async def test_equivocation(hub: Any, films: Any, showing: Any) -> None:
    """Another manifest under a number that was used."""
    await hub.manifest(7, films["blue"].entry(SECOND))

    await hub.until(lambda: "equivocation" in refused(hub))


async def test_wrong_device(hub: Any, films: Any, showing: Any) -> None:
    """A manifest that was made for another screen."""
    await hub.manifest(8, films["blue"].entry(SECOND), aud="gate-2")

    await hub.until(lambda: "wrong audience" in refused(hub))


async def test_wrong_site(hub: Any, films: Any, showing: Any) -> None:
    await hub.manifest(8, films["blue"].entry(SECOND), site="another-office")

    await hub.until(lambda: "wrong site" in refused(hub))


async def test_mix_and_match(hub: Any, films: Any, showing: Any) -> None:
    """A manifest of an epoch or keyset that is not in force, and a block list of one film under another's name."""
    await hub.manifest(8, films["blue"].entry(SECOND), epoch=2)
    await hub.until(lambda: "wrong keyset" in refused(hub))
    await hub.manifest(8, films["blue"].entry(SECOND), keyset=2)
    await hub.until(lambda: [one.count for one in hub.last().rejections if one.attack == "wrong keyset"] == [2])


async def test_type_confusion(hub: Any, films: Any, showing: Any) -> None:
    """What is signed as one kind of document is worth nothing as another, nor with a key twice."""
    ack = ProofAck(site=SITE, player=PLAYER, chain="0" * 16, seq=9, hash="0" * 64)
    await hub.say(hub.topics.manifest(PLAYER), hub.signed(ack))
    await hub.until(lambda: "wrong type" in refused(hub))
    manifest = hub.signed(hub.manifest_of(8, films["blue"].entry(SECOND))).decode()
    await hub.say(hub.topics.manifest(PLAYER), manifest.replace('{"v":1,', '{"v":1,"v":1,').encode())
    await hub.until(lambda: "malformed" in refused(hub))


async def test_endless_data(hub: Any, showing: Any) -> None:
    """Far more than a document may have: the size is looked at before anything is parsed."""
    await hub.say(hub.topics.manifest(PLAYER), b'{"v":1,"payload":"' + b"[" * 1_040_000)

    await hub.until(lambda: "too large" in refused(hub))


async def test_a_zone_that_is_not_known_here_is_no_manifest(hub: Any, films: Any, showing: Any) -> None:
    """Signed by the hub, whose zones are newer than this machine's: taken, it would end the player at each start."""
    good = hub.manifest_of(8, films["red"].entry(FIRST))
    screen = good.screen.model_copy(update={"zone": "Mars/Olympus"})

    await hub.say(hub.topics.manifest(PLAYER), hub.signed(good.model_copy(update={"screen": screen})))

    await hub.until(lambda: "malformed" in refused(hub))
    assert hub.shows(FIRST)


async def test_an_expired_manifest_is_not_followed(hub: Any, films: Any, showing: Any) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=8)
    await hub.manifest(8, films["blue"].entry(SECOND), issued=long_ago)

    await hub.until(lambda: "expired" in refused(hub))


async def test_freeze(hub: Any, films: Any, start_agent: Any) -> None:
    """A broker that brings nothing new: at its expiry the manifest gives way to the fallback, never to black."""
    await hub.serve(films["red"])
    issued = datetime.now(UTC) - timedelta(days=7) + timedelta(seconds=6)
    await hub.manifest(7, films["red"].entry(FIRST), issued=issued)
    async with start_agent():
        await hub.until(lambda: hub.shows(FIRST))

        await hub.until(lambda: hub.last().shows == "fallback" and not hub.last().playing)

        assert "manifest expired" in [one.code for one in hub.last().problems]


async def test_a_wrong_block_and_a_block_list_of_another_source_are_refused(
    hub: Any, films: Any, start_agent: Any
) -> None:
    """An unsigned, a re-signed and a foreign block list; blocks that are not in the signed one."""
    red, blue = films["red"], films["blue"]
    await hub.manifest(7, red.entry(FIRST))
    async with start_agent() as agent:
        await hub.until(lambda: hub.last() and hub.last().seq == 7)
        topic = hub.topics.block_list(red.cid)
        await hub.say(topic, encode(red.list()))
        await hub.until(lambda: "unsigned" in refused(hub))
        await hub.say(topic, encode_signed(red.list(), SigningKey.new()))
        await hub.until(lambda: "unknown key" in refused(hub))
        await hub.say(topic, hub.signed(blue.list()))
        await hub.until(lambda: "wrong file" in refused(hub))

        hub.serving = False
        await hub.serve(red)
        await hub.until(lambda: hub.reported(red))
        await hub.send(red, [0], data=b"x" * 1024)
        await hub.until(lambda: "wrong block" in refused(hub))
        assert not agent.library.held


async def test_replay_of_commands(hub: Any, showing: Any) -> None:
    now = datetime.now(UTC)
    facts = {"site": SITE, "aud": PLAYER, "epoch": 1, "issued": now, "expires": now + timedelta(minutes=1)}
    command = hub.signed(Command(counter=5, name=CommandName.SCREENSHOT, **facts))

    await hub.client.publish(hub.topics.control(PLAYER), command)
    await hub.until(lambda: hub.last().command == 5)
    await hub.client.publish(hub.topics.control(PLAYER), command)
    await hub.until(lambda: "replayed" in refused(hub))


async def test_an_override_of_before_does_not_come_back(hub: Any, films: Any, showing: Any) -> None:
    """A blackout that was ended, replayed; one for another screen; one that nobody signed."""
    await hub.override(5, Mode.BLACKOUT)
    await hub.until(lambda: hub.last().shows == "blackout")
    await hub.override(6, Mode.NONE)
    await hub.until(lambda: hub.last().shows == "items" and hub.last().override == 6)

    await hub.override(5, Mode.BLACKOUT)
    await hub.until(lambda: "rollback" in refused(hub))
    await hub.override(7, Mode.BLACKOUT, aud="gate-2")
    await hub.until(lambda: "wrong audience" in refused(hub))

    assert hub.last().shows == "items"


async def test_key_compromise(hub: Any, films: Any, start_agent: Any, settings: Any, tmp_path: Any) -> None:
    """The online key is stolen: after `keys revoke` what it signs is refused, and what it signed last is not shown."""
    keys = tmp_path / "keys"
    hub.keyring = make(keys, SITE, now=datetime.now(UTC))
    (settings.state_dir / "keychain.json").write_bytes(hub.keyring.chain)
    stolen = hub.keyring
    await hub.serve(films["red"], films["blue"])
    async with start_agent() as agent:
        await hub.manifest(7, films["red"].entry(FIRST), issued=datetime.now(UTC))
        await hub.until(lambda: hub.shows(FIRST))
        now, last = datetime.now(UTC), 2**53 - 1
        facts = {"site": SITE, "aud": PLAYER, "epoch": 1, "issued": now, "expires": now + timedelta(minutes=1)}
        command = Command(counter=last, name=CommandName.SCREENSHOT, **facts)
        await hub.client.publish(hub.topics.control(PLAYER), hub.signed(command))
        await hub.until(lambda: hub.last().command == last)

        rotate(keys, now=datetime.now(UTC), stolen=True)
        new: Keyring = load(keys, now=datetime.now(UTC))
        await hub.say(hub.topics.keys, new.chain)
        await hub.until(lambda: hub.last().keyset == 2 and hub.last().shows == "fallback")
        await hub.manifest(99, films["blue"].entry(SECOND))
        await hub.until(lambda: "unknown key" in refused(hub))

        # Fast-forward: the stolen key had used up the numbers; in the new epoch they begin anew.
        hub.keyring = replace(stolen, online=new.online, keyset=new.keyset, chain=new.chain)
        await hub.serve(films["red"])
        await hub.manifest(1, films["red"].entry(FIRST), issued=datetime.now(UTC))
        await hub.until(lambda: hub.shows(FIRST) and hub.last().epoch == 2)
        assert agent.trusted.version == (2, 1)
        assert hub.last().command == 0


async def test_keyset_rollback_and_a_keyset_of_nobody(hub: Any, showing: Any, tmp_path: Any) -> None:
    stranger = make(tmp_path / "strange", SITE, now=datetime.now(UTC))

    await hub.say(hub.topics.keys, stranger.chain)

    await hub.until(lambda: "equivocation" in refused(hub))
    assert hub.last().keyset == 1


async def test_what_was_refused_before_a_restart_is_refused_after_it(hub: Any, films: Any, start_agent: Any) -> None:
    """The numbers are on the disk before they are acted on."""
    await hub.serve(films["red"], films["blue"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start_agent():
        await hub.until(lambda: hub.shows(FIRST))
    hub.states.clear()

    await hub.manifest(6, films["blue"].entry(SECOND))
    async with start_agent():
        await hub.until(lambda: hub.last() and "rollback" in refused(hub) and hub.shows(FIRST))

    assert not hub.played(SECOND)


async def test_forged_acknowledgements_do_not_make_it_forget_its_proofs(hub: Any, films: Any, start_agent: Any) -> None:
    hub.acknowledging = False
    await hub.serve(films["red"])
    await hub.manifest(7, films["red"].entry(FIRST))
    async with start_agent() as agent:
        await hub.until(lambda: hub.proofs)
        proof = hub.proofs[-1]
        ack = ProofAck(site=SITE, player=PLAYER, chain=proof.chain, seq=1_000, hash="0" * 64)
        await hub.client.publish(hub.topics.control(PLAYER), encode(ack))
        await hub.client.publish(hub.topics.control(PLAYER), encode_signed(ack, SigningKey.new()))
        await hub.until(lambda: {"unsigned", "unknown key"} <= refused(hub))

        assert agent.proofs.waiting
