"""Proof of play on the hub: kept for ever as it came, then told to the journal, then acknowledged. In this order."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from hub.api import Clock, Fact, Journal, Log, Played
from plugins.videotron.broker import Link
from plugins.videotron.complaints import Complaints
from plugins.videotron.proofs.doubts import Remark, proves, remark_on
from plugins.videotron.proofs.store import Forked, Kept, ProofStore, Stored
from plugins.videotron.protocol import (
    Attack,
    Document,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    Refused,
    Topics,
    WireError,
    decode,
    decode_signed,
)
from plugins.videotron.protocol.chain import Result, Segment, lost_before, segment_of
from plugins.videotron.store import Given, Store

TRY_AGAIN_S = 30.0
MAX_WAITING = 100  # batches; more are dropped, for a player sends again until it is acknowledged
MOST_OF_ONE = 2  # of these: a player sends one and waits for its acknowledgement
DAY_BYTES = 200_000_000  # of one player: twice what it can have waiting, for the envelopes are kept for ever


@dataclass(frozen=True, slots=True)
class _Batch:
    segment: Segment
    body: bytes


class ProofKeeper:
    def __init__(
        self,
        *,
        topics: Topics,
        store: Store,
        proofs: ProofStore,
        sign: Callable[[Document], bytes],
        site: str,
        journal: Journal,
        complaints: Complaints,
        clock: Clock,
        log: Log,
    ) -> None:
        self._topics = topics
        self._store = store
        self._proofs = proofs
        self._sign = sign
        self._site = site
        self._journal = journal
        self._complaints = complaints
        self._clock = clock
        self._log = log
        self._waiting: asyncio.Queue[_Batch] = asyncio.Queue(MAX_WAITING)
        self._waits = Counter[str]()  # batches by player
        self._kept_today: tuple[date, Counter[str]] = (date.min, Counter())  # bytes by player

    def take(self, player: str, payload: bytes, keys: Mapping[str, bytes]) -> None:
        """Keep a batch for `run`; `keys` are those with which this player may sign. Raises: WireError."""
        if self._waiting.full() or self._waits[player] >= MOST_OF_ONE:
            self._log.info("proof_was_dropped", player=player, reason="too many are waiting")
            return
        proof = decode_signed(ProofOfPlay, payload, keys)
        if proof.player != player:
            raise Refused(Attack.WRONG_AUDIENCE, f"it calls itself {proof.player}")
        if self._today()[player] > DAY_BYTES:
            raise Refused(Attack.OVER_LIMIT, f"more than {DAY_BYTES >> 20} MB of proofs today: no screen plays so much")
        self._waiting.put_nowait(_Batch(segment_of(proof), payload))
        self._waits[player] += 1

    def _today(self) -> Counter[str]:
        today = self._clock.now().date()
        if self._kept_today[0] != today:
            self._kept_today = (today, Counter())
        return self._kept_today[1]

    async def run(self, link: Link) -> None:
        """Keep, record and acknowledge batches for one session with the broker. Raises: Disconnected."""
        while True:
            try:
                await self._work(link)
            except sqlite3.Error as error:  # nothing was acknowledged that is not kept: the players send it again
                self._complaints.add("proofs", f"proofs of play cannot be kept: {error}; look at the disk")
                self._log.error("proof_was_not_kept", reason=str(error))
                await asyncio.sleep(TRY_AGAIN_S)

    async def _work(self, link: Link) -> None:
        if self._proofs.damaged:
            self._complaints.add("proofs", f"the kept proofs were damaged and are set aside: {self._proofs.damaged}")
        await self.complete()
        while True:
            batch = await self._waiting.get()
            self._waits[batch.segment.player] -= 1
            for ack in await self._keep(batch):
                await link.publish(self._topics.control(batch.segment.player), self._sign(ack), qos=0)

    async def complete(self) -> None:
        """Tell the journal of every envelope that is kept: also of those that a kill left untold."""
        while envelopes := await asyncio.to_thread(self._proofs.to_journal):
            for envelope in envelopes:
                await asyncio.to_thread(self._proofs.journalled, envelope, await self._tell(envelope))

    async def _keep(self, batch: _Batch) -> list[ProofAck]:
        """Everything that is to be told to the player, in this order."""
        segment = batch.segment
        kept = await asyncio.to_thread(self._proofs.add, segment, batch.body, received_at=self._clock.now())
        if isinstance(kept, Forked):
            return self._answer_fork(segment, kept)
        if kept.news:
            self._today()[segment.player] += len(batch.body)
            self._name_holes(segment, kept)
        await self.complete()
        return [self._ack(segment, segment.last, segment.hashes[-1])]

    def _answer_fork(self, segment: Segment, fork: Forked) -> list[ProofAck]:
        """What both sides have, the player may forget. The second answer tells it what is kept here: a player whose
        disk went back in time begins a new chain with the rest, and a player's copy gains nothing by it."""
        text = f"proof of play {segment.chain}/{fork.seq} contradicts what was proved before (a fork)"
        self._complaints.add(segment.player, text)
        self._log.error("proof_was_forked", player=segment.player, chain=segment.chain, seq=fork.seq)
        told = [fork.common, fork.head] if fork.common else [fork.head]
        return [self._ack(segment, seq, digest) for seq, digest in told]

    def _name_holes(self, segment: Segment, kept: Stored) -> None:
        player, where = segment.player, f"{segment.chain}/{segment.first}"
        if kept.missing:
            first, last = kept.missing
            text = f"{last - first + 1} entries before it never came ({first} to {last})"
            self._complaints.add(player, f"proof of play {where}: {text}")
        if kept.other_chain:
            self._complaints.add(player, f"proof of play {where}: a new record; {kept.other_chain} is not continued")
        if lost := sum(lost_before(entry.reason) for entry in segment.entries):
            self._complaints.add(player, f"proof of play {where}: {lost} plays were lost on the player")

    def _ack(self, segment: Segment, seq: int, digest: bytes) -> ProofAck:
        return ProofAck(site=self._site, player=segment.player, chain=segment.chain, seq=seq, hash=digest.hex())

    async def _tell(self, envelope: Kept) -> dict[int, Remark]:
        """Record what was shown; returns what is to be remarked on, by number."""
        try:
            segment = segment_of(decode(ProofOfPlay, envelope.body))
        except WireError as error:  # it was sound when it came: somebody changed the file
            self._complaints.add(envelope.player, f"a kept proof of play cannot be read: {error}")
            return {}
        entries = [entry for entry in segment.entries if entry.seq >= envelope.fresh]
        pairs = [(entry.item, entry.cid) for entry in entries]
        given = await asyncio.to_thread(self._store.given, segment.player, pairs)
        remarks: dict[int, Remark] = {}
        facts: list[tuple[str, Fact]] = []
        for entry in entries:
            one = given.get((entry.item, entry.cid))
            remark = remark_on(entry, one.sha256 if one else None, envelope.received_at)
            if remark:
                remarks[entry.seq] = remark
                self._complaints.add(segment.player, f"proof of play {segment.chain}/{entry.seq}: {remark.text}")
            if one and proves(entry, remark):
                facts.append((journal_key(segment.player, segment.chain, entry.seq), _played(segment, entry, one)))
        if facts:
            await self._journal.record_many(facts)
        return remarks


def journal_key(player: str, chain: str, seq: int) -> str:
    """The key of a play in the journal: of one width, so that text sorts as numbers do."""
    return f"played/{player}/{chain}/{seq:016}"


def _played(segment: Segment, entry: ProofEntry, given: Given) -> Played:
    return Played(
        delivery=given.delivery,
        item=given.item,
        destination=segment.player,
        rendition=given.sha256,
        started_at=entry.started_at,
        seconds=entry.seconds,
        complete=entry.result == Result.COMPLETED,
    )
