"""Proof of play: from a player's batches to `Played` facts, acknowledged only when the journal has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from hub.api import Clock, Fact, Journal, Log, Played
from plugins.videotron.broker import Link
from plugins.videotron.complaints import Complaints
from plugins.videotron.protocol import (
    Attack,
    Document,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    Refused,
    Topics,
    decode_signed,
)
from plugins.videotron.protocol.envelope import parse
from plugins.videotron.store import Given, Store

MAX_WAITING = 100  # batches; more are dropped, for a player sends again until it is acknowledged
AHEAD = timedelta(minutes=10)  # how far a player's clock may be ahead of the hub's


class ProofKeeper:
    def __init__(
        self,
        *,
        topics: Topics,
        store: Store,
        sign: Callable[[Document], bytes],
        site: str,
        journal: Journal,
        complaints: Complaints,
        clock: Clock,
        log: Log,
    ) -> None:
        self._topics = topics
        self._store = store
        self._sign = sign
        self._site = site
        self._journal = journal
        self._complaints = complaints
        self._clock = clock
        self._log = log
        self._waiting: asyncio.Queue[ProofOfPlay] = asyncio.Queue(MAX_WAITING)

    def take(self, player: str, payload: bytes, keys: Mapping[str, bytes]) -> None:
        """Keep a batch of this player for `run`. Raises: WireError."""
        proof = decode_signed(ProofOfPlay, payload, keys)
        if proof.player != player:
            raise Refused(Attack.WRONG_AUDIENCE, f"it calls itself {proof.player}")
        if self._waiting.full():
            self._log.warning("proof_was_dropped", player=proof.player, reason="too many are waiting")
        else:
            self._waiting.put_nowait(proof)

    async def run(self, link: Link) -> None:
        """Record and acknowledge batches for one session with the broker. Raises: Disconnected."""
        while True:
            proof = await self._waiting.get()
            seq = await self._record(proof)
            ack = ProofAck(site=self._site, player=proof.player, chain=proof.chain, seq=seq, hash="0" * 64)
            await link.publish(self._topics.control(proof.player), self._sign(ack), qos=0)

    async def _record(self, proof: ProofOfPlay) -> int:
        entries = [parse(ProofEntry, text) for text in proof.entries]
        keys = [(entry.item, entry.cid) for entry in entries]
        given = await asyncio.to_thread(self._store.given, proof.player, keys)
        facts: list[tuple[str, Fact]] = []
        for entry in entries:
            if reason := self._objection(entry, given.get((entry.item, entry.cid))):
                self._complaints.add(proof.player, f"proof of play {proof.chain}/{entry.seq} refused: {reason}")
            else:
                facts.append(_fact(proof, entry, given[entry.item, entry.cid]))
        new = await self._journal.record_many(facts) if facts else 0
        self._log.debug("proof_was_recorded", player=proof.player, entries=len(proof.entries), new=new)
        return entries[-1].seq

    def _objection(self, entry: ProofEntry, given: Given | None) -> str:
        """Why an entry proves nothing; it is acknowledged all the same, for sending it again would not help."""
        if given is None:
            return f"it was never given {entry.item} with file {entry.cid}"
        if entry.started_at > self._clock.now() + AHEAD:
            return f"it begins in the future ({_text(entry.started_at)}): the player's clock is wrong"
        return ""


def _fact(proof: ProofOfPlay, entry: ProofEntry, given: Given) -> tuple[str, Played]:
    key = f"played/{proof.player}/{proof.chain}/{entry.seq}"
    played = Played(
        delivery=given.delivery,
        item=given.item,
        destination=proof.player,
        rendition=given.sha256,
        started_at=entry.started_at,
        seconds=entry.seconds,
        complete=entry.result == "completed",
    )
    return key, played


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
