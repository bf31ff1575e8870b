"""What keeps this machine from putting the picture on its screen, each with its remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from plugins.videotron.player.display import DRM, Displays, connectors, on_drm
from plugins.videotron.player.geometry import misfit
from plugins.videotron.player.settings import MpvSettings, PlayerSettings

PROBE_S = 10
WINDOWED = ("x11", "xv", "sdl")


def screen_problems(settings: PlayerSettings, drm: Path = DRM) -> list[str]:
    """What should be put right for the picture; [] = nothing. Blocks."""
    return [*_program(settings.mpv), *_desktop(settings.mpv), *_connector(settings, drm)]


def _program(mpv: MpvSettings) -> list[str]:
    if shutil.which(mpv.program) is None:
        return [f"mpv.program: {mpv.program} is not installed: apt install mpv"]
    try:
        said = subprocess.run([mpv.program, "--no-config", "--vo=help"], capture_output=True, timeout=PROBE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"mpv.program: {mpv.program} does not run: {error}"]
    outputs = {line.split()[0] for line in said.stdout.decode(errors="replace").splitlines() if line.startswith("  ")}
    return [] if mpv.vo in outputs else [f"mpv.vo: this mpv has no output {mpv.vo}"]


def _desktop(mpv: MpvSettings) -> list[str]:
    if mpv.vo not in WINDOWED and not mpv.gpu_context.startswith("x11"):
        return []
    if os.environ.get("DISPLAY") or (mpv.vo == "sdl" and os.environ.get("WAYLAND_DISPLAY")):
        return []
    return ["mpv.vo: DISPLAY is not set, so there is no X server for a window; without a desktop use gpu_context = drm"]


def _connector(settings: PlayerSettings, drm: Path) -> list[str]:
    mpv = settings.mpv
    if not on_drm(mpv):
        return []
    found = connectors(drm)
    trouble = Displays(mpv).note(found).trouble
    if trouble:
        names = ", ".join(c.name for c in found)
        return [f"mpv.drm_connector: {trouble}" + (f" (there are {names})" if names else "")]
    usable = next(c for c in found if c.usable and mpv.drm_connector in ("", c.name))
    size = re.match(r"(\d+)x(\d+)", mpv.drm_mode or usable.modes[0])
    wrong = misfit(settings.screen, int(size[1]), int(size[2])) if size else ""
    return [f"screen: {wrong}"] if wrong else []
