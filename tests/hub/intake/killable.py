"""An intake with a desk that keeps its book in SQLite, to be killed at any moment: argv is the folder of all."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]

from conftest import Place  # noqa: E402

from hub.api import ItemNumber, Sha256  # noqa: E402
from hub.intake.desk import Accepted, Refused, RefusedDrop, Submission, Verdict  # noqa: E402
from hub.intake.settings import ApprovalLevel, FolderNames, FolderTimes  # noqa: E402
from hub.intake.sidecar import WithdrawalNote  # noqa: E402

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY, name TEXT, digests TEXT UNIQUE, open INT, target TEXT);
CREATE TABLE IF NOT EXISTS refusals (name TEXT PRIMARY KEY, reason TEXT);
"""


class DurableDesk:
    """Refuses what is called `tolak*`, and the same bytes."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {SCHEMA}")

    async def begun(self, name: str, digests: frozenset[Sha256]) -> Accepted | None:
        row = self._db.execute("SELECT number FROM items WHERE name=? AND digests=? AND open", (name, _key(digests)))
        found = row.fetchone()
        return _accepted(found[0]) if found else None

    async def consider(self, submission: Submission) -> Verdict:
        digests = frozenset(file.sha256 for file in submission.files)
        if submission.name.startswith("tolak"):
            return Refused(reason="memang ditolak")
        known = self._db.execute("SELECT number FROM items WHERE digests=?", (_key(digests),)).fetchone()
        if known:
            return Refused(reason=f"GANDA {known[0]}")
        done = self._db.execute(
            "INSERT INTO items (name, digests, open) VALUES (?, ?, 1)", (submission.name, _key(digests))
        )
        assert done.lastrowid
        return _accepted(done.lastrowid)

    async def withdraw(self, note: WithdrawalNote, *, name: str, who: str) -> Verdict:
        return Refused(reason="bukan di sini")

    async def put_away(self, name: str, digests: frozenset[Sha256], target: Path | None) -> None:
        self._db.execute("UPDATE items SET open=0, target=? WHERE digests=?", (str(target), _key(digests)))

    def glance(self, head: bytes) -> str | None:
        return "memang ditolak" if head.startswith(b"tolak") else None

    async def refused(self, drops: Sequence[RefusedDrop]) -> None:
        rows = [(drop.name, drop.reason) for drop in drops]
        self._db.executemany("INSERT OR REPLACE INTO refusals VALUES (?, ?)", rows)

    async def open_arrivals(self) -> Sequence[tuple[str, frozenset[Sha256]]]:
        rows = self._db.execute("SELECT name, digests FROM items WHERE open").fetchall()
        return [(name, frozenset(map(Sha256, json.loads(digests)))) for name, digests in rows]


async def main(folder: Path) -> NoReturn:
    also = {name: FolderTimes() for name in [os.environ.get("ALSO")] if name}
    place = Place(root=folder / "root", vault=folder / "vault", folders=FolderNames(also=also))
    place.desk = DurableDesk(folder / "desk.sqlite3")  # type: ignore[assignment]
    await place.intake(ApprovalLevel.RECORD, quiet_for_s=0.01, folder_quiet_s=0.02, sidecar_wait_s=5.0).run()


def die_at_some_line(after_lines: int) -> None:
    """kill -9 ourselves in the middle of putting something away: after so many lines of the shelf and the handling."""
    left = after_lines

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal left
        code = frame.f_code.co_filename  # type: ignore[attr-defined]
        if not code.endswith(
            (
                "shelf.py",
                "handling.py",
                "claim.py",
                "moves.py",
                "killable.py",
                "files.py",
                "ferry.py",
                "refusals.py",
                "folder.py",
            )
        ):
            return None
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)  # type: ignore[arg-type]


def _key(digests: frozenset[Sha256]) -> str:
    return json.dumps(sorted(digests))


def _accepted(number: int) -> Accepted:
    name = ItemNumber(f"IP-2026-11-{number:04}")
    return Accepted(number=name, receipt=f"TANDA TERIMA {name}\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_at_some_line(random.Random(int(sys.argv[2])).randint(200, 1800))
    asyncio.run(main(Path(sys.argv[1])))
