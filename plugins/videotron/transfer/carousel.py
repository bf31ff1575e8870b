"""Which block of one content to send next, and to whom. Pure: time comes in, decisions go out.

Receivers drive it: a player's report of what it has *is* its request. The hub alone chooses the order: it goes round
the blocks that somebody lacks. A block that many lack goes to the group, one that few lack to each of these alone.
A report "seen up to sequence s" settles every block sent up to s as had or lost, so no block needs a timer.
Measured in research: hub upload 1.00-1.04 of the file for ten players that begin within a second.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from plugins.videotron.protocol import FLUSH_INDEX, BlockFlag, Report, ReportFlag
from plugins.videotron.transfer.streams import Pipe, Stream

FORGET_AFTER_S = 30.0  # a player that reports nothing for so long will report anew when it is back
LOST_AFTER_S = 12.0  # without any progress; longer than a block takes on a poor link, and flush markers are quicker
FLUSH_AFTER_S = 0.15
FLUSH_AGAIN_S = 1.0
GROUP_SHARE = 0.2
AT_LEAST = 2  # blocks of each content may be on their way, however many of others are
LOOK_EVERY_S = 1.0
STRAGGLER, MORE = 0.3, 1.5  # of the hold-off: how long to wait after each newcomer, and at most in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this block (or flush marker) to one player, or with `player` None to the group."""

    player: str | None
    index: int
    sequence: int

    @property
    def flag(self) -> BlockFlag:
        return BlockFlag.GROUP if self.player is None else BlockFlag.UNICAST


@dataclass(slots=True, kw_only=True)
class Needer:
    """A player that lacks blocks of this content."""

    boot: int
    need: int  # bitmap of the blocks it lacks
    in_group: bool
    heard_at: float
    moved_at: float  # when its sequences last changed, or its first unsettled block was sent
    group: Stream
    unicast: Stream
    unicast_last: int
    on_the_way: int = 0  # bitmap of unsettled blocks
    seen: tuple[int, int] = (0, 0)

    @property
    def open(self) -> int:
        """Bitmap of the blocks that it lacks and that are not on their way."""
        return self.need & ~self.on_the_way

    @property
    def pipe(self) -> Pipe:
        return self.group.pipe

    @property
    def waiting(self) -> int:
        """Blocks on their way to this player; those of other contents count, but never keep this one from moving."""
        own = len(self.group) + len(self.unicast)
        return own if own < AT_LEAST else self.pipe.waiting

    def give_up(self) -> None:
        """What is on its way counts as lost."""
        self.on_the_way = 0
        self.group.clear()
        self.unicast.clear()

    def depart(self, index: int, now: float) -> None:
        """Block `index` is on its way from now on."""
        if not self.on_the_way:
            self.moved_at = now
        self.on_the_way |= 1 << index


