"""Carries blocks to the players: asks each content's carousel in turn, reads the block, publishes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from hub.api import Clock, Log
from plugins.videotron.broker import Link
from plugins.videotron.carousel import Carousel, Send
from plugins.videotron.contents import Content
from plugins.videotron.offers import Offer
from plugins.videotron.protocol import FLUSH_INDEX, Block, Report, Topics, encode_block, tag_of


@dataclass(slots=True)
class Transfer:
    content: Content
    carousel: Carousel


@dataclass(slots=True, kw_only=True)
class Uplink:
    """What this hub has sent since it started: the measure of fan-out."""

    bytes: int = 0
    group_blocks: int = 0
    unicast_blocks: int = 0


class Sender:
    def __init__(
        self,
        *,
        topics: Topics,
        window_bytes: int,
        hold_off_s: float,
        clock: Clock,
        log: Log,
        upload_limit_kbps: int = 0,
    ) -> None:
        self._topics = topics
        self._window_bytes = window_bytes
        self._hold_off_s = hold_off_s
        self._clock = clock
        self._log = log
        self._transfers: dict[str, Transfer] = {}
        self._wake = asyncio.Event()
        self.uplink = Uplink()

    def offer(self, offers: Iterable[Offer]) -> None:
        """Serve these contents and no others; transfers that go on are not disturbed."""
        offered = {offer.content.cid: offer.content for offer in offers}
        for cid in self._transfers.keys() - offered.keys():
            del self._transfers[cid]
        for cid in offered.keys() - self._transfers.keys():
            self._transfers[cid] = Transfer(offered[cid], self._carousel(offered[cid]))

    def report(self, cid: str, player: str, report: Report) -> None:
        """Take in what a player has of a content. One that is not offered is ignored."""
        if transfer := self._transfers.get(cid):
            transfer.carousel.report(player, report, self._clock.monotonic())
            self._wake.set()

    def blocks_of(self, cid: str) -> int | None:
        """How many blocks an offered content has."""
        transfer = self._transfers.get(cid)
        return transfer.content.blocks.n if transfer else None

    def fetching(self) -> dict[str, int]:
        """By player: how many contents it is fetching now."""
        counts: dict[str, int] = {}
        for transfer in self._transfers.values():
            for player in transfer.carousel.needers():
                counts[player] = counts.get(player, 0) + 1
        return counts

    def progress(self) -> dict[str, tuple[int, int]]:
        """By player: blocks it holds and blocks in all, of what it is fetching now."""
        sums: dict[str, tuple[int, int]] = {}
        for transfer in self._transfers.values():
            for player, held, blocks in transfer.carousel.progress():
                before = sums.get(player, (0, 0))
                sums[player] = (before[0] + held, before[1] + blocks)
        return sums

    async def run(self, link: Link) -> None:
        """Send for one session with the broker. Raises: Disconnected."""
        for transfer in self._transfers.values():
            transfer.carousel.reset()
        while True:
            await link.slot()
            link.send_block(*await self._next_frame())

    async def _next_frame(self) -> tuple[str, bytes]:
        while True:
            transfer, send = await self._next()
            try:
                return self._topic(transfer, send), await self._frame(transfer, send)
            except OSError as error:  # this file alone; the others go on, and the next reconcile offers it again
                self._log.error("content_was_unreadable", path=str(transfer.content.path), reason=str(error))
                self._transfers.pop(transfer.content.cid, None)

    async def _next(self) -> tuple[Transfer, Send]:
        """The next thing to send, contents taking turns; waits until there is one."""
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            for cid, transfer in list(self._transfers.items()):
                if send := transfer.carousel.next_send(now):
                    self._transfers[cid] = self._transfers.pop(cid)  # to the end: the others come first next time
                    return transfer, send
            await self._sleep(now)

    async def _sleep(self, now: float) -> None:
        """Until a report comes, or a carousel wants to be asked again."""
        times = [t for t in (transfer.carousel.wake_at(now) for transfer in self._transfers.values()) if t is not None]
        try:
            async with asyncio.timeout(max(0.0, min(times) - now) if times else None):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _frame(self, transfer: Transfer, send: Send) -> bytes:
        content = transfer.content
        data = b"" if send.index == FLUSH_INDEX else await asyncio.to_thread(content.read, send.index)
        self._count(send, len(data))
        return encode_block(
            Block(
                flags=send.flag,
                tag=tag_of(content.cid),
                index=send.index,
                sequence=send.sequence,
                sent_ms=int(self._clock.monotonic() * 1000),
                data=data,
            )
        )

    def _count(self, send: Send, size: int) -> None:
        self.uplink.bytes += size
        if send.player is None:
            self.uplink.group_blocks += size > 0
        else:
            self.uplink.unicast_blocks += size > 0

    def _topic(self, transfer: Transfer, send: Send) -> str:
        if send.player is None:
            return self._topics.group(transfer.content.cid)
        return self._topics.unicast(send.player)

    def _carousel(self, content: Content) -> Carousel:
        window = self._window_bytes // content.blocks.block_bytes
        return Carousel(blocks=content.blocks.n, window=window, hold_off_s=self._hold_off_s)
