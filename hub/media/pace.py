"""How long a plan takes: the work in seconds of one core, divided by the cores; corrected by what was really seen."""

from __future__ import annotations

import json
import os
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.api.files import write_atomically
from hub.api.models import AudioProfile, MediaInfo, MediaKind, VideoProfile
from hub.media.planner import Step, TranscodePlan, Way, duration_of

START_S = 0.3  # a tool in its jail, and a look at what it made
REMEMBERED = 20  # transcodes, the latest
_DECODE = 0.004  # seconds of one core for a million pixels of H.264; measured, as those below
_CHECK = 0.0005  # the same for keyframes alone
_ENCODE = 0.021  # the same for libx264 veryfast
_SOUND = 0.012  # seconds of one core for a second of sound: gain, perhaps a limiter, coding
_MEASURE = 0.004
_PRESETS = {
    "ultrafast": 0.5, "superfast": 0.75, "veryfast": 1.0, "faster": 1.5, "fast": 1.8, "medium": 2.1, "slow": 3.5,
    "slower": 7.0, "veryslow": 12.0, "placebo": 40.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Seconds that a plan takes: `runs_s` of each run of ffmpeg, and `checks_s` of looking at all that was made."""

    runs_s: tuple[float, ...]
    checks_s: float

    @property
    def seconds(self) -> float:
        return sum(self.runs_s) + self.checks_s

    @property
    def shares(self) -> tuple[float, ...]:
        """What part of the making each run is; together 1."""
        whole = sum(self.runs_s)
        return tuple(run / whole for run in self.runs_s)


def expect(media: MediaInfo, plan: TranscodePlan, *, factor: float = 1.0, cores: int = 0) -> Expectation:
    """How long this plan takes on `cores` cores (0: those of this process), times `factor`."""
    wide = (cores or len(os.sched_getaffinity(0))) ** 0.85  # not all of the work can be shared out
    runs = tuple(factor * _run_seconds(media, steps, wide) for steps in plan.runs)
    checks = factor * sum(_check_seconds(media, step, wide) for step in plan.steps)
    return Expectation(runs_s=runs, checks_s=checks)


class Pace:
    """How much slower (or quicker) this machine lately was than expected. Kept in a small file; only a hint."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: deque[float] = deque(_read(path), maxlen=REMEMBERED)

    @property
    def factor(self) -> float:
        return statistics.median(self._seen) if self._seen else 1.0

    def note(self, *, expected_s: float, took_s: float) -> None:
        """Remember one transcode; `expected_s` is without the factor. Blocks."""
        self._seen.append(min(50.0, max(0.02, took_s / max(0.01, expected_s))))
        try:
            write_atomically(self._path, json.dumps([round(one, 3) for one in self._seen]))
        except OSError:  # a full disk: it is still known until the next start
            return


def _run_seconds(media: MediaInfo, steps: Sequence[Step], wide: float) -> float:
    pictures = [step.profile for step in steps if step.way is Way.ENCODE and isinstance(step.profile, VideoProfile)]
    seconds = max(step.duration_s for step in steps)
    picture = sum(_encode_seconds(profile, duration_of(media, profile), media) for profile in pictures)
    if media.kind is MediaKind.VIDEO and any(
        not isinstance(step.profile, AudioProfile) for step in steps if _coded(step)
    ):
        picture += _DECODE * _megapixels(media.width, media.height) * (media.fps or 25) * seconds
    sound = sum(_SOUND * step.duration_s for step in steps if isinstance(step.profile, AudioProfile) and _coded(step))
    copied = 0.002 * seconds * sum(1 for step in steps if not _coded(step))
    return START_S + (picture / wide) + sound + copied


def _coded(step: Step) -> bool:
    return step.way is Way.ENCODE


def _encode_seconds(profile: VideoProfile, seconds: float, media: MediaInfo) -> float:
    rest = 1.0 if media.kind is MediaKind.VIDEO else 0.3  # a still repeats itself
    work = _megapixels(profile.width, profile.height) * profile.fps * seconds
    return work * _ENCODE * _PRESETS.get(profile.preset, 1.0) * rest


def _check_seconds(media: MediaInfo, step: Step, wide: float) -> float:
    if isinstance(step.profile, VideoProfile):
        work = _megapixels(step.profile.width, step.profile.height) * step.profile.fps * step.duration_s
        return START_S + work * _CHECK / wide
    return START_S + (_MEASURE * step.duration_s if isinstance(step.profile, AudioProfile) else 0.0)


def _megapixels(width: int | None, height: int | None) -> float:
    return (width or 0) * (height or 0) / 1_000_000


def _read(path: Path) -> list[float]:
    try:
        return [float(one) for one in json.loads(path.read_bytes()) if 0.0 < float(one) < 100.0]
    except (OSError, ValueError, TypeError):
        return []
