"""Sound at one loudness: measure, one gain, a true-peak limit, measure again, against two passes of ffmpeg's loudnorm.

Three recordings of a minute each: quiet, loud, and one that goes from whispers to shouts. How near each comes to its
target is measured by an ffmpeg of its own, not by what the hub says of itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Cost, Measure, cost, race
from bench.media import asset_of, made
from hub.api import AudioProfile

TARGET_LUFS = -16.0
SECONDS = 60
STEREO = f"anoisesrc=color=pink:seed=1:duration={SECONDS}:sample_rate=48000[l];" + (
    f"anoisesrc=color=pink:seed=2:duration={SECONDS}:sample_rate=48000[r];[l][r]amerge=inputs=2"
)
SPEECH = "volume='if(lt(mod(t,10),6),0.1,if(lt(mod(t,10),8),0.02,1))':eval=frame"
RECORDINGS = {"quiet": "volume=-24dB", "loud": "volume=20dB,alimiter=limit=0.98:level=false", "dynamic": SPEECH}


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        sources = {kind: _recording(folder / f"{kind}.wav", how) for kind, how in RECORDINGS.items()}
        run = race(
            lambda number: cost(lambda: [_ours(path, folder / f"ours-{number}") for path in sources.values()]),
            lambda _: _theirs(sources, folder),
        )
        yield run.cpu("radio-loudness-cpu", 0.35)
        for kind, path in sources.items():
            error = abs(_measured(_ours(path, folder / "measured")) - TARGET_LUFS)
            theirs = abs(_measured(folder / f"{kind}-theirs.wav") - TARGET_LUFS)
            yield Measure(
                name=f"radio-loudness-error-lu-{kind}", ours=error, theirs=None, target=0.3,
                note=f"loudnorm's: {theirs:.1f}",
            )  # fmt: skip


def _ours(source: Path, folder: Path) -> Path:
    """From the look at the recording, which measures it, to the rendition, which was measured again."""
    asset, _ = asset_of(source)
    return made(asset, [AudioProfile(loudness_lufs=TARGET_LUFS)], folder)[0].path


def _theirs(sources: dict[str, Path], folder: Path) -> Cost:
    def all_of_them() -> None:
        for kind, path in sources.items():
            _two_passes(path, folder / f"{kind}-theirs.wav")

    return cost(all_of_them)


def _two_passes(source: Path, out: Path) -> None:
    """As ffmpeg's own documentation advises: measure, then one linear gain where the peaks allow it."""
    base = ["ffmpeg", "-nostdin", "-hide_banner", "-y", "-i", str(source), "-af"]
    first = subprocess.run(
        [*base, f"loudnorm=I={TARGET_LUFS}:TP=-1.5:print_format=json", "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(re.search(r"\{[^{}]*\}\s*$", first.stderr)[0])  # type: ignore[index]
    measured = ":".join(f"measured_{key}={found[f'input_{key.lower()}']}" for key in ("I", "TP", "LRA", "thresh"))
    second = f"loudnorm=I={TARGET_LUFS}:TP=-1.5:linear=true:{measured}:offset={found['target_offset']}"
    subprocess.run([*base, second, "-ar", "48000", "-ac", "2", str(out)], capture_output=True, check=True)


def _measured(path: Path) -> float:
    """Integrated loudness, LUFS, by an ebur128 of its own."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1])


def _recording(path: Path, how: str) -> Path:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-filter_complex", f"{STEREO},{how}", str(path)]
    subprocess.run(command, check=True)
    return path
