"""kill -9 of the hub and of Liquidsoap at random moments while items air, judged by what Liquidsoap itself wrote."""

from __future__ import annotations

import asyncio
import collections
import json
import random
import secrets
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from hub.api import Aired, AiringState
from hub.ledger import facts
from hub.ledger.database import LedgerError, open_for_reading
from hub.media.samples import make_audio
from plugins.radio.local_playout import LocalPlayout
from tests.faults.process import Victim, hub_tables, write_config
from tests.faults.row import Row

KILLS, ITEMS = 60, 20
SHORT_KILLS, SHORT_ITEMS = 3, 2
SPOT_S = 1.5
WITHIN_S = 180.0


def main(short: bool = False) -> Row:
    """60 kills while 20 spots air (3 with 2 when short); the seed of the random moments is told."""
    seed = secrets.randbelow(1 << 32)
    _say(f"seed {seed}")
    kills, count = (SHORT_KILLS, SHORT_ITEMS) if short else (KILLS, ITEMS)
    return asyncio.run(_sweep(kills, count, random.Random(seed)))


async def _sweep(kills: int, count: int, chance: random.Random) -> Row:
    with tempfile.TemporaryDirectory(prefix="siar-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = await asyncio.to_thread(_samples, folder, count)
        playout = LocalPlayout(folder, output="dummy")
        await playout.start()
        hub = _hub(folder, playout)
        hub.start()
        try:
            killed = await _kill_while_they_air(folder, hub, playout, files, kills, chance)
            came = await asyncio.to_thread(hub.wait_until, lambda: _all_aired(folder, count), WITHIN_S)
            await asyncio.to_thread(hub.stop)
            return _judge(folder, playout.as_run, kills, killed, "" if came else hub.words())
        finally:
            await asyncio.to_thread(hub.stop)
            await playout.stop()


async def _kill_while_they_air(
    folder: Path, hub: Victim, playout: LocalPlayout, files: list[Path], kills: int, chance: random.Random
) -> int:
    """How often Liquidsoap was killed: about every third time."""
    waiting, executor_kills = list(files), 0
    for kill in range(kills):
        if waiting and kill % max(1, kills // len(files)) == 0:
            _drop(folder, waiting.pop())
        await asyncio.sleep(chance.uniform(0.5, 3.0))  # the moment of the kill is the point
        if kill % 3 == 2:
            executor_kills += 1
            await playout.kill()
            await playout.start()
        else:
            hub.kill()
            hub.start()
    for left in waiting:
        _drop(folder, left)
    return executor_kills


def _judge(folder: Path, as_run: Path, kills: int, executor_kills: int, trouble: str) -> Row:
    """An item may air again in its slot only when an attempt was cut off by the kill of Liquidsoap."""
    starts, ends = _tokens(as_run, "start"), _tokens(as_run, "end")
    lost = [f"{trouble[-800:]}"] if trouble else []
    slots = collections.Counter(token.rsplit(".", 1)[0] for token in starts)
    whole = collections.Counter(token.rsplit(".", 1)[0] for token in ends)
    doubled = [f"{token} began {times} times" for token, times in collections.Counter(starts).items() if times > 1]
    doubled += [f"slot {slot} aired whole {times} times" for slot, times in whole.items() if times > 1]
    if sum(times - 1 for times in slots.values()) > executor_kills:
        doubled.append(f"more repetitions than cuts: {slots}")
    told = collections.Counter((one.airing, one.state) for one in _aired(folder) if one.state is AiringState.AIRED)
    doubled += [f"{key} was told {times} times" for key, times in told.items() if times > 1]
    damaged = [f"{one.item}: aired for {one.seconds} s" for one in _aired(folder) if _is_short(one)]
    for kind, found in (("lost", lost), ("doubled", doubled), ("damaged", damaged)):
        for problem in found:
            _say(f"{kind}: {problem}")
    return Row(name="radio-kill", points=kills, lost=len(lost), doubled=len(doubled), damaged=len(damaged))


def _is_short(fact: Aired) -> bool:
    return fact.state is AiringState.AIRED and abs(fact.seconds - SPOT_S) > 0.6


def _tokens(as_run: Path, event: str) -> list[str]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in as_run.read_text().splitlines() if line.endswith("}")]
    return [str(line["id"]) for line in lines if line["ev"] == event and line.get("id")]


def _all_aired(folder: Path, count: int) -> bool:
    return len({one.item for one in _aired(folder) if one.state is AiringState.AIRED}) >= count


def _aired(folder: Path) -> list[Aired]:
    try:
        db = open_for_reading(folder / "state" / "ledger.db")
    except (LedgerError, sqlite3.Error, OSError):
        return []
    try:
        return [entry.fact for entry in facts.entries(db, limit=1_000_000) if isinstance(entry.fact, Aired)]
    finally:
        db.close()


def _drop(folder: Path, source: Path) -> None:
    shutil.copyfile(source, folder / "srv" / "Disetujui" / source.name)


def _hub(folder: Path, playout: LocalPlayout) -> Victim:
    for name in ("srv/Disetujui", "state", "plugins"):
        (folder / name).mkdir(parents=True)
    radio = {"socket": playout.socket, "media_folder": playout.media_folder, "as_run": playout.as_run}
    tables = hub_tables(folder) | {"plugins.radio": radio | {"every": "12 h", "max_attempts": 20}}
    config = write_config(folder / "siarhub.toml", tables)
    return Victim(("siarhub", "run", "--config", str(config)), folder / "hub.log")


def _samples(folder: Path, count: int) -> list[Path]:
    return [make_audio(folder / f"iklan {n}.wav", SPOT_S, 500 + 20 * n) for n in range(count)]


def _say(text: str) -> None:
    print(f"radio-kill: {text}", file=sys.stderr, flush=True)  # noqa: T201 - for the one who must find the bug
