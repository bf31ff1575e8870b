"""What a transcode of one asset would be: the plan, and the commands that would run. Makes nothing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.api.models import Asset, AudioProfile, Profile
from hub.media import loudness
from hub.media.canvas import Source
from hub.media.details import basic_details
from hub.media.graph import command_for
from hub.media.planner import Step, TranscodePlan, Way, pages_of
from hub.media.r128 import Loudness
from hub.media.settings import MediaSettings
from hub.media.sniff import is_drawn
from hub.media.targets import targets_for
from hub.media.transcoder import Transcoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of ffmpeg, one decode: `outputs` are the files that `command` writes, one for each step."""

    steps: tuple[Step, ...]
    command: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    plan: TranscodePlan
    runs: tuple[Run, ...]
    drawn: bool  # ffmpeg reads pictures that are drawn of the asset first, named here `page-1.png` ...


async def preview(asset: Asset, profiles: Sequence[Profile], settings: MediaSettings) -> Preview:
    """The plan for these profiles, with every command as it would run, but for the names of files.

    Raises: Refusal, RetryLater, OSError.
    """
    with tempfile.TemporaryDirectory(prefix="siarhub-plan-") as name:
        chosen = await Transcoder(settings, Path(name)).plan(asset, tuple(dict.fromkeys(profiles)))
        before = await _heard(asset, chosen, Path(name), settings)
    runs = [await asyncio.to_thread(_run, asset, steps, before, settings) for steps in chosen.runs]
    return Preview(plan=chosen, runs=tuple(runs), drawn=is_drawn(asset.media))


async def _heard(asset: Asset, chosen: TranscodePlan, folder: Path, settings: MediaSettings) -> Loudness | None:
    """How loud the source is, when a sound is to be made of it: the gain stands in the command."""
    if not any(isinstance(step.profile, AudioProfile) and step.way is Way.ENCODE for step in chosen.steps):
        return None
    return loudness.known(asset.media) or await loudness.measure(
        asset.path, asset.media.container, folder, settings, track=asset.media.audio_track
    )


def _run(asset: Asset, steps: Sequence[Step], before: Loudness | None, settings: MediaSettings) -> Run:
    targets = targets_for(steps, Path(), before)
    source = Source(media=asset.media, paths=_paths(asset, steps), details=basic_details(asset.media))
    command = command_for(source, targets, settings)
    return Run(steps=tuple(steps), command=tuple(command), outputs=tuple(target.path.name for target in targets))


def _paths(asset: Asset, steps: Sequence[Step]) -> tuple[Path, ...]:
    if not is_drawn(asset.media):
        return (asset.path,)
    pages = max(pages_of(asset.media, step.profile) for step in steps if not isinstance(step.profile, AudioProfile))
    return tuple(Path(f"page-{number}.png") for number in range(1, pages + 1))
