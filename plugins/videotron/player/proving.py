"""Brings every playback to the hub: recorded first, sent in batches, sent again until acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable

from plugins.videotron.player.playback import Play
from plugins.videotron.player.ports import Log
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.protocol import ProofAck, Signs, cid_of, encode_signed

SEND_AGAIN_S = 10.0
RECORD_AGAIN_S = 5.0


class Proving:
    """`publish` says whether the broker took the batch; only a `ProofAck` of the hub ends its repetition."""

    def __init__(
        self, *, proofs: ProofLog, player: str, identity: Signs, publish: Callable[[bytes], Awaitable[bool]], log: Log
    ) -> None:
        self._identity = identity
        self._proofs = proofs
        self._player = player
        self._publish = publish
        self._log = log
        self._plays: asyncio.Queue[Play] = asyncio.Queue()
        self._news = asyncio.Event()
        self.trouble = ""

    def played(self, play: Play) -> None:
        """A playback has ended; it is recorded in its turn, without holding up the screen."""
        self._plays.put_nowait(play)

    def wake(self) -> None:
        """There is a connection again: send what waits."""
        self._news.set()

    async def take_ack(self, ack: ProofAck) -> None:
        """The hub has these: forget them, send the next."""
        if ack.player == self._player:
            forgotten = await asyncio.to_thread(self._proofs.forget, ack)
            if forgotten:
                self._news.set()

    async def run_recorder(self) -> None:
        """Write plays down until cancelled."""
        while True:
            play = await self._plays.get()
            await self._record(play)
            self._news.set()

    async def run_sender(self) -> None:
        """Send what the hub has not acknowledged until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEND_AGAIN_S):
                    await self._news.wait()
            self._news.clear()
            batch = await asyncio.to_thread(self._proofs.next_batch, self._player)
            if batch is not None:
                await self._publish(encode_signed(batch, self._identity))

    def record_rest(self) -> None:
        """At the end: write down what still waits. Blocks."""
        while not self._plays.empty():
            play = self._plays.get_nowait()
            with contextlib.suppress(sqlite3.Error):  # nothing more can be done: the process is about to end
                self._write(play)

    async def _record(self, play: Play) -> None:
        while True:
            try:
                kept = await asyncio.to_thread(self._write, play)
            except sqlite3.Error as error:
                self.trouble = f"plays cannot be recorded: {error}"
                self._log.error("proof_not_recorded", reason=str(error))
                await asyncio.sleep(RECORD_AGAIN_S)
                continue
            self.trouble = "" if kept else f"{self._proofs.lost} plays were lost: the hub has not taken the older ones"
            return

    def _write(self, play: Play) -> bool:
        return self._proofs.record(
            item=play.clip.item,
            cid=cid_of(play.clip.sha256),
            started_at=play.started_at,
            seconds=play.seconds,
            complete=play.complete,
        )
