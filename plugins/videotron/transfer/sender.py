"""Carries blocks to the players: asks each content's carousel in turn, reads the block, sends it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from hub.api import Clock, Log
from plugins.videotron.broker import FRAME_ROOM, Link
from plugins.videotron.bucket import Bucket
from plugins.videotron.protocol import FLUSH_INDEX, Block, Report, Topics, encode_block, tag_of
from plugins.videotron.transfer.carousel import Carousel, Send
from plugins.videotron.transfer.contents import Content, ReadAhead
from plugins.videotron.transfer.offers import Offer
from plugins.videotron.transfer.streams import Pipe

URGENT_HOLD_OFF_S = 0.2
REMEMBERED = 200


class Rules(Protocol):
    """What may travel to which player, and when."""

    def may_fetch(self, player: str, *, urgent: bool) -> bool: ...
    def is_slow(self, player: str) -> bool: ...


class Unruled:
    """Every player may fetch everything now, over a good link."""

    def may_fetch(self, player: str, *, urgent: bool) -> bool:
        return True

    def is_slow(self, player: str) -> bool:
        return False


@dataclass(slots=True)
class Transfer:
    offer: Offer
    carousel: Carousel
    ahead: ReadAhead

    @property
    def content(self) -> Content:
        return self.offer.content


@dataclass(slots=True, kw_only=True)
class Uplink:
    """What this hub has sent since it started: the measure of fan-out."""

    bytes: int = 0
    group_blocks: int = 0
    unicast_blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One block has gone out, to one player or to all of a group."""

    offer: Offer
    players: list[str]
    size: int
    alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much may be on its way, and how fast."""

    window_bytes: int
    hold_off_s: float
    upload_limit_kbps: int = 0


class Sender:
    def __init__(
        self,
        *,
        topics: Topics,
        pace: Pace,
        clock: Clock,
        log: Log,
        rules: Rules | None = None,
        on_sent: Callable[[Sent], None] | None = None,
    ) -> None:
        self._topics = topics
        self._pace = pace
        self._clock = clock
        self._log = log
        self._rules = rules or Unruled()
        self._on_sent = on_sent
        self._transfers: dict[str, Transfer] = {}
        self._pipes: dict[str, Pipe] = {}
        self._bucket = Bucket(pace.upload_limit_kbps * 125)
        self._wake = asyncio.Event()
        self._largest: int | None = None  # message that the broker takes
        self._has_offered = False
        self._gone: deque[str] = deque(maxlen=REMEMBERED)  # offered before: players may still report on them
        self.uplink = Uplink()

    def offer(self, offers: Iterable[Offer]) -> None:
        """Serve these contents and no others; transfers that go on are not disturbed."""
        self._has_offered = True
        offered = {offer.content.cid: offer for offer in offers}
        for cid in self._transfers.keys() - offered.keys():
            self._transfers.pop(cid).carousel.reset()
            self._gone.append(cid)
        for cid, offer in offered.items():
            known = self._transfers.get(cid)
            if known is None or known.content != offer.content:
                self._begin(offer)
            elif known.offer != offer:
                known.offer = offer
                known.carousel.expect(offer.players)

    def report(self, cid: str, player: str, report: Report) -> None:
        """Take in what a player has of a content. One that is not offered, or not to be fetched now, is ignored."""
        transfer = self._transfers.get(cid)
        if transfer is None:
            return
        if self._rules.may_fetch(player, urgent=transfer.offer.urgent):
            pipe = self._pipes.setdefault(player, Pipe(slow=self._rules.is_slow(player)))
            transfer.carousel.report(player, report, self._clock.monotonic(), pipe)
            self._wake.set()
        else:
            transfer.carousel.forget(player)

    def knows(self, cid: str) -> bool:
        """Whether this content is offered, or was lately; a hub that has just started cannot tell yet, and says so."""
        return not self._has_offered or cid in self._transfers or cid in self._gone

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
        self._largest = link.largest
        while True:
            await link.slot()
            await asyncio.sleep(self._bucket.wait_s(self._clock.monotonic()))
            link.send_block(*await self._next_frame())

    def _begin(self, offer: Offer) -> None:
        blocks, pace = offer.content.blocks, self._pace
        self._transfers[offer.content.cid] = Transfer(
            offer=offer,
            carousel=Carousel(
                blocks=blocks.n,
                window=pace.window_bytes // blocks.block_bytes,
                hold_off_s=min(pace.hold_off_s, URGENT_HOLD_OFF_S) if offer.urgent else pace.hold_off_s,
                expected=offer.players,
            ),
            ahead=ReadAhead(offer.content),
        )

    async def _next_frame(self) -> tuple[str, bytes]:
        while True:
            transfer, send = await self._next()
            try:
                return self._topic(transfer, send), await self._frame(transfer, send)
            except OSError as error:  # this file alone; the others go on, and the next reconcile offers it again
                self._log.error("content_was_unreadable", path=str(transfer.content.path), reason=str(error))
                transfer.carousel.reset()
                self._transfers.pop(transfer.content.cid, None)

    async def _next(self) -> tuple[Transfer, Send]:
        """The next thing to send: what is urgent first, then contents taking turns; waits until there is one."""
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            for transfer in sorted(self._carried(), key=lambda one: not one.offer.urgent):
                if send := transfer.carousel.next_send(now):
                    cid = transfer.content.cid
                    self._transfers[cid] = self._transfers.pop(cid)  # to the end: the others come first next time
                    return transfer, send
            await self._sleep(now)

    async def _sleep(self, now: float) -> None:
        """Until a report comes, or a carousel wants to be asked again."""
        times = [t for t in (transfer.carousel.wake_at(now) for transfer in self._carried()) if t is not None]
        try:
            async with asyncio.timeout(max(0.0, min(times) - now) if times else None):
                await self._wake.wait()
        except TimeoutError:
            return

    def _carried(self) -> list[Transfer]:
        """The transfers under way of which the broker takes the blocks."""
        return [
            transfer
            for transfer in self._transfers.values()
            if transfer.carousel.busy
            and (self._largest is None or transfer.content.blocks.block_bytes + FRAME_ROOM <= self._largest)
        ]

    async def _frame(self, transfer: Transfer, send: Send) -> bytes:
        content = transfer.content
        data = b"" if send.index == FLUSH_INDEX else await transfer.ahead.read(send.index)
        self._count(transfer, send, len(data))
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

    def _count(self, transfer: Transfer, send: Send, size: int) -> None:
        if not size:
            return
        alone = send.player is not None
        self._bucket.take(size)
        self.uplink.bytes += size
        self.uplink.unicast_blocks += alone
        self.uplink.group_blocks += not alone
        if self._on_sent:
            players = [send.player] if send.player is not None else transfer.carousel.group()
            self._on_sent(Sent(offer=transfer.offer, players=players, size=size, alone=alone))

    def _topic(self, transfer: Transfer, send: Send) -> str:
        if send.player is None:
            return self._topics.group(transfer.content.cid)
        return self._topics.unicast(send.player)
