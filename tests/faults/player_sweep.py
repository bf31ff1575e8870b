"""Kills the player at every system call that changes its disk while it fetches, plays and proves one film."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.api import Played
from hub.ledger import facts
from hub.ledger.database import LedgerError, open_for_reading
from hub.media.samples import make_video
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.local_trust import trust_each_other
from plugins.videotron.proofs.keeper import journal_key
from plugins.videotron.protocol import ProofEntry
from tests.faults import strace
from tests.faults.process import Victim, hub_tables, write_config
from tests.faults.row import Judged, Row, row_of

SCREEN = "gerbang"
SIZE = (64, 48)
BLOCK_BYTES = 1024
WITHIN_S = 60.0
THIN = 3  # of the writes to SQLite's log
SHORT_POINTS = 3

Proof = tuple[str, str]  # key, started at


def main(short: bool = False) -> Row:
    """Sweep over every point (three when short)."""
    strace.needed()
    return asyncio.run(_beside_a_broker(short))


async def _beside_a_broker(short: bool) -> Row:
    with tempfile.TemporaryDirectory(prefix="siar-", ignore_cleanup_errors=True) as scratch:
        async with local_broker(Path(scratch) / "broker", [SCREEN]) as broker:
            return await asyncio.to_thread(_with_a_hub, Path(scratch), broker, short)


def _with_a_hub(folder: Path, broker: LocalBroker, short: bool) -> Row:
    hub = _hub(folder, broker)
    make_video(folder / "srv" / "Disetujui" / "film.mp4", 1.0, SIZE)
    hub.start()
    try:
        return row_of("player-kill", _sweep(_World(folder=folder, broker=broker), hub, short=short))
    finally:
        hub.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    folder: Path
    broker: LocalBroker

    def player(self, state: Path) -> Victim:
        """A player on an empty disk; the hub takes it for the same one."""
        shutil.copytree(self.folder / "enrolled", state)
        config = write_config(self.folder / f"{state.name}.toml", _player_tables(state, self.broker))
        return Victim(("siarhub-player", "run", "--config", str(config)), self.folder / f"{state.name}.log")

    def proofs(self) -> Counter[Proof]:
        """What the hub's journal has, as (key, started at)."""
        try:
            db = open_for_reading(self.folder / "state" / "ledger.db")
        except (LedgerError, sqlite3.Error, OSError):
            return Counter()
        try:
            played = [entry for entry in facts.entries(db, limit=1_000_000) if isinstance(entry.fact, Played)]
            keys = dict(db.execute("SELECT seq, key FROM fact").fetchall())  # after them: the hub goes on writing
            return Counter((keys[one.seq], one.fact.started_at.isoformat()) for one in played)  # type: ignore[union-attr]
        finally:
            db.close()


