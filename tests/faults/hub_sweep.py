"""kill -9 of the hub at random moments while items flow through the whole chain, and the judgement from outside."""

from __future__ import annotations

import asyncio
import collections
import os
import random
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hub.api import Filed, Played
from hub.demo.stage import stage
from hub.media.samples import make_audio, make_poster, make_video
from tests.faults.row import Row
from tests.system.chain import Chain, verify_bag

KILLS, ITEMS = 200, 30
SHORT_KILLS, SHORT_ITEMS = 4, 3
LIFE_S = (0.3, 2.5)  # how long a hub lives until it is killed
ACCEPTED_WITHIN_S = 240.0
FILED_WITHIN_S = 900.0


def main(short: bool = False) -> Row:
    """200 kills with 30 items (4 with 3 when short); the seed of the random moments is told."""
    seed = secrets.randbelow(1 << 32)
    print(f"hub-kill: seed {seed}", file=sys.stderr, flush=True)  # noqa: T201 - to see the same again
    kills, count = (SHORT_KILLS, SHORT_ITEMS) if short else (KILLS, ITEMS)
    return asyncio.run(_sweep(kills, count, random.Random(seed)))


async def _sweep(kills: int, count: int, chance: random.Random) -> Row:
    with tempfile.TemporaryDirectory(prefix="siar-", ignore_cleanup_errors=True) as folder:
        async with stage(Path(folder) / "s", approval="none") as ready:
            files = await asyncio.to_thread(samples, Path(folder), count)
            return await kill_and_judge(Chain(ready), files, kills, chance)


async def kill_and_judge(chain: Chain, files: list[Path], kills: int, chance: random.Random) -> Row:
    """Drop the files while the hub is killed again and again; how it stands when all is quiet again."""
    await _kill_while_items_flow(chain, list(files), kills, chance)
    problems: dict[str, list[str]] = {"lost": [], "doubled": [], "damaged": []}
    for kind, problem in [(kind, problem) async for kind, problem in _problems(chain, len(files))]:
        problems[kind].append(problem)
        print(f"hub-kill: {kind}: {problem}", file=sys.stderr, flush=True)  # noqa: T201 - what must be found
    counts = {kind: len(found) for kind, found in problems.items()}
    return Row(name="hub-kill", points=kills, **counts)


def samples(folder: Path, count: int) -> list[Path]:
    """That many small files, each with other bytes: films, spots, posters in turn."""
    return [_sample(folder, number) for number in range(count)]


