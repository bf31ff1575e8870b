"""Kills and power cuts of a player that fetches, plays and proves; judged by its disk, its screen and its proofs."""

from __future__ import annotations

import asyncio
import collections
import copy
import json
import random
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from hub.api.files import sha256_of
from hub.media.samples import make_video
from plugins.videotron.player.agent import SystemClock
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.trusted import Limits, Trusted
from plugins.videotron.protocol import ProofEntry, ProofOfPlay, WireError, decode
from plugins.videotron.protocol.schedule import stale_at
from tests.faults import strace
from tests.faults.cuts_world import SCREEN, SIZE, World, dead_clock, world
from tests.faults.power_cut import Disk, Loss, tracing
from tests.faults.row import Judged, Row, row_of
from tests.faults.watched_screen import watched_screen

FAULTS, SHORT_FAULTS = 100, 7
RESTART_S = 0.2  # as systemd does
BLACK_S = 3.0
BACK_WITHIN_S = 60.0
PREFIXES, SHORT_PREFIXES = 40, 10  # of each power cut, looked at one by one
SAID = re.compile(rb'\\"epoch\\":(\d+),\\"seq\\":(\d+),\\"override\\":(\d+)')
SAID_PROOFS = re.compile(rb'\\"chain\\":\\"([0-9a-f]{16})\\",\\"proof_seq\\":(\d+)')
COLOURS = ("orange", "lime", "yellow", "pink", "cyan", "white", "gold", "silver")


class Fault(StrEnum):
    AGENT = "agent killed"
    MPV = "mpv killed"
    FROZEN = "mpv stopped"
    BOTH = "agent and mpv killed"
    CALL = "killed in a call"
    POWER = "power cut"


CYCLE = (
    Fault.POWER, Fault.AGENT, Fault.POWER, Fault.MPV, Fault.CALL, Fault.POWER, Fault.BOTH, Fault.FROZEN, Fault.MPV,
    Fault.POWER, Fault.AGENT, Fault.MPV, Fault.POWER, Fault.BOTH, Fault.AGENT, Fault.POWER, Fault.MPV, Fault.CALL,
)  # fmt: skip


def main(short: bool = False) -> Row:
    """100 faults (7 when short); the seed of the random moments is told."""
    strace.needed()
    seed = secrets.randbelow(1 << 32)
    _say(f"seed {seed}")
    return asyncio.run(_sweep(SHORT_FAULTS if short else FAULTS, random.Random(seed), short=short))


async def _sweep(count: int, chance: random.Random, *, short: bool) -> Row:
    with (
        tempfile.TemporaryDirectory(prefix="siar-", ignore_cleanup_errors=True) as name,
        watched_screen(*SIZE) as screen,
    ):
        async with world(Path(name), screen) as made:
            cuts = Cuts(made, chance, prefixes=SHORT_PREFIXES if short else PREFIXES)
            return await asyncio.to_thread(lambda: row_of("player-cuts", cuts.run(count)))


