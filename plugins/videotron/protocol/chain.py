"""The hash chain of proofs of play: made by the player, checked by the hub and by whoever audits it.

hash(i) = SHA-256( hash(i - 1), 32 bytes || the text of entry i, UTF-8 ),   hash(0) = 32 zero bytes
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from plugins.videotron.protocol.documents import ProofEntry, ProofOfPlay
from plugins.videotron.protocol.envelope import parse
from plugins.videotron.protocol.wire import WireError

BEGINNING = bytes(32)  # hash(0)
CLOCK_BEHIND = "the clock was behind"  # in a reason: the time is what something signed had shown to be past, or later
_LOST = re.compile(r"lost ([1-9][0-9]{0,14}) before this(?:; |$)")


class Result(StrEnum):
    """How a playback ended."""

    COMPLETED = "completed"  # to the film's own end
    PARTIAL = "partial"  # its picture was shown, and cut
    FAILED = "failed"  # it never gave a picture, or broke
    UNKNOWN = "unknown"  # its picture was shown; its end was not seen, as when the power was cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A checked piece of a chain: `hashes` has one more than `entries`, the one before the first."""

    player: str
    chain: str
    entries: tuple[ProofEntry, ...]
    hashes: tuple[bytes, ...]

    @property
    def first(self) -> int:
        return self.entries[0].seq

    @property
    def last(self) -> int:
        return self.entries[-1].seq

    def known(self) -> dict[int, bytes]:
        """Every hash that it tells, by number: from the one before the first entry to the last entry's."""
        return dict(enumerate(self.hashes, start=self.first - 1))


def link(before: bytes, text: str) -> bytes:
    """The hash of an entry's text that stands after `before`."""
    return hashlib.sha256(before + text.encode()).digest()


def segment_of(proof: ProofOfPlay) -> Segment:
    """The entries with their hashes. Raises: WireError when they are no piece of a chain."""
    entries = tuple(parse(ProofEntry, text) for text in proof.entries)
    if any(entry.seq != seq for seq, entry in enumerate(entries, start=entries[0].seq)):
        raise WireError("proof of play: its entries do not stand in order")
    hashes = [bytes.fromhex(proof.prev)]
    if entries[0].seq == 1 and hashes[0] != BEGINNING:
        raise WireError("proof of play: something stands before its first entry")
    for text in proof.entries:
        hashes.append(link(hashes[-1], text))
    return Segment(player=proof.player, chain=proof.chain, entries=entries, hashes=tuple(hashes))


def with_lost(plays: int, reason: str) -> str:
    """The reason of an entry before which so many plays could not be kept."""
    return "; ".join(part for part in (f"lost {plays} before this" if plays else "", reason) if part)


def lost_before(reason: str) -> int:
    """How many plays were lost before the entry with this reason: a gap that no number shows."""
    found = _LOST.match(reason)
    return int(found[1]) if found else 0


def without_lost(reason: str) -> str:
    """The rest of the reason."""
    return _LOST.sub("", reason, count=1) if lost_before(reason) else reason
