"""What must be installed, for `siarhub check`: the programs, and the parts of ffmpeg that we use."""

from __future__ import annotations

import shutil
import subprocess

from hub.media.pictures import unreadable_pictures
from hub.media.sniff import DEMUXERS

_PROGRAMS = {"ffmpeg": "ffmpeg", "ffprobe": "ffmpeg", "pdftoppm": "poppler-utils", "pdfinfo": "poppler-utils"}
_ENCODERS = frozenset({"libx264", "aac", "pcm_s16le", "libmp3lame"})
_FILTERS = frozenset(
    {
        "scale", "pad", "crop", "setsar", "fps", "format", "yadif", "split", "asplit", "concat", "loop", "trim",
        "setpts", "setparams", "lutrgb", "overlay", "tpad", "zscale", "tonemap", "showinfo", "aresample", "aformat",
        "volume", "alimiter", "ebur128",
    }
)  # fmt: skip


def missing_tools() -> list[str]:
    """What is missing, one sentence each with the remedy; [] when all is there. Blocks for about a second."""
    missing = [
        f"The program {program} is missing. Install it: apt install {package}."
        for program, package in _PROGRAMS.items()
        if shutil.which(program) is None
    ]
    missing += unreadable_pictures()
    return missing if shutil.which("ffmpeg") is None else missing + _missing_parts()


def _missing_parts() -> list[str]:
    wanted = (
        ("encoder", "-encoders", _ENCODERS),
        ("decoder", "-decoders", frozenset({"libvpx", "libvpx-vp9"})),
        ("filter", "-filters", _FILTERS),
        ("format", "-demuxers", frozenset(DEMUXERS.values())),
    )
    return [
        f"This ffmpeg lacks the {kind} {name}. Install Debian's own: apt install ffmpeg."
        for kind, option, names in wanted
        for name in sorted(names - _listed(option))
    ]


def _listed(option: str) -> frozenset[str]:
    """The names in the second column of a list of ffmpeg's; several names of one thing are joined by commas."""
    command = ["ffmpeg", "-hide_banner", option]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    rows = [line.split() for line in done.stdout.splitlines()]
    return frozenset(name for row in rows if len(row) > 1 for name in row[1].split(","))
