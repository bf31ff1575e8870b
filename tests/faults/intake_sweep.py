"""Kills a real hub at every system call that changes its disk while it takes in two drops, and judges the next start.

Points at which the threads happened not to come by this time are left out; when that is most of them, it is an error.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hub.ledger import items
from hub.ledger.database import LedgerError, open_for_reading
from hub.media.samples import make_audio, make_poster
from tests.faults import strace
from tests.faults.process import Victim, hub_tables, write_config
from tests.faults.row import Judged, Row, row_of

DROPS = ("gambar.png", "paket")
WITHIN_S = 60.0
THIN = 4  # of the writes to SQLite's log every fourth: a transaction is many
SHORT_POINTS = 4
LOG = "hub.log"


def main(short: bool = False) -> Row:
    """Sweep over every point (four when short)."""
    strace.needed()
    with tempfile.TemporaryDirectory(prefix="intake-sweep-") as scratch:
        return row_of("intake-accept", _sweep(Path(scratch), short=short))


def _sweep(scratch: Path, *, short: bool) -> Iterator[Judged]:
    seed = make_seed(scratch)
    chosen = _chosen(_points(scratch, seed), short=short)
    met = 0
    for point in chosen:
        folder = _copy_of(seed, scratch / "victim")
        if _kill_at(folder, point):
            met += 1
            yield _judge(folder, seed, str(point))
        shutil.rmtree(folder)
    if met * 2 < len(chosen):
        raise RuntimeError(f"only {met} of {len(chosen)} points were met: the sweep proves nothing")


def _points(scratch: Path, seed: Path) -> list[strace.Point]:
    folder, trace = _copy_of(seed, scratch / "trial"), scratch / "trace"
    hub = hub_of(folder)
    hub.start(strace.tracing(trace))
    came = hub.wait_until(lambda: quiet(folder), WITHIN_S)
    hub.kill()
    if not came:
        raise RuntimeError(f"the hub did not take the drops in: {hub.words()}")
    shutil.rmtree(folder)
    return strace.points(trace, folder, mute=(LOG, "status.json"))


def _chosen(points: list[strace.Point], *, short: bool) -> list[strace.Point]:
    thinned = [point for point in points if point.call != "pwrite64" or point.when % THIN == 0]
    if not short:
        return thinned
    moves = [point for point in thinned if point.call == "renameat2"]  # accepted already, and not yet put away
    syncs = [point for point in thinned if point.call in ("fsync", "fdatasync")]
    return [*moves[:2], *syncs[len(syncs) // 3 :: max(1, len(syncs) // 3)]][:SHORT_POINTS]


def _kill_at(folder: Path, point: strace.Point) -> bool:
    """Whether the hub was killed there; a thread may do more or less work than in the trial."""
    hub = hub_of(folder)
    hub.start(strace.killing(point))
    hub.wait_until(lambda: quiet(folder), WITHIN_S)
    hub.wait_until(lambda: False, 0.3)
    if hub.killed:
        return True
    hub.kill()
    return False


def _judge(folder: Path, seed: Path, what: str) -> Judged:
    """Start the hub again, and look when it is quiet."""
    hub = hub_of(folder)
    hub.start()
    try:
        if not hub.wait_until(lambda: quiet(folder), WITHIN_S):
            return Judged(lost=True, why=f"{what}: not quiet again; {hub.words()}")
    finally:
        hub.stop()
    return look(folder, seed, what)


def look(folder: Path, seed: Path, what: str) -> Judged:
    """What a user sees of the drops, compared with how they lay in the seed's inbox."""
    if problem := _damage(folder):
        return Judged(damaged=True, why=f"{what}: {problem}")
    dropped = Counter(_digests(seed / "srv" / "Disetujui"))
    kept = Counter(_digests(folder / "srv" / "Diterima"))
    refused = [path.name for path in (folder / "srv" / "Ditolak").rglob("*")]
    receipts = Counter(path.name for path in (folder / "srv" / "Diterima").rglob("*.tanda-terima.txt"))
    lost = dropped - kept or {f"{name}.tanda-terima.txt" for name in DROPS} - set(receipts)
    doubled = kept - dropped or refused or sum(receipts.values()) > len(DROPS) or _numbers(folder) != _expected(folder)
    return Judged(lost=bool(lost), doubled=bool(doubled), why=f"{what}: {lost or ''} {doubled or ''} {refused}")


