"""What is on its way to a player and not settled yet: one stream for a group, one for it alone, for each content."""

from __future__ import annotations

from dataclasses import dataclass, field

UNICAST_WINDOW = 8
SLOW_UNICAST_WINDOW = 2


@dataclass(slots=True, kw_only=True)
class Pipe:
    """The way to one player, which all contents that it fetches share."""

    slow: bool = False
    waiting: int = 0  # blocks of all contents that are on their way

    @property
    def unicast_window(self) -> int:
        """How many blocks of a content may be on their way to this player alone."""
        return SLOW_UNICAST_WINDOW if self.slow else UNICAST_WINDOW


@dataclass(slots=True, kw_only=True)
class Stream:
    """The blocks sent on one stream to one player and not settled yet, by sequence, oldest first."""

    first: int  # sequences below were sent by an earlier hub or before this player came
    pipe: Pipe
    _sent: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._sent)

    def depart(self, sequence: int, index: int) -> None:
        self._sent[sequence] = index
        self.pipe.waiting += 1

    def settle(self, seen: int, last: int) -> int:
        """The blocks settled by "seen up to", as a bitmap. A `seen` that this hub never sent settles nothing."""
        settled = 0
        if self.first <= seen <= last:
            for sequence in [s for s in self._sent if s <= seen]:
                settled |= 1 << self._sent.pop(sequence)
                self.pipe.waiting -= 1
        return settled

    def arrived(self, have: int) -> None:
        """Blocks that the player has are on their way no more."""
        for sequence in [s for s, index in self._sent.items() if have >> index & 1]:
            del self._sent[sequence]
            self.pipe.waiting -= 1

    def clear(self) -> None:
        self.pipe.waiting -= len(self._sent)
        self._sent.clear()
