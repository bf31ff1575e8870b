"""What is wrong with this player, in the words of the protocol: pure, of facts that others have gathered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from plugins.videotron.player.machine import Readings
from plugins.videotron.protocol import Attack, Manifest, Problem, Rejection, Trouble

SILENCE = timedelta(days=1)  # the hub signs a manifest anew every few hours
AHEAD = timedelta(minutes=2)
HOT_C = 85.0  # processors begin to slow down here
MEMORY_SHORT_MB = 100
DROPS_PER_MINUTE = 25  # a second of every minute
REJECTED_LATELY = timedelta(hours=1)
MOST = 20  # that a state takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How things are; what a caller cannot tell stays as it is here, and is no trouble."""

    now: datetime  # what the player goes by
    clock: datetime  # what its machine shows
    behind: timedelta = timedelta(0)  # the clock, as far as something signed proves it
    ahead: timedelta = timedelta(0)  # of what the hub said last, live
    manifest: Manifest | None = None
    keys_expire: datetime | None = None
    size: tuple[int, int] | None = None  # of the screen, as configured here
    rejections: Sequence[Rejection] = ()
    machine: Readings = field(default_factory=Readings)
    mpv: str = ""  # why there is no picture
    frozen: str = ""  # why the picture was called frozen
    output: str = ""  # what is wrong with the display
    misfit: str = ""  # the picture is not where it should be on the output
    dropped_per_minute: float = 0.0
    free_bytes: int | None = None
    keep_free_bytes: int = 0
    disk: str = ""  # what could not be written or read
    missing: Sequence[str] = ()  # of each film that should be here and cannot come: why
    broken: Sequence[str] = ()  # of each film that cannot be played: which
    proofs: str = ""  # what was lost of the proofs
    spoiled: Sequence[str] = ()  # what of the state on the disk could not be used
    others: Sequence[str] = ()


def problems(facts: Facts) -> tuple[Problem, ...]:
    """What a technician should know, the gravest first, at most 20."""
    found = [
        *_picture(facts),
        *_authority(facts),
        *_clock(facts),
        *_films(facts),
        *_disk(facts),
        *_machine(facts),
        *[_problem(Trouble.OTHER, text) for text in facts.others],
    ]
    return tuple(found[:MOST])


def _picture(facts: Facts) -> Iterator[Problem]:
    told = {Trouble.NO_OUTPUT: facts.output, Trouble.MPV_DOWN: facts.mpv, Trouble.FROZEN: facts.frozen}
    yield from (_problem(code, text) for code, text in told.items() if text)
    if facts.misfit:
        yield _problem(Trouble.WRONG_SIZE, facts.misfit)
    screen = facts.manifest.screen if facts.manifest else None
    if screen and facts.size and (screen.width, screen.height) != facts.size:
        here = f"{facts.size[0]}x{facts.size[1]}"
        yield _problem(Trouble.WRONG_SIZE, f"the hub sends {screen.width}x{screen.height}, the screen here has {here}")


def _authority(facts: Facts) -> Iterator[Problem]:
    manifest, now = facts.manifest, facts.now
    if manifest is None:
        yield _problem(Trouble.NO_MANIFEST, "the hub has not told what this screen may show")
    elif manifest.expires <= now:
        yield _problem(Trouble.EXPIRED, f"since {_time(manifest.expires)}")
    elif now - manifest.issued > SILENCE:
        yield _problem(Trouble.SILENCE, f"the newest is of {_time(manifest.issued)}")
    if facts.keys_expire is not None and facts.keys_expire <= now:
        yield _problem(Trouble.KEYS_EXPIRED, f"since {_time(facts.keys_expire)}")
    lately = [one for one in facts.rejections if now - one.last < REJECTED_LATELY and not _is_an_old_copy(one)]
    if lately:
        count, kinds = sum(one.count for one in lately), sorted({one.attack for one in lately})
        yield _problem(Trouble.REJECTIONS, f"{count} times, the last within the hour: {', '.join(kinds)}")


def _clock(facts: Facts) -> Iterator[Problem]:
    if facts.behind > timedelta(0):
        yield _problem(Trouble.CLOCK_BEHIND, f"by at least {spoken(facts.behind)}: it shows {_time(facts.clock)}")
    elif facts.ahead > AHEAD:
        yield _problem(Trouble.CLOCK_AHEAD, f"by {spoken(facts.ahead)}: it shows {_time(facts.clock)}")


def _films(facts: Facts) -> Iterator[Problem]:
    yield from (_problem(Trouble.FILM_BROKEN, text) for text in facts.broken[:5])
    yield from (_problem(Trouble.FILM_MISSING, text) for text in facts.missing[:5])
    yield from (_problem(Trouble.STATE_SPOILED, text) for text in facts.spoiled[:3])
    if facts.proofs:
        yield _problem(Trouble.PROOFS_LOST, facts.proofs)


def _disk(facts: Facts) -> Iterator[Problem]:
    if facts.free_bytes is not None and facts.free_bytes < facts.keep_free_bytes:
        left, kept = facts.free_bytes >> 20, facts.keep_free_bytes >> 20
        yield _problem(Trouble.DISK_FULL, f"about {_round(left, 20)} MB are free; {kept} MB must stay free")
    if facts.disk:
        yield _problem(Trouble.DISK_ERROR, facts.disk)
    elif facts.machine.disk_errors:
        yield _problem(Trouble.DISK_ERROR, f"the file system has noted {facts.machine.disk_errors} errors")


def _machine(facts: Facts) -> Iterator[Problem]:
    machine = facts.machine
    if machine.memory_mb is not None and machine.memory_mb < MEMORY_SHORT_MB:
        yield _problem(Trouble.MEMORY, f"about {_round(machine.memory_mb, 20)} MB are free")
    degrees = "" if machine.temperature_c is None else f"about {_round(machine.temperature_c, 5)} °C"
    if machine.slowed or (machine.temperature_c is not None and machine.temperature_c >= HOT_C):
        yield _problem(Trouble.HOT, ", ".join(part for part in (degrees, "slowed down" * bool(machine.slowed)) if part))
    if machine.undervolted:
        yield _problem(Trouble.POWER, "now")
    if facts.dropped_per_minute > DROPS_PER_MINUTE:
        yield _problem(Trouble.DROPPED_FRAMES, f"about {_round(facts.dropped_per_minute, 50) or 25} a minute")


def _round(value: float, step: int) -> int:
    """Coarse, so that a state is not told anew for every flicker of a figure."""
    return round(value / step) * step


def spoken(span: timedelta) -> str:
    """A length of time as people say it: "40 s", "3 h", "2 days"."""
    seconds = abs(span.total_seconds())
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _problem(code: Trouble, text: str) -> Problem:
    return Problem(code=code.value, text=text[:300])


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _is_an_old_copy(one: Rejection) -> bool:
    """A broker that was killed gives out what it had saved last, which may be a manifest of before: once, by itself."""
    return one.attack == Attack.ROLLBACK and one.count == 1
