"""What one run of ffmpeg writes: a file for each step, and what is done to the sound of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hub.api.models import AudioProfile
from hub.media.graph import Target, extension
from hub.media.loudness import first_gain
from hub.media.planner import Step, Way
from hub.media.r128 import Loudness


def targets_for(steps: Sequence[Step], folder: Path, before: Loudness | None) -> list[Target]:
    """The outputs of one run, named by their number; `before` is how loud the source is.

    A sound has its meter in the run; of several nobody could tell which meter spoke.
    """
    sounds = [step for step in steps if isinstance(step.profile, AudioProfile)]
    return [_target(step, folder, number, before, alone=len(sounds) == 1) for number, step in enumerate(steps)]


def _target(step: Step, folder: Path, number: int, before: Loudness | None, *, alone: bool) -> Target:
    path = folder / f"{number}.{extension(step.profile)}"
    if not isinstance(step.profile, AudioProfile) or step.way is Way.REMUX or before is None:
        return Target(step=step, path=path)
    # A lossy coding changes the peaks: such a file is measured itself.
    metered = alone and step.profile.container == "wav"
    return Target(step=step, path=path, gain=first_gain(before, step.profile), meter=metered)