def _sweep(world: _World, hub: Victim, *, short: bool) -> Iterator[Judged]:
    points, film = _trial(world, hub)
    chosen = [point for point in points if point.call != "pwrite64" or point.when % THIN == 0]
    if short:
        chosen = chosen[len(chosen) // 3 :: max(1, len(chosen) * 2 // 3 // SHORT_POINTS)]
    met = 0
    for number, point in enumerate(chosen):
        state = world.folder / f"player-{number}"
        player = world.player(state)
        if _kill_at(world, player, state, point):
            met += 1
            yield _judge(world, player, state, film, str(point))
        player.kill()
        shutil.rmtree(state)
    if met * 2 < len(chosen):
        raise RuntimeError(f"only {met} of {len(chosen)} points were met: the sweep proves nothing")


def _trial(world: _World, hub: Victim) -> tuple[list[strace.Point], bytes]:
    """The points, and the film as it must be."""
    state, trace = world.folder / "trial", world.folder / "trace"
    player = world.player(state)
    player.start(strace.tracing(trace))
    try:
        if not player.wait_until(lambda: len(world.proofs()) >= 2, WITHIN_S):
            raise RuntimeError(f"nothing was played: {player.words()} {hub.words()}")
    finally:
        player.kill()
    [film] = (state / "media").glob("*.mp4")
    return strace.points(trace, state), film.read_bytes()


def _kill_at(world: _World, player: Victim, state: Path, point: strace.Point) -> bool:
    before = len(world.proofs())
    player.start(strace.killing(point))
    player.wait_until(lambda: len(world.proofs()) >= before + 2, WITHIN_S)
    met = player.killed
    player.kill()
    return met


def _judge(world: _World, player: Victim, state: Path, film: bytes, what: str) -> Judged:
    """Start the player again: it keeps the blocks and the proofs that it had, and ends with the film and new proofs."""
    held, waiting, earlier = _blocks_on_disk(state, film), _plays_on_disk(state), len(world.proofs())
    player.log.write_bytes(b"")
    player.start()
    came = player.wait_until(lambda: len(world.proofs()) > earlier + len(waiting), WITHIN_S)
    player.kill()
    proofs = world.proofs()
    doubled = [start for start, times in Counter(at for _, at in proofs).items() if times > 1]
    missing = [play for play in waiting if play not in proofs]
    lost = [] if came else [f"no new proof: {player.words()}"]
    lost += [f"plays {missing}"] if missing else []
    again = _fetched_again(player, held)
    bad = _bad_files(state, film)
    why = f"{what}: {lost or ''} {again} {doubled or ''} {bad}"
    return Judged(lost=bool(lost), doubled=bool(doubled or again), damaged=bool(bad), why=why)


def _blocks_on_disk(state: Path, film: bytes) -> int:
    """How many blocks of the film a `.part` has."""
    for part in (state / "media").glob("*.part"):
        data = part.read_bytes()
        starts = range(0, len(film), BLOCK_BYTES)
        return sum(data[at : at + BLOCK_BYTES] == film[at : at + BLOCK_BYTES] for at in starts)
    return 0


def _fetched_again(player: Victim, held: int) -> str:
    for line in player.log.read_text(errors="replace").splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "fetch_began" and held:
            return "" if said["held"] == held else f"{held} blocks were on the disk, {said['held']} were counted"
    return ""


def _plays_on_disk(state: Path) -> list[Proof]:
    """The plays that are recorded and not acknowledged, as the hub must come to have them."""
    if not (state / "proof.db").exists():
        return []
    with tempfile.TemporaryDirectory() as copy:
        for path in state.glob("proof.db*"):
            shutil.copyfile(path, Path(copy, path.name))
        db = sqlite3.connect(Path(copy, "proof.db"))
        try:
            rows = db.execute("SELECT chain, text FROM head JOIN entry").fetchall()
        except sqlite3.OperationalError:  # killed before the table was made
            return []
        finally:
            db.close()
    entries = [(chain, ProofEntry.model_validate_json(text)) for chain, text in rows]
    shown = [(chain, entry) for chain, entry in entries if entry.result in ("completed", "partial")]
    return [(journal_key(SCREEN, chain, entry.seq), entry.started_at.isoformat()) for chain, entry in shown]


def _bad_files(state: Path, film: bytes) -> str:
    whole = state / "media" / f"{hashlib.sha256(film).hexdigest()}.mp4"
    if not whole.is_file() or whole.read_bytes() != film:
        return "the film is not whole"
    db = sqlite3.connect(state / "proof.db")
    try:
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        db.close()
    left = [path.name for path in (state / "media").iterdir() if path != whole]
    return f"left over: {left}" if left else "" if sound == "ok" else f"the proofs: {sound}"


def _hub(folder: Path, broker: LocalBroker) -> Victim:
    for name in ("srv/Disetujui", "state", "plugins"):
        (folder / name).mkdir(parents=True)
    tables = hub_tables(folder) | {
        "plugins.archive": {"enabled": False},
        "plugins.videotron": {"namespace": broker.namespace, "block_bytes": BLOCK_BYTES, "hold_off_s": 0.0},
        "plugins.videotron.broker": {
            "host": broker.host, "port": broker.port, "username": broker.hub_username, "password": broker.hub_password,
        },
        f"plugins.videotron.screens.{SCREEN}": {"width": SIZE[0], "height": SIZE[1]},
    }  # fmt: skip
    trust_each_other(folder / "state" / "plugins" / "videotron", {SCREEN: folder / "enrolled"})
    config = write_config(folder / "siarhub.toml", tables)
    return Victim(("siarhub", "run", "--config", str(config)), folder / "hub.log")


def _player_tables(state: Path, broker: LocalBroker) -> dict[str, dict[str, object]]:
    return {
        "": {"player": SCREEN, "state_dir": state},
        "broker": {
            "host": broker.host, "port": broker.port, "username": SCREEN, "password": broker.passwords[SCREEN],
            "namespace": broker.namespace,
        },
        "screen": {"width": SIZE[0], "height": SIZE[1]},
        "mpv": {"vo": "null"},
    }  # fmt: skip