class Carousel:
    """The transfer of one content of `blocks` blocks to all players that lack some of it.

    The sending begins `hold_off_s` after the first of them; a little later while more come; at once when all of
    `expected` have reported.
    """

    def __init__(self, *, blocks: int, window: int, hold_off_s: float, expected: Collection[str] = ()) -> None:
        self._blocks = blocks
        self._window = max(1, window)  # in blocks
        self._hold_off_s = hold_off_s
        self._expected = frozenset(expected)
        self._complete: set[str] = set()  # players that have said so
        self._look_at = 0.0  # for those that have gone
        self._needers: dict[str, Needer] = {}
        self._cursor = 0
        self._group_last = _fresh_sequence()
        self._begins_at = self._begins_by = 0.0
        self._flush_at: float | None = None
        self._queue: list[Send] = []  # the same block, or the flush markers, to a few players one after the other

    @property
    def busy(self) -> bool:
        return bool(self._needers)

    def needers(self) -> Iterator[str]:
        return iter(self._needers)

    def group(self) -> list[str]:
        """Who gets what is sent to the group."""
        return [player for player, needer in self._needers.items() if needer.in_group]

    def expect(self, players: Collection[str]) -> None:
        """These should come to hold the content."""
        self._expected = frozenset(players)

    def progress(self) -> Iterator[tuple[str, int, int]]:
        """(player, blocks it holds, blocks in all) of each player that lacks some."""
        for player, needer in self._needers.items():
            yield player, self._blocks - needer.need.bit_count(), self._blocks

    def report(self, player: str, report: Report, now: float, pipe: Pipe) -> None:
        """Take in what a player has. A report about another number of blocks is ignored."""
        if report.blocks != self._blocks:
            return
        need = ((1 << self._blocks) - 1) & ~report.have
        if ReportFlag.DONE in report.flags or not need:
            self.forget(player)
            self._complete.add(player)
            return
        self._complete.discard(player)
        needer = self._needers.get(player)
        if needer is None or needer.boot != report.boot:
            needer = self._welcome(player, report, now, pipe)
        needer.heard_at = now
        needer.need = need
        needer.in_group = ReportFlag.IN_GROUP in report.flags
        self._settle(needer, report, now)

    def forget(self, player: str) -> None:
        if needer := self._needers.pop(player, None):
            needer.give_up()
        self._queue = [send for send in self._queue if send.player != player]

    def reset(self) -> None:
        """The broker was lost, and with it all that was on its way: every player reports anew."""
        for player in list(self._needers):
            self.forget(player)
        self._queue.clear()
        self._flush_at = None

    def next_send(self, now: float) -> Send | None:
        """The next block or flush marker to send now, or None: ask again after a report, or at `wake_at`."""
        self._give_up_on_silent(now)
        if not self._needers or self._holds_off(now):
            return None
        if self._queue:
            return self._queue.pop(0)
        send = self._next_block(now)
        if send:
            self._flush_at = now + FLUSH_AFTER_S
            return send
        return self._flush(now)

    def wake_at(self, now: float) -> float | None:
        """When to ask again though no report has come; None = only after a report."""
        if not self._needers:
            return None
        if self._holds_off(now):
            return self._begins_at
        return self._flush_at if self._flush_at and self._flush_at > now else now + FLUSH_AGAIN_S

    def _holds_off(self, now: float) -> bool:
        """Others that need it too will report within moments: send it once for all."""
        if now >= self._begins_at:
            return False
        return not self._expected or not self._expected <= self._needers.keys() | self._complete

    def _welcome(self, player: str, report: Report, now: float, pipe: Pipe) -> Needer:
        self.forget(player)
        if not self._needers:
            self._begins_at, self._begins_by = now + self._hold_off_s, now + MORE * self._hold_off_s
        elif now < self._begins_at:
            self._begins_at = min(self._begins_by, max(self._begins_at, now + STRAGGLER * self._hold_off_s))
        sequence = _fresh_sequence()
        needer = Needer(
            boot=report.boot,
            need=0,
            in_group=False,
            heard_at=now,
            moved_at=now,
            group=Stream(first=self._group_last + 1, pipe=pipe),
            unicast=Stream(first=sequence + 1, pipe=pipe),
            unicast_last=sequence,
        )
        self._needers[player] = needer
        return needer

    def _settle(self, needer: Needer, report: Report, now: float) -> None:
        needer.on_the_way &= ~needer.group.settle(report.group_sequence, self._group_last)
        needer.on_the_way &= ~needer.unicast.settle(report.unicast_sequence, needer.unicast_last)
        needer.on_the_way &= ~report.have
        needer.group.arrived(report.have)
        needer.unicast.arrived(report.have)
        seen = (report.group_sequence, report.unicast_sequence)
        if seen != needer.seen:
            needer.seen, needer.moved_at = seen, now

    def _give_up_on_silent(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        for player, needer in list(self._needers.items()):
            if now - needer.heard_at > FORGET_AFTER_S:
                self.forget(player)
            elif needer.on_the_way and now - needer.moved_at > LOST_AFTER_S:
                needer.give_up()
                needer.moved_at = now

    def _next_block(self, now: float) -> Send | None:
        group = {player: needer for player, needer in self._needers.items() if needer.in_group}
        if group and not self._window_full(list(group.values())):
            index = self._turn(_union(group.values()))
            if index is not None:
                return self._send_where_it_pays(index, group, now)
        for player, needer in self._needers.items():
            if not needer.in_group and needer.open and needer.waiting < needer.pipe.unicast_window:
                return self._to_one(player, needer, _lowest(needer.open), now)
        return None

    def _window_full(self, group: list[Needer]) -> bool:
        """Paced by the median player: the broker holds blocks for slower ones, faster ones need not wait for these."""
        waiting = sorted(needer.waiting for needer in group)
        return waiting[(len(waiting) - 1) // 2] >= self._window

    def _turn(self, open_blocks: int) -> int | None:
        """The next open block at or after the cursor, going round."""
        if not open_blocks:
            return None
        ahead = open_blocks >> self._cursor
        index = self._cursor + _lowest(ahead) if ahead else _lowest(open_blocks)
        self._cursor = (index + 1) % self._blocks
        return index

    def _send_where_it_pays(self, index: int, group: dict[str, Needer], now: float) -> Send:
        bit = 1 << index
        lacking = {player: needer for player, needer in group.items() if needer.open & bit}
        if len(group) == 1 or len(lacking) >= max(2, GROUP_SHARE * len(group)):
            return self._to_group(index, group, now)
        first, *others = [self._to_one(player, needer, index, now) for player, needer in lacking.items()]
        self._queue.extend(others)
        return first

    def _to_group(self, index: int, group: dict[str, Needer], now: float) -> Send:
        self._group_last += 1
        for needer in group.values():
            if needer.need >> index & 1:
                needer.depart(index, now)
                needer.group.depart(self._group_last, index)
        return Send(player=None, index=index, sequence=self._group_last)

    def _to_one(self, player: str, needer: Needer, index: int, now: float) -> Send:
        needer.unicast_last += 1
        needer.depart(index, now)
        needer.unicast.depart(needer.unicast_last, index)
        return Send(player=player, index=index, sequence=needer.unicast_last)

    def _flush(self, now: float) -> Send | None:
        """A burst has ended: let the players see at once which blocks of it they missed."""
        if self._flush_at is None or now < self._flush_at:
            return None
        self._flush_at = None
        markers = [
            Send(player=player, index=FLUSH_INDEX, sequence=needer.unicast_last)
            for player, needer in self._needers.items()
            if len(needer.unicast)
        ]
        if any(len(needer.group) for needer in self._needers.values()):
            markers.append(Send(player=None, index=FLUSH_INDEX, sequence=self._group_last))
        if not markers:
            return None
        self._flush_at = now + FLUSH_AGAIN_S
        self._queue.extend(markers[1:])
        return markers[0]


def _fresh_sequence() -> int:
    """Where a stream begins: at random, so that what an earlier hub sent is not taken for what this one did."""
    return random.randrange(1, 1 << 31)  # noqa: S311 - no secret


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _union(needers: Iterable[Needer]) -> int:
    found = 0
    for needer in needers:
        found |= needer.open
    return found
