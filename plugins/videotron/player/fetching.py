"""Films on their way: takes block lists and blocks, says what is held. A report is the request; there is no other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

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

REPORT_EVERY_BLOCKS = 4
REPORT_DIRTY_S = 0.3
REPORT_IDLE_S = 2.0
RETRY_S = 30.0
RATE_OVER_S = 30.0


@dataclass(slots=True, kw_only=True)
class _Fetch:
    file: File
    blocks: BlockList | None = None
    part: Part | None = None
    group_sequence: int = 0
    unicast_sequence: int = 0
    unreported: int = 0
    report_now: bool = True
    reported_at: float = float("-inf")
    retry_at: float = 0.0  # monotonic; before it nothing is tried with the disk
    trouble: str = ""
    bad_blocks: int = 0


class Fetching:
    """The films that are wanted and not here yet; `on_done` is told of each that is whole, checked and durable."""

    def __init__(
        self,
        *,
        store: Store,
        boot: int,
        judge: Callable[[bytes, File], BlockList],
        clock: Clock,
        log: Log,
        on_done: Callable[[Report, str], None],
    ) -> None:
        """`judge` gives the block list in a payload if it is signed and that of this file, else raises WireError."""
        self._judge = judge
        self._store = store
        self._boot = boot
        self._clock = clock
        self._log = log
        self._on_done = on_done
        self._fetches: dict[str, _Fetch] = {}
        self._disk = asyncio.Lock()  # a part is never closed while a block is being written to it
        self.written = 0  # blocks, since start
        self.received = 0  # bytes of blocks, since start
        self._lately: deque[tuple[float, int]] = deque()  # when, and how many bytes

    @property
    def wanted(self) -> frozenset[str]:
        """The content ids to be subscribed to."""
        return frozenset(self._fetches)

    @property
    def troubles(self) -> list[str]:
        return [f.trouble for f in self._fetches.values() if f.trouble]

    async def want(self, files: Mapping[str, File]) -> None:
        """Fetch these and no others; what is already here of one that left stays on the disk until it is swept."""
        async with self._disk:
            for cid in self._fetches.keys() - files.keys():
                self._close(self._fetches.pop(cid))
            for cid, file in files.items():
                self._fetches.setdefault(cid, _Fetch(file=file))

    async def take_list(self, cid: str, payload: bytes) -> None:
        """A block list has come. Raises: WireError when it is not signed, or not that of the film in the manifest."""
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
        for fetch in meant:
            _note_sequence(fetch, block)
            if block.is_flush:
                fetch.report_now = True
            elif await self._keep(fetch, block):
                return
        if meant and not block.is_flush and all(f.part is not None for f in meant):
            for fetch in meant:
                fetch.bad_blocks += 1
            raise Refused(Attack.WRONG_BLOCK, f"block {block.index} of {meant[0].file.cid} does not have its hash")

    async def retry(self) -> None:
        """Try again what the disk refused a while ago."""
        for fetch in list(self._fetches.values()):
            if fetch.trouble and fetch.blocks is not None and self._clock.monotonic() >= fetch.retry_at:
                await self._open(fetch)

    def due_reports(self) -> Iterable[tuple[str, Report]]:
        """The reports to send now, by content id."""
        now = self._clock.monotonic()
        for cid, fetch in self._fetches.items():
            if fetch.part is not None and _is_due(fetch, now):
                fetch.report_now, fetch.unreported, fetch.reported_at = False, 0, now
                yield cid, self._report(fetch, fetch.part, ReportFlag.IN_GROUP)

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
        """Whether the block belongs to this film; it is on the disk then."""
        async with self._disk:
            part = fetch.part
            if part is None or not part.fits(block.index, block.data):
                return False
            fetch.unreported += 1
            if part.holds(block.index):
                return True
            try:
                await asyncio.to_thread(part.write, block.index, block.data)
            except OSError as error:
                self._set_back(fetch, error)
                return True
            self.written += 1
        if part.complete:
            await self._finish(fetch)
        return True

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
        done = self._report(fetch, part, ReportFlag.DONE | ReportFlag.LEFT)
        self._on_done(done, fetch.file.sha256)
        return None

    def _set_back(self, fetch: _Fetch, error: Exception) -> None:
        self._close(fetch)
        fetch.retry_at = self._clock.monotonic() + RETRY_S
        fetch.trouble = f"{fetch.file.cid[:12]}: {error}"[:300]
        self._log.warning("fetch_set_back", cid=fetch.file.cid, reason=str(error), retry_s=RETRY_S)

    def _close(self, fetch: _Fetch) -> None:
        if fetch.part is not None:
            fetch.part.close()
            fetch.part = None

    def _tagged(self, tag: int) -> list[_Fetch]:
        return [f for cid, f in self._fetches.items() if tag_of(cid) == tag]

    def _report(self, fetch: _Fetch, part: Part, flags: ReportFlag) -> Report:
        return Report(
            flags=flags,
            blocks=part.blocks.n,
            group_sequence=fetch.group_sequence,
            unicast_sequence=fetch.unicast_sequence,
            boot=self._boot,
            have=part.have,
        )


def _note_sequence(fetch: _Fetch, block: Block) -> None:
    if block.flags & BlockFlag.GROUP:
        fetch.group_sequence = block.sequence
    elif block.flags & BlockFlag.UNICAST:
        fetch.unicast_sequence = block.sequence


def _is_due(fetch: _Fetch, now: float) -> bool:
    since = now - fetch.reported_at
    return (
        fetch.report_now
        or fetch.unreported >= REPORT_EVERY_BLOCKS
        or (fetch.unreported > 0 and since >= REPORT_DIRTY_S)
        or since >= REPORT_IDLE_S
    )
