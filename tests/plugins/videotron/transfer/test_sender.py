"""What goes out first, to whom, how fast: the sender with contents on a disk and a link that only takes frames."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.api.files import sha256_of
from plugins.videotron.protocol import Block, Report, ReportFlag, Topics, decode_block, tag_of
from plugins.videotron.transfer.contents import Content, cut
from plugins.videotron.transfer.offers import Offer
from plugins.videotron.transfer.sender import Pace, Sender, Sent

BLOCK = 4096


@dataclass
class Outbox:
    """Takes what is sent; `room` blocks may be on their way."""

    room: int = 1000
    largest: int | None = None
    sent: list[tuple[str, Block]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    times: list[float] = field(default_factory=list)

    async def slot(self) -> None:
        while len(self.sent) >= self.room:
            self.came.clear()
            await self.came.wait()

    def send_block(self, topic: str, frame: bytes) -> None:
        self.sent.append((topic, decode_block(frame)))
        self.times.append(asyncio.get_running_loop().time())
        self.came.set()

    def blocks(self) -> list[tuple[str, int]]:
        return [(topic, block.index) for topic, block in self.sent if not block.is_flush]


class LoopClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Night:
    """Only what is urgent may be fetched."""

    def may_fetch(self, player: str, *, urgent: bool) -> bool:
        return urgent

    def is_slow(self, player: str) -> bool:
        return False


def film(folder: Path, name: str, blocks: int) -> Content:
    path = folder / name
    path.write_bytes(random.Random(name).randbytes(blocks * BLOCK))
    return cut(path, sha256_of(path), BLOCK, "site")


def make(**changes: Any) -> Sender:
    pace = Pace(window_bytes=64 * BLOCK, hold_off_s=0, upload_limit_kbps=changes.pop("upload_limit_kbps", 0))
    return Sender(topics=Topics(), pace=pace, clock=LoopClock(), log=structlog.get_logger(), **changes)


def lacks(content: Content, have: int = 0, **changes: Any) -> Report:
    facts = {"flags": ReportFlag.IN_GROUP, "group_sequence": 0, "unicast_sequence": 0, "boot": 1, **changes}
    return Report(blocks=content.blocks.n, have=have, **facts)


async def run_until(sender: Sender, outbox: Outbox, true: Callable[[], object]) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(sender.run(outbox))  # type: ignore[arg-type]
        await asyncio.sleep(0)  # it forgets at its beginning whoever reported before
        yielded = group.create_task(_watch(outbox, true))
        await yielded
        task.cancel()


async def _watch(outbox: Outbox, true: Callable[[], object]) -> None:
    while not true():
        outbox.came.clear()
        await outbox.came.wait()


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


async def serve(sender: Sender, outbox: Outbox, reports: list[tuple[Content, str]], count: int) -> None:
    """These players report, and so many blocks go out."""

    def enough() -> bool:
        if not outbox.sent and reports:
            for content, player in reports:
                sender.report(content.cid, player, lacks(content))
            reports.clear()
        return len(outbox.blocks()) >= count

    await run_until(sender, outbox, enough)


async def test_an_urgent_file_goes_before_a_large_one_that_began_first(tmp_path: Path, outbox: Outbox) -> None:
    large, small = film(tmp_path, "large", 40), film(tmp_path, "small", 4)
    sender = make()
    sender.offer([Offer(content=large)])
    outbox.room = 10

    def enough() -> bool:
        if not outbox.sent:
            sender.report(large.cid, "a", lacks(large))
        if len(outbox.blocks()) == 10:  # now somebody declares an emergency
            sender.offer([Offer(content=large), Offer(content=small, urgent=True)])
            sender.report(small.cid, "a", lacks(small))
            outbox.room = 1000
            outbox.came.set()
        return len(outbox.blocks()) >= 20

    await run_until(sender, outbox, enough)

    urgent = [at for at, (topic, _) in enumerate(outbox.blocks()) if small.cid in topic]
    assert len(urgent) == 4
    assert max(urgent) <= 15  # one of the large file's may have been chosen before


async def test_files_of_equal_rank_take_turns(tmp_path: Path, outbox: Outbox) -> None:
    films = [film(tmp_path, name, 20) for name in "abc"]
    sender = make()
    sender.offer([Offer(content=content) for content in films])

    await serve(sender, outbox, [(content, "p") for content in films], 30)

    for content in films:
        assert sum(content.cid in topic for topic, _ in outbox.blocks()[:30]) == 10


async def test_blocks_of_all_files_on_their_way_to_a_player_count_together(tmp_path: Path) -> None:
    films = [film(tmp_path, f"film-{number}", 100) for number in range(8)]
    sender, outbox = make(), Outbox()
    sender.offer([Offer(content=content) for content in films])

    def ended() -> bool:
        if not outbox.sent:
            for content in films:
                sender.report(content.cid, "p", lacks(content))
        return any(block.is_flush for _, block in outbox.sent)

    sender.report(films[0].cid, "p", lacks(films[0]))
    await run_until(sender, outbox, ended)

    assert 64 <= len(outbox.blocks()) <= 64 + 2 * len(films)


async def test_outside_its_window_a_player_is_sent_only_what_is_urgent(tmp_path: Path, outbox: Outbox) -> None:
    usual, urgent = film(tmp_path, "usual", 4), film(tmp_path, "urgent", 4)
    sender = make(rules=Night())
    sender.offer([Offer(content=usual), Offer(content=urgent, urgent=True)])

    await serve(sender, outbox, [(usual, "p"), (urgent, "p")], 4)

    assert {block.tag for _, block in outbox.sent} == {tag_of(urgent.cid)}
    assert sender.fetching() == {"p": 1}


async def test_the_upload_limit_is_kept(tmp_path: Path, outbox: Outbox) -> None:
    content = film(tmp_path, "film", 60)
    sender = make(upload_limit_kbps=60 * BLOCK * 8 // 1000)  # 60 blocks a second
    sender.offer([Offer(content=content)])

    await serve(sender, outbox, [(content, "p")], 45)

    took = outbox.times[44] - outbox.times[0]
    assert 0.4 < took < 2  # 45 blocks less a burst of 15, and what a busy machine adds


async def test_nothing_is_sent_that_the_broker_does_not_take(tmp_path: Path, outbox: Outbox) -> None:
    content = film(tmp_path, "film", 3)
    sender = make()
    sender.offer([Offer(content=content)])
    outbox.largest = BLOCK

    async def report_for_a_while() -> None:
        await asyncio.sleep(0)
        for _ in range(5):
            sender.report(content.cid, "p", lacks(content))
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(sender.run(outbox))  # type: ignore[arg-type]
        await group.create_task(report_for_a_while())
        task.cancel()

    assert outbox.sent == []


async def test_a_file_that_vanishes_stops_its_own_transfer_alone(tmp_path: Path, outbox: Outbox) -> None:
    gone, kept = film(tmp_path, "gone", 4), film(tmp_path, "kept", 4)
    sender = make()
    sender.offer([Offer(content=gone), Offer(content=kept)])
    gone.path.unlink()

    await serve(sender, outbox, [(gone, "p"), (kept, "p")], 4)

    assert [kept.cid in topic for topic, _ in outbox.blocks()] == [True] * 4
    assert sender.blocks_of(gone.cid) is None
    assert sender.blocks_of(kept.cid) == 4


async def test_what_is_sent_is_told_with_who_gets_it(tmp_path: Path, outbox: Outbox) -> None:
    content = film(tmp_path, "film", 1)
    told: list[Sent] = []
    sender = make(on_sent=told.append)
    sender.offer([Offer(content=content, items=("IP-1",))])

    await serve(sender, outbox, [(content, "a"), (content, "b")], 1)

    assert (told[0].players, told[0].size, told[0].alone) == (["a", "b"], BLOCK, False)
    assert told[0].offer.items == ("IP-1",)


async def test_what_is_no_longer_offered_is_remembered_for_late_reports(tmp_path: Path) -> None:
    content = film(tmp_path, "film", 1)
    sender = make()
    sender.offer([Offer(content=content)])
    sender.offer([])

    assert sender.knows(content.cid)
    assert not sender.knows("0" * 32)


async def test_before_its_first_offer_a_hub_that_was_killed_calls_no_report_one_of_nothing() -> None:
    sender = make()
    assert sender.knows("0" * 32)

    sender.offer([])

    assert not sender.knows("0" * 32)