async def _kill_while_items_flow(chain: Chain, files: list[Path], kills: int, chance: random.Random) -> None:
    every = max(1, min(2, kills // len(files)))
    for kill in range(kills):
        if kill % every == 0 and files:
            chain.drop(files.pop())
        await asyncio.sleep(chance.uniform(*LIFE_S))  # the moment of the kill is the point
        await chain.stage.hub.kill()
        await chain.stage.hub.start()
    for left in files:
        chain.drop(left)


async def _problems(chain: Chain, count: int):  # type: ignore[no-untyped-def]
    for kind, what, check, within_s in (
        ("lost", "not all accepted", lambda: len(chain.items()) >= count and not _waiting(chain), ACCEPTED_WITHIN_S),
        ("lost", "not all filed", lambda: len(_filed(chain)) >= count, FILED_WITHIN_S),
        ("lost", "no receipt says how it is", lambda: not list(_receipt_problems(chain)), 30.0),
        ("doubled", "processes are left over", lambda: not _orphans(chain), 30.0),
    ):
        try:
            await chain.until(what, check, within_s)
        except AssertionError:
            yield kind, f"{what}: {[*_receipt_problems(chain), *_orphans(chain)]}"
    for found in await asyncio.to_thread(lambda: list(_judge(chain, count))):
        yield found


def _judge(chain: Chain, count: int) -> Iterator[tuple[str, str]]:
    yield from _numbering(chain.items(), count)
    for item in chain.items():
        yield from _deliveries(item)
    for number, times in _filed(chain).items():
        if times > 1:
            yield "doubled", f"{number} was filed {times} times"
    plays = collections.Counter((one.destination, one.item, one.started_at) for one in chain.facts(Played))
    if not plays:
        yield "lost", "no proof of play"
    for play, times in plays.items():
        if times > 1:
            yield "doubled", f"one play was proved {times} times: {play}"
    for reason in chain.reasons():
        yield "doubled", f"refused: {reason.name}: {reason.read_text()}"
    if len(chain.receipts()) != count:
        yield "doubled" if len(chain.receipts()) > count else "lost", f"{len(chain.receipts())} receipts"
    for month in chain.month_folders():
        if said := verify_bag(month):
            yield "damaged", f"{month}: {said}"


def _numbering(items: list[dict[str, object]], count: int) -> Iterator[tuple[str, str]]:
    serials = sorted(int(str(item["number"]).rsplit("-", 1)[1]) for item in items)
    if missing := set(range(1, count + 1)) - set(serials):
        yield "lost", f"numbers {sorted(missing)}"
    if len(serials) > count or len(set(serials)) < len(serials):
        yield "doubled", f"numbers {serials}"
    if len({str(item["sha256"]) for item in items}) < len(items):
        yield "doubled", "two items of the same bytes"


def _deliveries(item: dict[str, object]) -> Iterator[tuple[str, str]]:
    rows: list[dict[str, str]] = list(item["deliveries"])  # type: ignore[call-overload]
    where = collections.Counter((row["plugin"], row["destination"]) for row in rows)
    if not rows or any(row["state"] not in ("delivered", "played") for row in rows):
        yield "lost", f"{item['number']}: {[(row['destination'], row['state']) for row in rows]}"
    if any(times > 1 for times in where.values()):
        yield "doubled", f"{item['number']}: {where}"


def _filed(chain: Chain) -> collections.Counter[str]:
    return collections.Counter(str(one.item) for one in chain.facts(Filed))


def _receipt_problems(chain: Chain) -> Iterator[str]:
    """Items whose receipt, beside the original, does not say number, bytes and where it is filed."""
    texts = {text.split()[2]: text for text in (path.read_text() for path in chain.receipts())}
    filed = {str(one.item): one.path for one in chain.facts(Filed)}
    for item in chain.items():
        text = texts.get(item["number"], "")
        wanted = [*_as_list(item["sha256"]), filed.get(item["number"], "it is not filed")]
        if lacking := [one for one in wanted if one not in text]:
            yield f"the receipt of {item['number']} lacks {lacking}"


def _as_list(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _waiting(chain: Chain) -> list[Path]:
    return [one for one in chain.inbox.iterdir() if one.suffix in (".mp4", ".wav", ".png")]


def _orphans(chain: Chain) -> list[str]:
    """Processes that name our folder, and have no ancestor among those that we started."""
    processes = {int(entry.name): _look(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    ours = str(chain.stage.folder)
    return [
        f"{pid}: {command[:200]}"
        for pid, (_, command) in processes.items()
        if ours in command and not _descends(pid, processes)
    ]


def _descends(pid: int, processes: dict[int, tuple[int, str]]) -> bool:
    while pid in processes:
        if pid == os.getpid():
            return True
        pid = processes[pid][0]
    return False


def _look(entry: Path) -> tuple[int, str]:
    """(parent, command line) of a process; nothing when it is gone."""
    try:
        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        return parent, (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (OSError, ValueError, IndexError):
        return 0, ""


def _sample(folder: Path, number: int) -> Path:
    match number % 3:
        case 0:
            return make_video(folder / f"video {number}.mp4", 1.0, (96, 64), tone_hz=300 + number)
        case 1:
            return make_audio(folder / f"iklan {number}.wav", 1.0, 500 + 10 * number)
        case _:
            return make_poster(folder / f"poster {number}.png", (100 + 2 * number, 80))
