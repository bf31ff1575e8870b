"""Checks the kept proofs of one player and month: every signature, every hash, and that nothing is left out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from hub.api import Played
from plugins.videotron.proofs.doubts import Remark, Weight, happened_at, proves
from plugins.videotron.proofs.findings import Findings, ItemCount, Period, plays, ranges
from plugins.videotron.proofs.reading import Chain, Stretch
from plugins.videotron.proofs.store import Kept
from plugins.videotron.protocol import ProofEntry, ProofOfPlay, WireError, decode_signed
from plugins.videotron.protocol.chain import Segment, lost_before, segment_of

# With which keys, by id, a proof may be signed that came at some time.
KeysAt = Callable[[datetime], Mapping[str, bytes]]
SET_BACK_S = 2.0  # how far one play may seem to begin before the last one ended


class ChainCheck:
    """Walks along one chain. `add` its envelopes in order, `compare` with the journal, then `finish`."""

    def __init__(
        self, chain: Chain, stretch: Stretch, period: Period, *, keys: KeysAt, journalled: int, into: Findings
    ) -> None:
        """`journalled` is the last envelope of which the journal was told before all this is read."""
        self._chain = chain
        self._stretch = stretch
        self._period = period
        self._keys = keys
        self._journalled = journalled
        self._found = into
        self._hashes: dict[int, bytes] = {}
        self._next = 1  # the number that must follow
        self._last: ProofEntry | None = None
        self._due: dict[int, ProofEntry] = {}  # what the journal must have
        self._counted: set[int] = set()
        self._untold: set[int] = set()  # of the journal, when the reading began
        self.since = 1  # from which number on the journal must agree
        self.until: int | None = None  # up to which; None: as far as it goes

    def add(self, envelope: Kept) -> None:
        """The next one, in the order of their first numbers. One from before the stretch is the anchor."""
        before, after = envelope.last < self._stretch.first, envelope.first > self._stretch.last
        if before:
            self._next = self.since = envelope.first  # what stands before it is another month's
        else:
            self._found.envelopes += not after
        segment = self._opened(envelope)
        if segment is None:
            return
        self._follow(segment)
        for entry in segment.entries:
            if entry.seq >= self._next:
                self._take(entry, envelope)
        self._next = max(self._next, segment.last + 1)
        self.until = segment.last if after else None

    def compare(self, facts: Iterable[tuple[int, Played]], *, came_meanwhile: Callable[[int], bool]) -> None:
        """Hold the journal's plays of this chain against the proofs; the hub may go on adding to both."""
        unproved: list[int] = []
        other: list[int] = []
        for seq, fact in facts:
            entry = self._due.pop(seq, None)
            if entry is None:
                if seq < self._next or not came_meanwhile(seq):
                    unproved.append(seq)
                continue
            if not _same(entry, fact):
                other.append(seq)
            if seq in self._counted:
                self._found.items[entry.item].journal += 1
        if unproved:
            self._problem(f"the journal has {plays(len(unproved))} that nothing proves: {ranges(unproved)}")
        if other:
            self._problem(f"the journal says otherwise of {plays(len(other))}: {ranges(other)}")

    def finish(self) -> None:
        """Name what is missing at the end, and what the journal lacks."""
        if self.until is None and self._next <= self._chain.seq:
            self._hole(self._next, self._chain.seq)
        elif self.until is None and self._hashes.get(self._chain.seq, self._chain.hash) != self._chain.hash:
            self._problem(f"entry {self._chain.seq} is not the one that the hub had acknowledged")
        if lacking := self._due.keys() - self._untold:
            self._problem(f"the journal lacks {plays(len(lacking))}: {ranges(lacking)}")
        if waiting := self._due.keys() & self._untold:
            self._tell("plays to come", f"the journal is still to be told of {plays(len(waiting))}", grave=False)

    def _opened(self, envelope: Kept) -> Segment | None:
        where = f"envelope {envelope.id} ({envelope.first} to {envelope.last})"
        try:
            segment = segment_of(decode_signed(ProofOfPlay, envelope.body, self._keys(envelope.received_at)))
        except WireError as error:
            self._tell("envelopes that prove nothing", f"{where} proves nothing: {error}")
            return None
        stands_as = (envelope.player, envelope.chain, envelope.first, envelope.last)
        if stands_as != (segment.player, segment.chain, segment.first, segment.last):
            told = f"{segment.player}, chain {segment.chain}, {segment.first} to {segment.last}"
            self._tell("envelopes in a wrong place", f"{where} stands in a wrong place: it is of {told}")
            return None
        return segment

    def _follow(self, segment: Segment) -> None:
        told = segment.known()
        if segment.first > self._next:
            self._hole(self._next, segment.first - 1)
        if differs := sorted(seq for seq in told.keys() & self._hashes.keys() if told[seq] != self._hashes[seq]):
            self._tell("forks", f"entry {differs[0]} stands there twice, and not the same: a fork, or it was changed")
        self._hashes |= told

    def _hole(self, first: int, last: int) -> None:
        count = last - first + 1
        if (first, last) in self._chain.gaps:
            self._tell("gaps", f"a gap: entries {first} to {last} ({count}) never came")
        else:
            text = f"entries {first} to {last} ({count}) were kept, and are missing or prove nothing"
            self._tell("holes in what was kept", text)

    def _take(self, entry: ProofEntry, envelope: Kept) -> None:
        remark = self._chain.remarks.get(entry.seq)
        if proves(entry, remark):
            self._due[entry.seq] = entry
        if envelope.id > self._journalled:
            self._untold.add(entry.seq)
        if self._period.holds(happened_at(entry, envelope.received_at)):
            self._count(entry, remark)
        self._last = entry

    def _count(self, entry: ProofEntry, remark: Remark | None) -> None:
        found = self._found
        self._counted.add(entry.seq)
        count = found.items.setdefault(entry.item, ItemCount(title=entry.title))
        count.results[entry.result] += 1
        count.seconds += entry.seconds
        found.entries += 1
        if lost := lost_before(entry.reason):
            found.lost += lost
            self._tell("plays lost on the player", f"a gap: {plays(lost)} before entry {entry.seq} found no room on it")
        if remark is not None:
            grave = remark.weight is Weight.OBJECTION
            self._tell(f"plays with {remark.weight}s", f"entry {entry.seq}: {remark.text}", grave=grave)
        if (back := _set_back(self._last, entry)) > SET_BACK_S:
            text = f"entry {entry.seq}: the player's clock was set back by {back:.0f} s"
            self._tell("clock set back", text, grave=False)

    def _tell(self, kind: str, text: str, *, grave: bool = True) -> None:
        self._found.tell(self._chain.id, kind, text, grave=grave)

    def _problem(self, text: str) -> None:
        self._found.problems.append(f"chain {self._chain.id}: {text}")


def _same(entry: ProofEntry, fact: Played) -> bool:
    return (fact.item, fact.rendition, fact.started_at, fact.seconds, fact.complete) == (
        entry.item,
        entry.sha256,
        entry.started_at,
        entry.seconds,
        entry.result == "completed",
    )


def _set_back(before: ProofEntry | None, entry: ProofEntry) -> float:
    """By how many seconds an entry begins before the one before it ended, in one run of the player."""
    if before is None or before.boot != entry.boot:
        return 0.0
    return before.seconds - (entry.started_at - before.started_at).total_seconds()
