"""Sound at one loudness: measure, gain and a true-peak limit, against two passes of ffmpeg's loudnorm."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Measure
from bench.media import _cpu
from hub.api import Asset, AudioProfile, Rendition
from hub.api.files import sha256_of
from hub.media.probe import probe
from hub.media.samples import make_audio
from hub.media.settings import MediaSettings
from hub.media.transcoder import Transcoder

TARGET_LUFS = -16.0


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as folder:
        spot = make_audio(Path(folder) / "spot.wav", 60.0, 500, volume_db=-24.0)
        before = _cpu()
        _two_passes(spot, Path(folder) / "theirs.wav")
        theirs, before = _cpu() - before, _cpu()
        rendition = asyncio.run(_ours(spot, Path(folder)))
        yield Measure(name="radio-loudness-cpu", ours=_cpu() - before, theirs=theirs, target=1.0)
        error = abs((rendition.loudness_lufs or 0.0) - TARGET_LUFS)
        yield Measure(name="radio-loudness-error-lu", ours=error, theirs=None, target=0.3)


async def _ours(spot: Path, folder: Path) -> Rendition:
    settings = MediaSettings()
    media = await probe(spot, settings=settings)
    asset = Asset(sha256=sha256_of(spot), path=spot, original_name=spot.name, media=media)
    (made,) = await Transcoder(settings, folder / "renditions").make(asset, [AudioProfile(loudness_lufs=TARGET_LUFS)])
    assert isinstance(made, Rendition), made
    return made


def _two_passes(spot: Path, out: Path) -> None:
    base = ["ffmpeg", "-nostdin", "-hide_banner", "-y", "-i", str(spot), "-af"]
    first = subprocess.run(
        [*base, f"loudnorm=I={TARGET_LUFS}:TP=-1.5:print_format=json", "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(re.search(r"\{[^{}]*\}\s*$", first.stderr)[0])  # type: ignore[index]
    measured = ":".join(f"measured_{key}={found[f'input_{key.lower()}']}" for key in ("I", "TP", "LRA", "thresh"))
    second = f"loudnorm=I={TARGET_LUFS}:TP=-1.5:{measured}:offset={found['target_offset']}"
    subprocess.run([*base, second, "-ar", "48000", str(out)], capture_output=True, check=True)
