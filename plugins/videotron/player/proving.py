"""Brings every playback to the hub: recorded first, sent in batches, sent again until acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime

from plugins.videotron.player.playback import Clip, Play
from plugins.videotron.player.ports import Log
from plugins.videotron.player.proof import Ended, ProofLog, Shown
from plugins.videotron.protocol import ProofAck, Signs, encode_signed
from plugins.videotron.protocol.chain import Result

SEND_AGAIN_S = 10.0
RECORD_AGAIN_S = 5.0
GATHER_S = 0.2  # the end of one film and the beginning of the next are one write to the disk


class Proving:
    """`publish` says whether the broker took the batch; only a `ProofAck` of the hub ends its repetition."""

    def __init__(
        self,
        *,
        proofs: ProofLog,
        player: str,
        identity: Signs,
        publish: Callable[[bytes], Awaitable[bool]],
        log: Log,
        clock_behind: Callable[[], bool] = lambda: False,
        send_again_s: float = SEND_AGAIN_S,
    ) -> None:
        """`clock_behind`: whether the time that plays are given is a floor, since the machine has no clock."""
        self._proofs = proofs
        self._player = player
        self._identity = identity
        self._publish = publish
        self._log = log
        self._clock_behind = clock_behind
        self._send_again_s = send_again_s
        self._events: deque[Shown | Ended] = deque()
        self._writer = threading.Lock()
        self._happened = asyncio.Event()
        self._recorded = asyncio.Event()
        self._answered = asyncio.Event()
        self.trouble = proofs.trouble

    def began(self, clip: Clip, started_at: datetime) -> None:
        """A film's first picture is on the screen; should its end never be seen, it is proved as unknown."""
        self._happen(self._shown(clip, started_at))

    def played(self, play: Play) -> None:
        """A playback has ended; it is recorded in its turn, without holding up the screen."""
        shown, result = self._shown(play.clip, play.started_at), Result(play.result)
        self._happen(Ended(shown=shown, seconds=play.seconds, result=result, reason=play.reason))

    def wake(self) -> None:
        """There is a connection again, or another run of the hub: send what waits."""
        self._answered.set()

    async def take_ack(self, ack: ProofAck) -> None:
        """The hub has these: forget them, send the next. `ack` was signed by the hub, the caller has seen to that."""
        if ack.player != self._player:
            return
        chain = self._proofs.chain
        try:
            forgotten = await asyncio.to_thread(self._proofs.forget, ack)
        except sqlite3.Error as error:  # they are sent again, and acknowledged again
            self._log.error("proofs_not_forgotten", reason=str(error))
            return
        if self._proofs.chain != chain:
            self._log.error("proofs_begun_anew", reason="the record was older than what the hub has", before=chain)
        elif not forgotten:
            return
        self._answered.set()

    async def run_recorder(self) -> None:
        """Write down what happens until cancelled."""
        while True:
            await self._happened.wait()
            await asyncio.sleep(GATHER_S)
            self._happened.clear()
            try:
                await asyncio.to_thread(self._write)
            except sqlite3.Error as error:
                self.trouble = f"plays cannot be recorded: {error}"
                self._log.error("proof_not_recorded", reason=str(error))
                self._happened.set()
                await asyncio.sleep(RECORD_AGAIN_S)
                continue
            self._recorded.set()

    async def run_sender(self) -> None:
        """Send what the hub has not acknowledged until cancelled: a batch, then its answer, then the next."""
        while True:
            self._recorded.clear()
            self._answered.clear()
            if await self._send():
                await _within(self._send_again_s, self._answered)
            else:
                await self._recorded.wait()

    def record_rest(self) -> None:
        """At the end: write down what still waits. Blocks."""
        with contextlib.suppress(sqlite3.Error):  # nothing more can be done: the process is about to end
            self._write()

    async def _send(self) -> bool:
        """Whether something waits for the hub's answer now."""
        try:
            batch = await asyncio.to_thread(self._proofs.next_batch, self._player)
        except sqlite3.Error as error:
            self._log.error("proofs_not_read", reason=str(error))
            return True  # look again after a while
        if batch is not None:
            await self._publish(encode_signed(batch, self._identity))
        return batch is not None

    def _shown(self, clip: Clip, started_at: datetime) -> Shown:
        return Shown(
            item=clip.item,
            title=clip.title,
            sha256=clip.sha256,
            epoch=clip.epoch,
            manifest=clip.manifest,
            started_at=started_at,
            clock_behind=self._clock_behind(),
        )

    def _happen(self, event: Shown | Ended) -> None:
        self._events.append(event)
        self._happened.set()

    def _write(self) -> None:
        """Record all that waits. At the end of the process a second thread may come: it finds what is left."""
        with self._writer:
            while events := list(self._events):
                kept = self._proofs.record(events)
                for _ in events:
                    self._events.popleft()
                full = f"no room for plays, {self._proofs.lost} lost: the hub has not taken the older ones"
                self.trouble = self._proofs.trouble if kept else full


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
