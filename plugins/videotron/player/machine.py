"""How the machine at the screen is: memory, temperature, voltage, uptime, the disk's errors."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plugins.videotron.player.vitals import Vitals
from plugins.videotron.protocol import Machine

# bcm2711's firmware: docs of `vcgencmd get_throttled`. Bits 16 and up tell of the past and never go out again.
UNDER_VOLTAGE, FREQUENCY_CAPPED, THROTTLED, SOFT_LIMIT = 1, 2, 4, 8
SANE_C = (-40.0, 150.0)  # a sensor that is not connected says 0 K or its highest number


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the machine says of itself; None where it cannot tell."""

    memory_mb: int | None = None  # free
    temperature_c: float | None = None  # of the hottest part
    slowed: bool | None = None  # by its own protection against heat
    undervolted: bool | None = None  # now
    uptime_s: int | None = None
    disk_errors: int | None = None  # that ext4 has ever noted on the disk with the films

    def document(self, mpv: Vitals) -> Machine:
        """As it goes to the hub, with how mpv is."""
        known = [one for one in (self.slowed, self.undervolted) if one is not None]
        return Machine(
            memory_mb=self.memory_mb,
            mpv_memory_mb=round(mpv.memory_mb) or None,
            temperature_c=self.temperature_c,
            throttled=any(known) if known else None,
            uptime_s=self.uptime_s,
            output=_output(mpv),
            decoder="" if mpv.hwdec == "no" else mpv.hwdec[:40],
            dropped_frames=max(0, mpv.dropped_by_output) + max(0, mpv.dropped_by_decoder),
            disk_errors=self.disk_errors,
        )


def read_machine(folder: Path, *, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Readings:
    """The readings now, with the errors of the disk on which `folder` is. Blocks for some milliseconds."""
    firmware = _integer(sys / "devices/platform/soc/soc:firmware/get_throttled", base=16)
    return Readings(
        memory_mb=_free_memory_mb(proc, sys),
        temperature_c=_hottest(sys),
        slowed=None if firmware is None else bool(firmware & (FREQUENCY_CAPPED | THROTTLED | SOFT_LIMIT)),
        undervolted=_undervolted(sys, firmware),
        uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
        disk_errors=_disk_errors(folder, sys),
    )


def _free_memory_mb(proc: Path, sys: Path) -> int | None:
    """What programs may still have. A hardened service does not see /proc/meminfo, but the same by memory node."""
    if available := _amounts(proc / "meminfo", "MemAvailable"):
        return available[0] // 1024
    nodes = _found(sys / "devices/system/node", "node*/meminfo")
    amounts = [kb for path in nodes for kb in _amounts(path, "MemFree", "Active(file)", "Inactive(file)")]
    return sum(amounts) // 1024 if amounts else None


def _amounts(path: Path, *names: str) -> list[int]:
    """The kilobytes in lines such as `MemFree: 5 kB` and `Node 0 MemFree: 5 kB`."""
    found = []
    for line in _text(path).splitlines():
        name, _, rest = line.partition(":")
        if name.split()[-1:] and name.split()[-1] in names and (words := rest.split()) and words[0].isdecimal():
            found.append(int(words[0]))
    return found


def _hottest(sys: Path) -> float | None:
    sensors = [*_found(sys / "class/thermal", "thermal_zone*/temp"), *_found(sys / "class/hwmon", "hwmon*/temp*_input")]
    degrees = [value / 1000 for path in sensors if (value := _integer(path)) is not None]
    return max((value for value in degrees if SANE_C[0] < value < SANE_C[1]), default=None)


def _undervolted(sys: Path, firmware: int | None) -> bool | None:
    alarms = [_integer(path) for path in _found(sys / "class/hwmon", "hwmon*/in0_lcrit_alarm")]
    known = [bool(alarm) for alarm in alarms if alarm is not None]
    if firmware is not None:
        known.append(bool(firmware & UNDER_VOLTAGE))
    return any(known) if known else None


def _disk_errors(folder: Path, sys: Path) -> int | None:
    try:
        number = folder.stat().st_dev
        device = (sys / "dev/block" / f"{os.major(number)}:{os.minor(number)}").resolve(strict=True).name
    except OSError:
        return None
    return _integer(sys / "fs/ext4" / device / "errors_count")


def _output(mpv: Vitals) -> str:
    """ "gpu 1920x1080"; "" = mpv has no output."""
    size = f" {mpv.width}x{mpv.height}" if mpv.width and mpv.height else ""
    return f"{mpv.output}{size}"[:80]


def _found(folder: Path, pattern: str) -> Iterable[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return ()


def _integer(path: Path, *, base: int = 10) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def _text(path: Path) -> str:
    """ "" when there is nothing that can be read; drivers answer with every error that there is."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except (OSError, ValueError):
        return ""
