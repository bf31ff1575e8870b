"""Kills and power cuts of a player that fetches, plays and proves; judged by its disk, its screen and its proofs."""

from __future__ import annotations

import asyncio
import collections
import copy
import random
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

from hub.media.samples import make_video
from tests.faults import strace
from tests.faults.cuts_judge import left_on_disk, less_than, wrongly_proved, wrongly_shown
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
    Fault.POWER, Fault.AGENT, Fault.POWER, Fault.MPV, Fault.BOTH, Fault.POWER, Fault.CALL, Fault.FROZEN, Fault.MPV,
    Fault.AGENT, Fault.POWER, Fault.BOTH, Fault.POWER, Fault.MPV, Fault.AGENT, Fault.POWER, Fault.CALL, Fault.MPV,
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
        made, lives = self._world, fault in (Fault.MPV, Fault.FROZEN)
        if not lives:
            made.player.kill()
            made.until(lambda: False, RESTART_S)
            self._start(after)
        if lives or after is not Fault.CALL:  # else it may be killed before that
            yield from self._judge_picture(fault, at)
        if lives and after in (Fault.POWER, Fault.CALL):  # what comes next must be there from the start
            made.player.kill()
            self._start(after)
        said = made.record.state
        if after is Fault.CALL or made.until(lambda: made.complete and made.record.state is not said, BACK_WITHIN_S):
            return
        yield f"not complete again: {made.record.newest} {made.record.state} {made.player.words(600)}"

    def _judge_picture(self, fault: Fault, at: float) -> Iterator[str]:
        made = self._world
        made.until(lambda: made.screen.back_at(at) is not None, BACK_WITHIN_S)
        picture = made.screen.back_at(at)
        if picture is None:
            yield "no picture"
            return
        black = made.screen.black_s(at, time.monotonic())
        self._back[fault].append(picture - at)
        self._black[fault].append(black)
        if black > BLACK_S and fault in (Fault.MPV, Fault.FROZEN, Fault.AGENT):
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
        if said is not None and (less := less_than(look, (said.epoch, said.seq), said.override, {})):
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
            if less := less_than(target, version, override, proofs):
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
            "shown": lambda: wrongly_shown(made),
            "disk": lambda: left_on_disk(made),
            "proofs": lambda: wrongly_proved(made),
        }
        made.until(lambda: not (made.record.state and made.record.state.proofs_waiting > 3), 20)
        for name, check in checks.items():
            found = check()
            yield Judged(damaged=bool(found), why=f"{name}: {found[:5]}")

    def _tell(self) -> None:
        for fault in Fault:
            if self._back[fault]:
                black, back = max(self._black[fault]), max(self._back[fault])
                _say(f"{fault}: {len(self._back[fault])}; black for {black:.1f} s at most; picture after {back:.1f} s")
        _say(f"{self._states} disks after a power cut were looked at; {len(self._world.shown)} films were seen in mpv")


def _say(text: str) -> None:
    print(f"player-cuts: {text}", file=sys.stderr, flush=True)  # noqa: T201 - figures, and what must be found
