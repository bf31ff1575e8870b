"""Proof of play against a real broker that lies, and against a power cut: the real player keeps what it has to tell."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from pathlib import Path
from typing import Any

from plugins.videotron.protocol import ProofAck, SigningKey, encode, encode_signed
from plugins.videotron.protocol.chain import segment_of

FIRST = "IP-2026-11-0001"
PLAYER = "gate-1"
SITE = "an-office"


def refused(hub: Any) -> set[str]:
    return {one.attack for one in hub.last().rejections} if hub.last() else set()


async def test_forged_acks_delete_nothing(hub: Any, films: Any, start_agent: Any, eventually: Any) -> None:
    hub.acknowledging = False
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    async with start_agent() as agent:
        await hub.until(lambda: hub.proofs)
        segment = segment_of(hub.proofs[0])
        digest = segment.hashes[-1].hex()
        ack = ProofAck(site=SITE, player=PLAYER, chain=segment.chain, seq=segment.last, hash=digest)
        for forged in (
            encode(ack),
            encode_signed(ack, SigningKey.new()),
            hub.signed(ack.model_copy(update={"player": "gate-2"})),
            hub.signed(ack.model_copy(update={"site": "another-office"})),
            hub.signed(ack).replace(digest[:8].encode(), b"00000000"),
            hub.signed(ack.model_copy(update={"chain": "f" * 16})),  # of another chain: true once, and no more
        ):
            await hub.client.publish(hub.topics.control(PLAYER), forged, qos=0)
        said = {"unsigned", "unknown key", "wrong audience", "wrong site", "bad signature"}
        await hub.until(lambda: said <= refused(hub))

        assert agent.proofs.next_batch(PLAYER).prev == "0" * 64  # still from the first on
        await hub.client.publish(hub.topics.control(PLAYER), hub.signed(ack), qos=0)
        await eventually(lambda: not (batch := agent.proofs.next_batch(PLAYER)) or batch.prev != "0" * 64)


async def test_what_was_on_the_screen_when_the_power_was_cut_is_proved_as_unknown(
    hub: Any, films: Any, command: Any, eventually: Any
) -> None:
    await hub.serve(films["long"])
    await hub.manifest(1, films["long"].entry(FIRST))
    command.start()
    await hub.until(lambda: hub.shows(FIRST))
    await eventually(lambda: _marked(command.config.parent / "player" / "proof.db"))

    command.end(signal.SIGKILL)
    command.start()
    await hub.until(lambda: hub.played(FIRST))
    command.end()

    first = hub.played(FIRST)[0]
    assert (first.seq, first.result, first.seconds) == (1, "unknown", 0)
    assert "power" in first.reason


def _marked(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
        return bool(db.execute("select 1 from showing").fetchone())
    return False
