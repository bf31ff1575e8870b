"""Which ready drop is next, which were put off and until when."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

from hub.api import Clock
from hub.intake.lookout import Arriving, Ready, Round
from hub.intake.names import display_name
from hub.intake.outcome import Done, Later
from hub.intake.status import SHOWN, Waiting
from hub.messages import Catalogue

LONGEST_PAUSE_S = 60.0
_since = attrgetter("since")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A drop that was put off: until it changes, or until then."""

    state: object
    until: float  # monotonic
    later: Later
    attempts: int


class WaitingRoom:
    """Drops in the order of arrival, urgent ones first.

    None is handed out twice at once, nor together with one that shares a file. A look round decides what may start;
    handing out and taking back cost the same however many wait.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: dict[str, Ready] = {}
        self._next: deque[Ready] = deque()
        self._arriving: tuple[Arriving, ...] = ()
        self._held: dict[str, _Held] = {}
        self._in_hand: set[str] = set()
        self._changed = True
        self._shown: tuple[Waiting, ...] = ()

    def update(self, look: Round) -> Set[str]:
        """Take over what the last look round found; returns the anchors of all that is there."""
        self._ready = {ready.bundle.anchor: ready for ready in look.ready}
        self._arriving = look.arriving
        anchors = self._ready.keys() | {arriving.anchor for arriving in look.arriving} | self._in_hand
        for gone in self._held.keys() - anchors:
            del self._held[gone]
        self._next = deque(ready for ready in look.ready if self._may_start(ready))
        self._changed = True
        return anchors

    def take(self, *, urgent: bool = False) -> Ready | None:
        """The next drop (or urgent one) that may be handled now; give it back with `give_back`."""
        while self._next and (self._next[0].urgent or not urgent):
            ready = self._next.popleft()
            if self._in_hand.isdisjoint(ready.names):  # else the next look finds it again
                self._in_hand.update(ready.names)
                self._changed = True
                return ready
        return None

    def give_back(self, ready: Ready, outcome: Done | Later | None) -> None:
        """It is done, or put off. None: it was interrupted."""
        self._in_hand.difference_update(ready.names)
        self._changed = True
        anchor = ready.bundle.anchor
        before = self._held.pop(anchor, None)
        if isinstance(outcome, Later):
            self._held[anchor] = self._hold(ready, outcome, before)
        elif self._ready.get(anchor) is ready:
            del self._ready[anchor]

    @property
    def backlog(self) -> int:
        """How many may be handled without another look."""
        return len(self._next)

    def in_hand(self) -> set[str]:
        """The display-safe names of what is being handled."""
        return {display_name(name) for name in self._in_hand}

    def next_due_s(self) -> float | None:
        """After how many seconds something that waits is worth another look."""
        now = self._clock.monotonic()
        due = [arriving.again_in_s for arriving in self._arriving]
        due += [held.until - now for held in self._held.values() if held.until > now]
        return min(due, default=None)

    def lack_of_space(self) -> str | None:
        """Why a drop waits for space on the disk, if one does."""
        return next((held.later.why for held in self._held.values() if held.later.full), None)

    @property
    def count(self) -> int:
        """How many are not done."""
        return len(self._arriving) + len(self._ready)

    def waiting(self, catalogue: Catalogue) -> tuple[Waiting, ...]:
        """The oldest that are not done, in the order of arrival."""
        if self._changed:
            self._changed = False
            there: Iterable[Ready | Arriving] = chain(self._arriving, self._ready.values())
            oldest = heapq.nsmallest(SHOWN, there, key=_since)
            self._shown = tuple(
                Waiting(name=one.name, since=one.since, why=self._why(one, catalogue)) for one in oldest
            )
        return self._shown

    def _may_start(self, ready: Ready) -> bool:
        if not self._in_hand.isdisjoint(ready.names):
            return False
        held = self._held.get(ready.bundle.anchor)
        return held is None or held.state != _state(ready) or held.until <= self._clock.monotonic()

    def _hold(self, ready: Ready, later: Later, before: _Held | None) -> _Held:
        attempts = before.attempts + 1 if before is not None and before.state == _state(ready) else 0
        growing = min(LONGEST_PAUSE_S, 2.0 * 2 ** min(attempts, 6))
        pause_s = growing if later.after_s is None else later.after_s
        return _Held(state=_state(ready), until=self._clock.monotonic() + pause_s, later=later, attempts=attempts)

    def _why(self, one: Ready | Arriving, catalogue: Catalogue) -> str:
        if isinstance(one, Arriving):
            return one.why.say(catalogue)
        if not self._in_hand.isdisjoint(one.names):
            return catalogue("It is being processed.")
        held = self._held.get(one.bundle.anchor)
        return held.later.why if held else catalogue("It waits for its turn.")


def _state(ready: Ready) -> object:
    return (ready.names, ready.fingerprint, ready.bundle.awaited)