def quiet(folder: Path) -> bool:
    """Both drops are accepted, moved, and closed."""
    inbox = folder / "srv" / "Disetujui"
    if any((inbox / name).exists() for name in (*DROPS, "gambar.txt")):
        return False
    try:
        db = open_for_reading(folder / "state" / "ledger.db")
    except (LedgerError, sqlite3.Error, OSError):
        return False
    try:
        return len(items.all_items(db)) >= len(DROPS) and not items.open_arrivals(db)
    except sqlite3.Error:
        return False
    finally:
        db.close()


def _damage(folder: Path) -> str:
    vault = folder / "state" / "vault"
    for path in vault.glob("??/*"):
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            return f"in the vault, {path.name} is not what its name says"
    if left := [str(path) for path in (*vault.glob(".incoming/*"), *vault.glob(".moves/*"))]:
        return f"left behind: {left}"
    db = sqlite3.connect(folder / "state" / "ledger.db")
    try:
        whole = db.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        db.close()
    if whole != "ok":
        return f"the ledger: {whole}"
    missing = [digest for digest in _assets(folder) if not (vault / digest[:2] / digest).exists()]
    return f"not in the vault: {missing}" if missing else _torn_receipt(folder)


def _torn_receipt(folder: Path) -> str:
    numbers = set(_numbers(folder))
    for path in (folder / "srv" / "Diterima").rglob("*.tanda-terima.txt"):
        if sum(number in path.read_text() for number in numbers) != 1:
            return f"{path.name} does not name its item"
    return ""


def _assets(folder: Path) -> list[str]:
    return [asset.sha256 for item in _items(folder) for asset in item.assets]


def _numbers(folder: Path) -> list[str]:
    return sorted(item.number for item in _items(folder))


def _expected(folder: Path) -> list[str]:
    month = _numbers(folder)[0][:10]
    return [f"{month}-{serial:04}" for serial in range(1, len(DROPS) + 1)]


def _items(folder: Path) -> list[items.Item]:
    db = open_for_reading(folder / "state" / "ledger.db")
    try:
        return items.all_items(db)
    finally:
        db.close()


def _digests(folder: Path) -> Iterator[str]:
    """Of every file that a person dropped, sidecars too; not of the hub's texts, whole or half written."""
    for path in folder.rglob("*"):
        ours = path.name.endswith((".tanda-terima.txt", "BACA-SAYA.txt", "contoh-info.txt", ".tmp"))
        if path.is_file() and not ours:
            yield hashlib.sha256(path.read_bytes()).hexdigest()


def hub_of(folder: Path, **intake: object) -> Victim:
    """The hub of that folder, its log beside it (the disk below it may be full); `intake` goes into its table."""
    config = write_config(folder / "siarhub.toml", hub_tables(folder, **intake))
    return Victim(("siarhub", "run", "--config", str(config)), folder.with_name(f"{folder.name}.{LOG}"))


def make_seed(scratch: Path) -> Path:
    """A hub that never ran, with a file and its sidecar, and a folder, in its inbox."""
    inbox = scratch / "seed" / "srv" / "Disetujui"
    (inbox / "paket").mkdir(parents=True)
    (scratch / "seed" / "state").mkdir()
    (scratch / "seed" / "plugins").mkdir()
    make_poster(inbox / "gambar.png", (100, 80))
    (inbox / "gambar.txt").write_text("Judul: Gambar\n")
    make_poster(inbox / "paket" / "a.png", (90, 80))
    make_audio(inbox / "paket" / "b.wav", 1.0, 500)
    (inbox / "paket" / "info.txt").write_text("Judul: Paket\n")
    return scratch / "seed"


def _copy_of(seed: Path, folder: Path) -> Path:
    return Path(shutil.copytree(seed, folder))
