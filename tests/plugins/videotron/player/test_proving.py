"""From a film's end to the hub's acknowledgement: what is recorded, sent, and sent again."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from plugins.videotron.player.playback import Clip, Play
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.player.proving import Proving
from plugins.videotron.protocol import ProofAck, ProofOfPlay, SigningKey, decode_signed, key_id
from plugins.videotron.protocol.chain import Result, Segment, segment_of

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
CLIP = Clip(
    key="1", path=Path("a.mp4"), item="IP-2026-11-0001", sha256="a" * 64, title="Cegah DBD", epoch=1, manifest=7
)


class Player:
    """The recorder and the sender of a player, and what the broker got from them."""

    def __init__(self, path: Path, *, send_again_s: float = 10.0, keep: int = 100) -> None:
        self.key = SigningKey.new()
        self.proofs = ProofLog(path, boot="0" * 16, keep=keep, set_aside=lambda _: None)
        self.sent: asyncio.Queue[Segment] = asyncio.Queue()
        self.connected = True
        self.proving = Proving(
            proofs=self.proofs,
            player="gate-1",
            identity=self.key,
            publish=self._publish,
            log=structlog.get_logger(),
            send_again_s=send_again_s,
        )

    def show(self, at: int, result: Result = Result.COMPLETED, reason: str = "") -> None:
        """One playback from beginning to end."""
        started_at = NOON + timedelta(seconds=at)
        self.proving.began(CLIP, started_at)
        self.proving.played(Play(clip=CLIP, started_at=started_at, seconds=1.5, result=result, reason=reason))

    async def acknowledge(self, segment: Segment, **changes: Any) -> None:
        facts = {"chain": segment.chain, "seq": segment.last, "hash": segment.hashes[-1].hex()}
        await self.proving.take_ack(ProofAck(**{"site": "kalsel", "player": "gate-1", **facts, **changes}))

    async def _publish(self, payload: bytes) -> bool:
        if self.connected:
            keys = {key_id(self.key.public): self.key.public}
            self.sent.put_nowait(segment_of(decode_signed(ProofOfPlay, payload, keys)))
        return self.connected

    @contextlib.asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.proving.run_recorder()), group.create_task(self.proving.run_sender())]
            yield
            for task in tasks:
                task.cancel()
        self.proving.record_rest()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "proof.db"


async def test_a_playback_is_signed_and_sent_with_all_that_is_known_of_it(record: Path) -> None:
    player = Player(record)
    async with player.on():
        player.show(0, Result.PARTIAL, "withdrawn")
        [entry] = (await player.sent.get()).entries

    assert (entry.title, entry.epoch, entry.manifest, entry.sha256) == ("Cegah DBD", 1, 7, "a" * 64)
    assert (entry.result, entry.reason, entry.seconds, entry.started_at) == ("partial", "withdrawn", 1.5, NOON)


async def test_the_next_batch_goes_as_soon_as_the_last_is_acknowledged(record: Path) -> None:
    player = Player(record)
    async with player.on():
        player.show(0)
        first = await player.sent.get()
        player.show(10)
        await player.acknowledge(first)
        second = await player.sent.get()

    assert (first.last, second.first, second.hashes[0]) == (1, 2, first.hashes[-1])


async def test_what_is_not_acknowledged_is_sent_again_with_what_came_meanwhile(record: Path) -> None:
    player = Player(record, send_again_s=0.6)
    async with player.on():
        player.show(0)
        first = await player.sent.get()
        player.show(10)
        again = await player.sent.get()

    assert (first.first, first.last, again.first, again.last) == (1, 1, 1, 2)
    assert again.known()[1] == first.known()[1]


async def test_nothing_is_sent_twice_within_the_pause(record: Path, eventually: Any) -> None:
    player = Player(record)
    async with player.on():
        player.show(0)
        await player.sent.get()
        player.show(10)
        await eventually(lambda: player.proofs.waiting == 2)

        assert player.sent.empty()
        player.proving.wake()  # another connection
        assert (await player.sent.get()).last == 2


async def test_acknowledgements_that_are_not_for_this_batch_change_nothing(record: Path, eventually: Any) -> None:
    player = Player(record)
    async with player.on():
        player.show(0)
        sent = await player.sent.get()

        await player.acknowledge(sent, player="gate-2")
        await player.acknowledge(sent, chain="f" * 16)
        await player.acknowledge(sent, seq=0, hash="0" * 64)

        assert player.proofs.waiting == 1
        player.show(10)
        await eventually(lambda: player.proofs.waiting == 2)
        assert player.sent.empty()
        await player.acknowledge(sent)
        assert player.proofs.waiting == 1


async def test_a_player_that_is_told_of_another_history_goes_on_in_a_new_chain_at_once(record: Path) -> None:
    player = Player(record)
    async with player.on():
        player.show(0)
        sent = await player.sent.get()
        await player.acknowledge(sent, hash="0" * 64)
        anew = await player.sent.get()

    assert anew.chain != sent.chain
    assert anew.entries[0].started_at == NOON


async def test_what_ended_just_before_the_stop_is_recorded_once(record: Path) -> None:
    player = Player(record)
    async with player.on():
        for at in range(5):
            player.show(at)

    assert player.proofs.seq == 5
    player.proofs.close()
    with contextlib.closing(sqlite3.connect(record)) as db:
        assert db.execute("select count(*) from entry").fetchone() == (5,)
        assert db.execute("select count(*) from showing").fetchone() == (0,)


async def test_a_stop_in_the_middle_of_a_write_neither_doubles_nor_loses_it(record: Path, eventually: Any) -> None:
    player = Player(record)
    with contextlib.closing(sqlite3.connect(record)) as other:
        other.execute("begin immediate")  # the disk takes its time
        async with asyncio.TaskGroup() as group:
            recorder = group.create_task(player.proving.run_recorder())
            player.show(0)
            await eventually(player.proving._writer.locked)
            recorder.cancel()
        assert player.proofs.seq == 0  # its thread still waits for the disk
        other.rollback()
        player.proving.record_rest()

    assert player.proofs.seq == 1


async def test_plays_that_find_no_room_are_told_as_trouble_until_there_is_room(record: Path, eventually: Any) -> None:
    player = Player(record, keep=1)
    player.connected = False
    async with player.on():
        player.show(0)
        player.show(10)
        await eventually(lambda: player.proving.trouble)
        assert "1 lost" in player.proving.trouble

        player.connected = True
        player.proving.wake()
        first = await player.sent.get()
        await player.acknowledge(first)
        player.show(20)
        entry = first.entries[-1]
        while entry == first.entries[-1]:  # said once more, before the answer was there
            [entry] = (await player.sent.get()).entries

    assert entry.reason == "lost 1 before this"
    assert player.proving.trouble == ""
