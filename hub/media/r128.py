"""The loudness meter: ffmpeg's ebur128 (EBU R128, ITU-R BS.1770), how it is asked and what it answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub.media.runner import Finished

SILENT_LUFS = -69.0  # the gate of BS.1770 is -70: a sound below it has no loudness
NO_PEAK_DBTP = -120.0  # instead of minus infinity, which JSON has no word for
OVERLOADED_DBTP = 2.0
FULL_SCALE_DB = -0.3
FLAT_TOPS = 6.0

Filters = tuple[tuple[str, tuple[int, ...], Mapping[str, str]], ...]

STEREO: Filters = (("aresample", (48000,), {}), ("aformat", (), {"channel_layouts": "stereo"}))
"""Every sound becomes stereo before it is measured: a mono file measures 3 LU too low (research: radio, section 6)."""
METER: Filters = (("ebur128", (), {"peak": "true", "framelog": "verbose"}),)
CLIPPING: Filters = (
    ("astats", (), {"measure_perchannel": "none", "measure_overall": "Peak_level+Flat_factor"}),
)  # fmt: skip
SPOKEN = ("-v", "level+info", "-nostats")
"""How ffmpeg must be told to log, so that the meter's answer is in the tail, and errors can be told from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """`seconds` is how much sound was decoded."""

    integrated_lufs: float
    true_peak_dbtp: float
    seconds: float
    clipped: bool = False  # its waves are cut off; only where that was asked for (CLIPPING)

    @property
    def is_silent(self) -> bool:
        return self.integrated_lufs <= SILENT_LUFS or self.true_peak_dbtp <= NO_PEAK_DBTP


def as_text(*groups: Filters) -> str:
    """Filters as one argument of `-af`."""
    return ",".join(
        name + ("=" + ":".join([*map(str, args), *(f"{k}={v}" for k, v in options.items())]) if args or options else "")
        for group in groups
        for name, args, options in group
    )


def readings(finished: Finished, count: int = 1) -> list[Loudness]:
    """What the last `count` meters of a run said, in the order of their filters; fewer when one said nothing.

    Only the last ones count, and only at the beginning of a line: the text of a file's own tags never stands there.
    """
    found = list(_SUMMARY.finditer(finished.tail))[-count:]
    in_order = sorted(found, key=lambda one: int(one["filter"]))
    read = [_reading(one["text"], finished) for one in in_order]
    return [one for one in read if one is not None]


_SUMMARY = re.compile(r"(?m)^\[Parsed_ebur128_(?P<filter>\d{1,4}) @ [^\]]*\] (?:\[info\] )?Summary:(?P<text>[^\[]*)")
_VALUE = r"(-?[\d.]+|-?inf|-?nan)"


def _reading(text: str, finished: Finished) -> Loudness | None:
    integrated = re.search(rf"\bI:\s+{_VALUE} LUFS", text)
    peak = re.search(rf"True peak:\s+Peak:\s+{_VALUE} dBFS", text)
    if integrated is None or peak is None:
        return None
    lufs, dbtp = float(integrated[1]), float(peak[1])
    return Loudness(
        integrated_lufs=lufs if math.isfinite(lufs) else -70.0,
        true_peak_dbtp=dbtp if math.isfinite(dbtp) else NO_PEAK_DBTP,
        seconds=finished.reached_s,
        clipped=_is_clipped(finished.tail, dbtp),
    )


def _is_clipped(tail: str, true_peak_dbtp: float) -> bool:
    """Flat tops at full scale; or, behind a lossy coding that has rounded them, peaks far above it."""
    overall = tail.rpartition("Overall\n")[2] if "Overall\n" in tail else ""
    peak, flat = re.search(r"Peak level dB: (-?[\d.]+)", overall), re.search(r"Flat factor: ([\d.]+)", overall)
    if peak is None or flat is None:
        return False
    return true_peak_dbtp >= OVERLOADED_DBTP or (float(peak[1]) >= FULL_SCALE_DB and float(flat[1]) >= FLAT_TOPS)
