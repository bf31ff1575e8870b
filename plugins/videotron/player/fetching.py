"""Films on their way: takes block lists and blocks, says what is held. A report is the request; there is no other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hub.api.errors import HubError
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.store import Part, Store
from plugins.videotron.protocol import (
    Attack,
    Block,
    BlockFlag,
    BlockList,
    File,
    Refused,
    Report,
    ReportFlag,
    decode_block,
    tag_of,
)

REPORT_EVERY_BLOCKS = 8
REPORT_DIRTY_S = 0.3
REPORT_IDLE_S = 2.0
REPORT_AT_LEAST_S = 0.05  # between two that only flush markers ask for
RETRY_S = 30.0
RATE_OVER_S = 30.0
QUICK_S = 0.02
THREADS_FOR_S = 10.0


@dataclass(slots=True, kw_only=True)
class _Fetch:
    file: File
    blocks: BlockList | None = None
    part: Part | None = None
    group_sequence: int = 0
    unicast_sequence: int = 0
    unreported: int = 0
    report_now: bool = True
    flushed: bool = False
    reported_at: float = float("-inf")
    retry_at: float = 0.0  # monotonic; before it nothing is tried with the disk
    trouble: str = ""
    bad_blocks: int = 0

    def is_due(self, now: float) -> bool:
        since = now - self.reported_at
        return (
            self.report_now
            or self.unreported >= REPORT_EVERY_BLOCKS
            or (self.flushed and since >= REPORT_AT_LEAST_S)
            or (self.unreported > 0 and since >= REPORT_DIRTY_S)
            or since >= REPORT_IDLE_S
        )

    def note_sequence(self, block: Block) -> None:
        if block.flags & BlockFlag.GROUP:
            self.group_sequence = block.sequence
        elif block.flags & BlockFlag.UNICAST:
            self.unicast_sequence = block.sequence

    def report(self, part: Part, boot: int, flags: ReportFlag) -> Report:
        return Report(
            flags=flags,
            blocks=part.blocks.n,
            group_sequence=self.group_sequence,
            unicast_sequence=self.unicast_sequence,
            boot=boot,
            have=part.have,
        )


class Fetching:
    """The films that are wanted and not here yet; `on_done` is told of each that is whole, checked and durable."""

    def __init__(
        self,
        *,
        store: Store,
        boot: int,
        clock: Clock,
        log: Log,
        on_done: Callable[[Report, str], None],
        judge: Callable[[bytes, File], BlockList],
    ) -> None:
        """`judge` gives the block list in a payload if it is signed and that of this file, else raises WireError."""
        self._judge = judge
        self._store = store
        self._boot = boot
        self._clock = clock
        self._log = log
        self._on_done = on_done
        self._fetches: dict[str, _Fetch] = {}
        self._threads_until = 0.0  # the disk or the processor is slow: the loop must not wait for it
        self._disk = asyncio.Lock()  # a part is never closed while a block is being written to it
        self.written = 0  # blocks, since start
        self.received = 0  # bytes of blocks, since start
        self._lately: deque[tuple[float, int]] = deque()  # when, and how many bytes

    @property
    def wanted(self) -> frozenset[str]:
        """The content ids to be subscribed to now: not those of which the time has not come, or the disk is full."""
        now, tick = self._clock.now(), self._clock.monotonic()
        return frozenset(
            cid for cid, fetch in self._fetches.items() if _may_begin(fetch.file, now) and tick >= fetch.retry_at
        )

    @property
    def troubles(self) -> list[str]:
        return [f.trouble for f in self._fetches.values() if f.trouble]

    @property
    def held(self) -> int:
        """Blocks that are here of what is being fetched."""
        return sum(fetch.part.have.bit_count() for fetch in self._fetches.values() if fetch.part is not None)

    async def want(self, files: Mapping[str, File]) -> None:
        """Fetch these and no others; what is already here of one that left stays on the disk until it is swept."""
        async with self._disk:
            for cid in self._fetches.keys() - files.keys():
                self._close(self._fetches.pop(cid))
            for cid, file in files.items():
                self._fetches.setdefault(cid, _Fetch(file=file)).file = file

    async def take_list(self, cid: str, payload: bytes) -> None:
        """A block list has come. Raises: WireError when it is not that of the film in the manifest."""
        fetch = self._fetches.get(cid)
        if fetch is None or not payload:
            return
        blocks = self._judge(payload, fetch.file)
        if fetch.blocks != blocks:
            async with self._disk:
                self._close(fetch)
            fetch.blocks = blocks
        await self._open(fetch)

    async def take_block(self, cid: str, frame: bytes) -> None:
        """A block has come, for one content or (cid "") for this player alone; kept when its hash is right.

        Raises: WireError when it is none, or fits nowhere.
        """
        block = decode_block(frame)
        self._count(len(block.data))
        meant = [self._fetches[cid]] if cid in self._fetches else [] if cid else self._tagged(block.tag)
        if block.is_flush:
            for fetch in meant:
                fetch.note_sequence(block)
                fetch.flushed = True
            return
        kept = [await self._keep(fetch, block) for fetch in meant]
        if meant and not any(kept) and all(fetch.part is not None for fetch in meant):
            for fetch in meant:
                fetch.bad_blocks += 1
            raise Refused(Attack.WRONG_BLOCK, f"block {block.index} of {meant[0].file.cid} does not have its hash")

    async def retry(self) -> None:
        """Try again what the disk refused a while ago."""
        for fetch in list(self._fetches.values()):
            if fetch.trouble and fetch.blocks is not None and self._clock.monotonic() >= fetch.retry_at:
                await self._open(fetch)

    @property
    def due(self) -> bool:
        """Whether a report should be sent now."""
        tick = self._clock.monotonic()
        return any(fetch.part is not None and fetch.is_due(tick) for fetch in self._fetches.values())

    def due_reports(self) -> Iterable[tuple[str, Report]]:
        """The reports to send now, by content id."""
        tick, now = self._clock.monotonic(), self._clock.now()
        for cid, fetch in self._fetches.items():
            if fetch.part is not None and fetch.is_due(tick) and _may_begin(fetch.file, now):
                fetch.report_now, fetch.flushed, fetch.unreported, fetch.reported_at = False, False, 0, tick
                yield cid, fetch.report(fetch.part, self._boot, ReportFlag.IN_GROUP)

    def report_all(self, *, forget_sequences: bool) -> None:
        """Report everything at the next occasion; after a new epoch of the hub its streams count from the start."""
        for fetch in self._fetches.values():
            fetch.report_now = True
            if forget_sequences:
                fetch.group_sequence = fetch.unicast_sequence = 0

    @property
    def received_per_s(self) -> int:
        """Bytes of blocks a second, over the last half minute."""
        self._count(0)
        return int(sum(size for _, size in self._lately) / RATE_OVER_S)

    def _count(self, size: int) -> None:
        now = self._clock.monotonic()
        self.received += size
        if size:
            self._lately.append((now, size))
        while self._lately and self._lately[0][0] < now - RATE_OVER_S:
            self._lately.popleft()

    async def close(self) -> None:
        async with self._disk:
            for fetch in self._fetches.values():
                self._close(fetch)

    async def _open(self, fetch: _Fetch) -> None:
        if fetch.part is not None or fetch.blocks is None or self._clock.monotonic() < fetch.retry_at:
            return None
        async with self._disk:
            try:
                fetch.part = await asyncio.to_thread(self._store.open_part, fetch.blocks)
            except (HubError, OSError) as error:
                return self._set_back(fetch, error)
            fetch.trouble, fetch.report_now = "", True
            held = fetch.part.have.bit_count()
            self._log.info("fetch_began", cid=fetch.file.cid, blocks=fetch.blocks.n, held=held)
        if fetch.part.complete:
            await self._finish(fetch)
        return None

    async def _keep(self, fetch: _Fetch, block: Block) -> bool:
        """Whether the block belongs to this film; it is on the disk then, and only then counts as seen."""
        async with self._disk:
            part = fetch.part
            if part is None:
                return False
            try:
                new = not part.holds(block.index)
                kept = await self._put(part, block)
            except OSError as error:
                self._set_back(fetch, error)
                return True
            fetch.note_sequence(block)
            fetch.unreported += kept
            self.written += kept and new
        if part.complete:
            await self._finish(fetch)
        return kept

    async def _put(self, part: Part, block: Block) -> bool:
        """At once while that is quick: for half a millisecond of hashing a thread would cost as much again."""
        began = self._clock.monotonic()
        if began < self._threads_until:
            return await asyncio.to_thread(part.put, block.index, block.data)
        kept = part.put(block.index, block.data)
        ended = self._clock.monotonic()
        if ended - began > QUICK_S:
            self._threads_until = ended + THREADS_FOR_S
        return kept

    async def _finish(self, fetch: _Fetch) -> None:
        part = fetch.part
        if part is None:
            return None
        async with self._disk:
            try:
                await asyncio.to_thread(self._store.finish, part)
            except (HubError, OSError) as error:
                return self._set_back(fetch, error)
            fetch.part = None
            if self._fetches.get(fetch.file.cid) is fetch:
                del self._fetches[fetch.file.cid]
        self._log.info("film_fetched", cid=fetch.file.cid, bytes=fetch.file.size, bad_blocks=fetch.bad_blocks)
        done = fetch.report(part, self._boot, ReportFlag.DONE | ReportFlag.LEFT)
        self._on_done(done, fetch.file.sha256)
        return None

    def _set_back(self, fetch: _Fetch, error: Exception) -> None:
        self._close(fetch)
        fetch.retry_at = self._clock.monotonic() + RETRY_S
        fetch.trouble = f"{fetch.file.cid}: {error}"[:300]
        self._log.warning("fetch_set_back", cid=fetch.file.cid, reason=str(error), retry_s=RETRY_S)

    def _close(self, fetch: _Fetch) -> None:
        if fetch.part is not None:
            fetch.part.close()
            fetch.part = None

    def _tagged(self, tag: int) -> list[_Fetch]:
        return [f for cid, f in self._fetches.items() if tag_of(cid) == tag]


def _may_begin(file: File, now: datetime) -> bool:
    after: datetime | None = getattr(file, "fetch_after", None)
    return after is None or now >= after
