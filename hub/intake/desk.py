"""The desk to which intake brings what was dropped: the rest of the hub, as intake sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hub.api import ItemNumber, Sha256
from hub.intake.sidecar import Sidecar, WithdrawalNote


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedFile:
    """The hub's own copy of a dropped file: in the vault, named by its hash, durable."""

    sha256: Sha256
    vault_path: Path
    original_name: str  # display-safe
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One complete drop, claimed. Files with the same bytes appear once."""

    name: str  # display-safe; of the file or the folder
    files: tuple[ClaimedFile, ...]
    sidecar: Sidecar | None
    folder: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """It is in the ledger for good."""

    number: ItemNumber
    receipt: str  # the text of the receipt, in the office's language


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It cannot be taken as it stands."""

    reason: str  # what is wrong and what to do, in the office's language


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """Nothing is wrong with it: leave it where it is and ask again later."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedDrop:
    """It stands in Ditolak now, with this reason."""

    name: str  # display-safe
    reason: str
    digests: frozenset[Sha256]  # of its media files, as far as they were read


Verdict = Accepted | Refused | Postponed


class Desk(Protocol):
    """Every call may come again after a crash; `name` is always display-safe, `digests` those of the media files."""

    def glance(self, head: bytes) -> str | None:
        """Why no file that begins so can be taken, whatever is said about it. None: worth a copy and a closer look."""

    async def begun(self, name: str, digests: frozenset[Sha256]) -> Accepted | None:
        """What was answered before a crash, when this drop was accepted and not yet put away."""

    async def consider(self, submission: Submission) -> Verdict:
        """Accept it in one ledger transaction, or say why not. Drops with the same bytes come one after the other."""

    async def withdraw(self, note: WithdrawalNote, *, name: str, who: str) -> Verdict:
        """Withdraw an item; `who` is the owner of the note. Withdrawing again is accepted again."""

    async def put_away(self, name: str, digests: frozenset[Sha256], target: Path | None) -> None:
        """The accepted original (or folder) now stands at `target`; None when it is gone."""

    async def refused(self, drops: Sequence[RefusedDrop]) -> None:
        """These now stand in Ditolak, each with its reason. May come twice after a crash."""

    async def open_arrivals(self) -> Sequence[tuple[str, frozenset[Sha256]]]:
        """Accepted, not yet put away."""
