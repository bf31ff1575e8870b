"""The command that runs mpv: what it may open, how it goes on for ever, where the picture lies."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

from plugins.videotron.player.geometry import placement
from plugins.videotron.player.settings import MpvSettings, ScreenSettings

# Each of these closes a door that a hostile file was seen to open in mpv 0.35.1: network requests through playlists and
# EDL in a file named .mp4, a script, subtitle or configuration lying beside it.
HARDENED = (
    "--no-config",
    "--load-scripts=no",
    "--ytdl=no",
    "--access-references=no",
    "--load-unsafe-playlists=no",
    "--ordered-chapters=no",
    "--sub-auto=no",
    "--audio-file-auto=no",
    "--cover-art-auto=no",
    "--load-stats-overlay=no",
    "--osc=no",
    "--osd-level=0",
    "--resume-playback=no",
    "--input-default-bindings=no",
    "--input-vo-keyboard=no",
    "--input-terminal=no",
    "--no-terminal",
    "--demuxer=lavf",
)
FILMS_ONLY = "--demuxer-lavf-format=mov"
# Built-in scripts and caches that only some versions have; an mpv refuses to start with an option that it lacks.
OFF_WHERE_KNOWN = (
    "input-builtin-bindings",
    "load-auto-profiles",
    "load-commands",
    "load-console",
    "load-context-menu",
    "load-osd-console",
    "load-positioning",
    "load-select",
    "gpu-shader-cache",
    "icc-cache",
)
# One window for ever, the next film opened before this one ends, and no read-ahead cache (local files; it leaks).
STEADY = (
    "--idle=yes",
    "--keep-open=no",
    "--loop-playlist=inf",  # what is in the list may all be shown: rather twice than black, should this process hang
    "--loop-file=no",
    "--prefetch-playlist=yes",
    "--cache=no",
    "--stop-screensaver=always",  # an X server without a desktop goes dark after ten minutes
    "--cursor-autohide=always",
    "--border=no",
    "--ontop=yes",
)
PROBE_S = 10


def command_line(mpv: MpvSettings, screen: ScreenSettings, fd: int, *, window_at_once: bool = True) -> list[str]:
    """The whole command that shows films on this screen and takes its orders from this file descriptor. Blocks.

    `window_at_once`: a missing output shows before the first film, and is not blamed on it; without it there is no
    window, and so nothing black, before the first picture.
    """
    options = [f"--input-ipc-client=fd://{fd}", f"--vo={mpv.vo}", f"--hwdec={mpv.hwdec}"]
    options += [f"--force-window={'immediate' if window_at_once else 'no'}"]
    options += [] if mpv.sound else ["--no-audio"]
    options += [f"--gpu-context={mpv.gpu_context}"] if mpv.gpu_context else []
    options += [f"--drm-connector={mpv.drm_connector}"] if mpv.drm_connector else []
    options += [f"--drm-mode={mpv.drm_mode}"] if mpv.drm_mode else []
    return [*start_of(mpv), FILMS_ONLY, *STEADY, *placement(screen), *options]


def start_of(mpv: MpvSettings) -> list[str]:
    """How every mpv of the player is started: it ends with this process, and opens nothing by itself. Blocks."""
    known = known_options(mpv.program)
    return [*_dies_with_us(), mpv.program, *HARDENED, *(f"--{o}=no" for o in OFF_WHERE_KNOWN if o in known)]


def known_options(program: str) -> frozenset[str]:
    """The names of the options of yes or no that this mpv has; none when it cannot be asked. Blocks."""
    try:
        return _asked(program)
    except (OSError, subprocess.SubprocessError):
        return frozenset()  # not kept: mpv may be installed later


@functools.lru_cache(maxsize=4)
def _asked(program: str) -> frozenset[str]:
    command = [program, "--no-config", "--list-options"]
    said = subprocess.run(command, capture_output=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=True)
    return frozenset(
        re.findall(r"^ --([a-z0-9-]+) +(?:Flag|Choices)", said.stdout.decode(errors="replace"), re.MULTILINE)
    )


def _dies_with_us() -> list[str]:
    """A hung mpv does not see its connection close: the kernel ends it when this process is gone."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