class Cuts:
    def __init__(self, made: World, chance: random.Random, *, prefixes: int) -> None:
        self._world = made
        self._chance = chance
        self._prefixes = prefixes
        self._traced: tuple[Disk, Path] | None = None
        self._black: dict[Fault, list[float]] = collections.defaultdict(list)
        self._back: dict[Fault, list[float]] = collections.defaultdict(list)
        self._stirred = 0
        self._states = 0  # of disks after a power cut, looked at

    def run(self, count: int) -> Iterator[Judged]:
        faults = [CYCLE[number % len(CYCLE)] for number in range(count)]
        self._drop(0)
        self._start(faults[0])
        if not self._world.until(lambda: self._world.complete, BACK_WITHIN_S):
            raise RuntimeError(f"nothing is shown: {self._world.player.words()} {self._world.hub.words()}")
        for number, fault in enumerate(faults):
            after = faults[number + 1] if number + 1 < count else Fault.MPV
            if fault is Fault.POWER or number % 10 == 3:
                self._stir(number)
            self._world.until(lambda: False, self._chance.uniform(0.1, 2.0))
            problems = list(self._strike(fault, after))
            yield Judged(damaged=bool(problems), why=f"{number} {fault}: {'; '.join(problems)}")
        yield from self._settle()
        yield from self._boot_alone()
        self._tell()

    # --- what goes on meanwhile

    def _stir(self, number: int) -> None:
        """Something new, so that the fault may meet any of the work with it: a film, an emergency, its end."""
        record = self._world.record
        before = record.newest, record.newest_override
        match self._stirred % 3:
            case 0:
                self._drop(number + 1)
            case 1:
                self._order("emergency", self._world.items()[0]["number"], "--why", "sweep")
            case 2:
                self._order("clear", "--why", "sweep")
        self._stirred += 1
        self._world.until(lambda: (record.newest, record.newest_override) != before, 10)

    def _drop(self, number: int) -> None:
        picture = f"color={COLOURS[number % len(COLOURS)]}"
        inbox = self._world.folder / "srv" / "Disetujui"
        made = make_video(self._world.folder / f"film {number}.mp4", 1.0 + number / 25, SIZE, picture=picture)
        shutil.move(made, inbox / made.name)

    def _order(self, *words: str) -> None:
        ran = self._world.siarhub("videotron", *words, "--screens", SCREEN, "--yes")
        if ran.returncode:
            _say(f"{words[0]}: {ran.stdout} {ran.stderr}")

    # --- the faults

    def _start(self, next_fault: Fault) -> None:
        player, state = self._world.player, self._world.state
        if next_fault is Fault.POWER:
            trace = self._world.folder / "trace"
            self._traced = Disk(state), trace
            player.start(tracing(trace))
        elif next_fault is Fault.CALL:
            call = self._chance.choice(("fsync", "rename", "pwrite64", "fdatasync", "openat"))
            when = self._chance.randint(400, 1500) if call == "openat" else self._chance.randint(1, 30)
            player.start(strace.killing(strace.Point(call=call, when=when)))
        else:
            player.start()

    def _strike(self, fault: Fault, after: Fault) -> Iterator[str]:
        made, at = self._world, time.monotonic()
        before = set(made.mpv_pids())
        match fault:
            case Fault.MPV:
                made.kill(*made.mpv_pids())
            case Fault.FROZEN:
                made.kill(*made.mpv_pids(), number=signal.SIGSTOP)
                made.until(lambda: False, 6.0)
            case Fault.AGENT:
                made.kill(made.agent_pid())
            case Fault.BOTH:
                made.kill(made.agent_pid(), *made.mpv_pids())
            case Fault.CALL:
                made.until(lambda: not made.player.running, 5.0)
                at = time.monotonic()
            case Fault.POWER:
                made.kill(made.agent_pid(), *made.mpv_pids())
                made.until(lambda: not made.player.running, 10.0)
                yield from self._cut_power()
                at = time.monotonic()
        if fault in (Fault.MPV, Fault.FROZEN):
            made.until(lambda: made.mpv_pids() and not before & set(made.mpv_pids()), BACK_WITHIN_S)
        yield from self._come_back(fault, after, at)

    def _come_back(self, fault: Fault, after: Fault, at: float) -> Iterator[str]:
        """The player is started again if it must be, and has a picture in time; and soon all that it should."""
        made = self._world
        wants_trace = after in (Fault.POWER, Fault.CALL)  # so the player must be started anew
        if fault not in (Fault.MPV, Fault.FROZEN) or wants_trace:
            made.player.kill()
            made.until(lambda: False, RESTART_S)
            self._start(after)
        said = made.record.state
        if after is Fault.CALL:  # it may be killed before that
            return
        if not made.until(lambda: made.complete and made.record.state is not said, BACK_WITHIN_S):
            yield f"not complete again: {made.record.newest} {made.record.state} {made.player.words(600)}"
        made.until(lambda: made.screen.back_at(at) is not None, BACK_WITHIN_S)
        picture = made.screen.back_at(at)
        if picture is None or picture - at > BACK_WITHIN_S:
            yield "no picture"
            return
        self._back[fault].append(picture - at)
        black = made.screen.black_s(at, time.monotonic())
        self._black[fault].append(black)
        if black > BLACK_S and fault in (Fault.MPV, Fault.FROZEN, Fault.AGENT) and not wants_trace:
            yield f"black for {black:.1f} s"

    # --- power

    def _cut_power(self) -> Iterator[str]:
        """What the disk would have at many moments of the run; the player goes on with what it has at the end."""
        assert self._traced is not None
        (disk, trace), made = self._traced, self._world
        target = made.folder / "cut"
        steps = sum(1 for _ in copy.deepcopy(disk).replay(trace))
        every = max(1, steps // self._prefixes)
        for step, _ in enumerate(disk.replay(trace)):
            if step % every == 0:
                yield from self._look_at(disk, target)
        loss = self._chance.choice(list(Loss))
        disk.cut(target, loss, self._chance)
        said, look = made.record.state, made.folder / "look"
        shutil.copytree(target, look)
        if said is not None and (less := _less_than(look, (said.epoch, said.seq), said.override, {})):
            yield f"after {loss}: {less}"
        shutil.rmtree(look)
        shutil.rmtree(made.state)
        target.replace(made.state)

    def _look_at(self, disk: Disk, target: Path) -> Iterator[str]:
        text = b"".join(disk.sent)
        version = max(((int(e), int(s)) for e, s, _ in SAID.findall(text)), default=(0, 0))
        override = max((int(o) for _, _, o in SAID.findall(text)), default=0)
        proofs: dict[str, int] = {}
        for chain, seq in SAID_PROOFS.findall(text):
            proofs[chain.decode()] = max(int(seq), proofs.get(chain.decode(), 0))
        for loss in Loss:
            self._states += 1
            disk.cut(target, loss, self._chance)
            if less := _less_than(target, version, override, proofs):
                yield f"after {loss}: {less}"

    def _boot_alone(self) -> Iterator[Judged]:
        """No hub, no broker, and (where libfaketime is installed) a clock that stands in 1970."""
        made = self._world
        made.player.kill()
        made.cut_off()
        made.until(lambda: made.screen.looks[-1][1], 5)
        with dead_clock() as what:
            at = time.monotonic()
            made.player.start()
            came = made.until(lambda: (made.screen.back_at(at) or at) > at, BACK_WITHIN_S)
            took = (made.screen.back_at(at) or at) - at
            playing = made.until(lambda: any(made.playing()), BACK_WITHIN_S)
            made.player.kill()
        _say(f"start without network, {what}: picture after {took:.1f} s")
        yield Judged(damaged=not (came and playing), why=f"start without network, {what}: {made.player.words(600)}")

    # --- the end

    def _settle(self) -> Iterator[Judged]:
        """What all of it has come to."""
        made = self._world
        checks: dict[str, Callable[[], list[str]]] = {
            "shown": self._wrongly_shown,
            "disk": self._left_on_disk,
            "proofs": self._wrongly_proved,
        }
        made.until(lambda: not (made.record.state and made.record.state.proofs_waiting > 3), 20)
        for name, check in checks.items():
            found = check()
            yield Judged(damaged=bool(found), why=f"{name}: {found[:5]}")

    def _wrongly_shown(self) -> list[str]:
        made, allowed = self._world, self._world.record.hashes()
        wrong = [name for name, right in made.shown.items() if not right]
        wrong += [name for name in made.shown if Path(name).stem not in allowed]
        return wrong + made.record.unsigned

    def _left_on_disk(self) -> list[str]:
        state = self._world.state
        films = [path for path in (state / "media").iterdir() if path.suffix == ".mp4"]
        bad = [path.name for path in films if sha256_of(path) != path.stem]
        bad += [path.name for path in (state / "media").iterdir() if path not in films and path.suffix != ".part"]
        litter = [path.name for path in state.iterdir() if ".spoiled-" in path.name or path.suffix == ".tmp"]
        return bad + litter if len(litter) > 1 else bad

    def _wrongly_proved(self) -> list[str]:
        """By the hub's own check of the month, and by what was signed when each film was shown."""
        made, month = self._world, datetime.now(UTC) + timedelta(hours=8)
        out = made.folder / "month.jsonl"
        ran = made.siarhub("videotron", "verify-proof", SCREEN, f"{month:%Y-%m}", "--json", "--out", str(out))
        found = json.loads(ran.stdout or "{}").get("problems", [ran.stderr]) if ran.returncode else []
        return [*map(str, found), *(why for entry in _entries(out) if (why := self._unfounded(entry)))]

    def _unfounded(self, entry: ProofEntry) -> str:
        """Why nothing signed allowed this play; "" = something did."""
        record = self._world.record
        if any(film.sha256 == entry.sha256 for override in record.overrides.values() for film in override.films):
            return ""
        manifest = record.manifests.get((entry.epoch, entry.manifest))
        if manifest is None:
            return f"{entry.item} by manifest {entry.manifest}, which nobody signed"
        for item in manifest.items:
            if item.sha256 == entry.sha256 and item.start <= entry.started_at < stale_at(manifest, item):
                return ""
        return f"{entry.item} is not in manifest {entry.manifest} at {entry.started_at}"

    def _tell(self) -> None:
        for fault in Fault:
            if self._back[fault]:
                black, back = max(self._black[fault]), max(self._back[fault])
                _say(f"{fault}: {len(self._back[fault])}; black for {black:.1f} s at most; picture after {back:.1f} s")
        _say(f"{self._states} disks after a power cut were looked at; {len(self._world.shown)} films were seen in mpv")


def _less_than(state: Path, version: tuple[int, int], override: int, proofs: dict[str, int]) -> str:
    """What of that this disk does not have any more; "" = nothing. Looking does not change the next start."""
    trusted = Trusted(
        state,
        player=SCREEN,
        chain=None,
        time=Timekeeper(SystemClock()),
        limits=Limits(file_bytes=1 << 30, total_bytes=1 << 30),
    )
    trusted.load()
    if trusted.troubles:
        return f"{trusted.troubles}"
    if trusted.version < version or trusted.override_counter < override:
        return f"follows {trusted.version} and order {trusted.override_counter}; it had said {version} and {override}"
    spoiled: list[Path] = []
    log = ProofLog(state / "proof.db", boot="0" * 16, keep=100_000, set_aside=spoiled.append)
    try:
        if spoiled or log.trouble:
            return f"the record of plays: {spoiled or log.trouble}"
        if log.seq < proofs.get(log.chain, 0):
            return f"{log.seq} plays; it had said {proofs}"
        return ""
    finally:
        log.close()


def _entries(path: Path) -> Iterator[ProofEntry]:
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            proof = decode(ProofOfPlay, json.loads(line)["envelope"].encode())
        except (WireError, KeyError, AttributeError):
            continue
        yield from (ProofEntry.model_validate_json(text) for text in proof.entries)


def _say(text: str) -> None:
    print(f"player-cuts: {text}", file=sys.stderr, flush=True)  # noqa: T201 - figures, and what must be found
