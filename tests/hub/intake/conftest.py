"""A real intake on a temporary root, with a desk that keeps its book in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
import structlog

from hub.api import ItemNumber, Sha256
from hub.intake import canary
from hub.intake.desk import Accepted, Refused, RefusedDrop, Submission, Verdict
from hub.intake.service import Intake
from hub.intake.settings import ApprovalLevel, ApprovalSettings, FolderNames, IntakeSettings
from hub.intake.sidecar import WithdrawalNote
from hub.messages import catalogue

WITA = ZoneInfo("Asia/Makassar")
QUICK = {
    "quiet_for_s": 0.1,
    "quiet_without_lease_s": 0.4,
    "folder_quiet_s": 0.15,
    "sidecar_wait_s": 0.4,
    "empty_folder_wait_s": 0.6,
    "rescan_every_s": 0.5,
    "retry_after_s": 0.3,
    "min_free_bytes": 0,
}


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class MemoryDesk:
    """Accepts everything that is new; refuses the same bytes twice; `answer` overrules."""

    submissions: list[Submission] = field(default_factory=list)
    accepted: dict[frozenset[Sha256], tuple[str, Accepted]] = field(default_factory=dict)
    open: set[tuple[str, frozenset[Sha256]]] = field(default_factory=set)
    placed: list[tuple[str, Path | None]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[WithdrawalNote, str]] = field(default_factory=list)
    answer: Callable[[Submission], Verdict | None] = lambda submission: None
    at_once: int = 0
    most_at_once: int = 0

    async def begun(self, name: str, digests: frozenset[Sha256]) -> Accepted | None:
        return self.accepted[digests][1] if (name, digests) in self.open else None

    async def consider(self, submission: Submission) -> Verdict:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if (answer := self.answer(submission)) is not None:
            return answer
        digests = frozenset(file.sha256 for file in submission.files)
        if digests in self.accepted:
            return Refused(reason=f"sama dengan {self.accepted[digests][1].number}")
        self.submissions.append(submission)
        number = ItemNumber(f"IP-2026-11-{len(self.accepted) + 1:04}")
        self.accepted[digests] = (submission.name, Accepted(number=number, receipt=f"TANDA TERIMA {number}\n"))
        self.open.add((submission.name, digests))
        return self.accepted[digests][1]

    async def withdraw(self, note: WithdrawalNote, *, name: str, who: str) -> Verdict:
        self.notes.append((note, who))
        if note.number == "IP-2026-11-9999":
            return Refused(reason="tidak ada")
        return Accepted(number=note.number, receipt="ditarik\n")

    async def put_away(self, name: str, digests: frozenset[Sha256], target: Path | None) -> None:
        self.open.discard((name, digests))
        self.placed.append((name, target))

    def glance(self, head: bytes) -> str | None:
        return "bukan media" if head.startswith(b"SAMPAH") else None

    async def refused(self, drops: Sequence[RefusedDrop]) -> None:
        self.refusals += [(drop.name, drop.reason) for drop in drops]

    async def open_arrivals(self) -> Sequence[tuple[str, frozenset[Sha256]]]:
        return sorted(self.open, key=lambda pair: pair[0])

    @property
    def done(self) -> int:
        return len(self.placed) + len(self.refusals)


@dataclass
class Place:
    """People's folders, and an intake to run on them."""

    root: Path
    vault: Path
    folders: FolderNames = field(default_factory=FolderNames)
    desk: MemoryDesk = field(default_factory=MemoryDesk)

    def __post_init__(self) -> None:
        self.inbox.mkdir(parents=True, exist_ok=True)

    @property
    def inbox(self) -> Path:
        return self.root / "Disetujui"

    @property
    def refused(self) -> Path:
        return self.root / "Ditolak"

    def drop(self, name: str, data: bytes | str = b"isi", *, sidecar: str | None = None) -> Path:
        path = self.inbox / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        if sidecar is not None:
            path.with_suffix(".txt").write_text(sidecar, encoding="utf-8")
        return path

    def accepted_names(self) -> set[str]:
        return {path.name for path in (self.root / "Diterima").glob("*/*")}

    def refused_names(self) -> set[str]:
        return {path.name for path in self.refused.iterdir()}

    def left(self) -> set[str]:
        shipped = {"BACA-SAYA.txt", "contoh-info.txt", canary.NAME}
        return {path.name for path in self.inbox.iterdir()} - shipped

    def intake(self, level: ApprovalLevel = ApprovalLevel.NONE, **settings: object) -> Intake:
        return Intake(
            root=self.root,
            vault=self.vault,
            folders=self.folders,
            settings=IntakeSettings(**{**QUICK, **settings}),  # type: ignore[arg-type]
            approval=ApprovalSettings(level=level),
            desk=self.desk,
            catalogue=catalogue("id"),
            clock=SystemClock(),
            log=structlog.get_logger("intake"),
            zone=WITA,
        )

    @asynccontextmanager
    async def running(self, level: ApprovalLevel = ApprovalLevel.NONE, **settings: object) -> AsyncIterator[Intake]:
        intake = self.intake(level, **settings)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(intake.run(), name="intake")
            try:
                yield intake
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])


async def wait_until(holds: Callable[[], bool], *, within_s: float = 15.0) -> None:
    """Returns when it holds; fails the test when it does not in time. Files and other processes give no event."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(root=tmp_path / "root", vault=tmp_path / "state" / "vault")


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    return wait_until


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own is closed to them."""
    with TemporaryDirectory(prefix="intake-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
