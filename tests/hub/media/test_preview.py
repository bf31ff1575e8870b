import asyncio
import subprocess
from pathlib import Path

import pytest

from hub.api import AudioProfile, Pages, VideoProfile
from hub.api.files import sha256_of
from hub.media.preview import preview
from hub.media.samples import make_pdf, make_video

GATE = VideoProfile(width=64, height=48, fps=10)


@pytest.mark.parametrize(
    "profiles", [(GATE,), (GATE, VideoProfile(width=96, height=64, fps=10), AudioProfile())], ids=["one", "three"]
)
async def test_the_commands_shown_are_those_that_make_the_renditions(
    settings, transcoder, asset_of, tmp_path: Path, profiles
):
    asset = await asset_of(make_video(tmp_path / "clip.mp4", 1.0, (128, 96), fps=10))

    seen = await preview(asset, profiles, settings)
    made = await transcoder.make(asset, profiles)

    (run,) = seen.runs
    command = [one.replace(f"file:{Path.cwd()}/", f"file:{tmp_path}/") for one in run.command]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    by_hand = {step.profile: sha256_of(tmp_path / name) for step, name in zip(run.steps, run.outputs, strict=True)}
    assert by_hand == {one.profile: one.sha256 for one in made}


async def test_pages_that_are_drawn_first_have_names_of_their_own(settings, asset_of, tmp_path: Path):
    asset = await asset_of(make_pdf(tmp_path / "poster.pdf"))

    seen = await preview(asset, [VideoProfile(width=64, height=48, pages=Pages.ALL)], settings)

    assert seen.drawn
    assert any(one.endswith("/page-1.png") for one in seen.runs[0].command)
