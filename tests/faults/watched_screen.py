"""An X server without a monitor, and how long what it shows was black."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

GRID = (8, 6)
BLACK = 16  # luma; in our films nothing is darker than 30
PER_SECOND = 10


@dataclass
class WatchedScreen:
    """`looks` has (monotonic, whether any part of the picture was black), ten a second."""

    display: str
    looks: list[tuple[float, bool]] = field(default_factory=list)

    def black_s(self, since: float, until: float) -> float:
        """The longest time that the screen was black between these two moments."""
        longest, began = 0.0, None
        for at, black in self.looks:
            if not since <= at <= until:
                continue
            began = (at if began is None else began) if black else None
            longest = max(longest, at - began + 1 / PER_SECOND if began is not None else 0.0)
        return longest

    def back_at(self, since: float) -> float | None:
        """When a picture came again that was lost after this moment; the moment itself when none was; None: not yet."""
        looks = [(at, black) for at, black in self.looks if at >= since]
        lost = next((at for at, black in looks if black), None)
        if lost is None:
            return since
        return next((at for at, black in looks if at > lost and not black), None)


@contextlib.contextmanager
def watched_screen(width: int, height: int) -> Iterator[WatchedScreen]:
    """Switch it on and look at it; DISPLAY names it meanwhile. Raises: RuntimeError when Xvfb is missing."""
    ours, its = os.pipe()
    command = ["Xvfb", "-displayfd", str(its), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    try:
        server = subprocess.Popen(command, pass_fds=(its,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        raise RuntimeError("Xvfb is missing: apt-get install xvfb") from None
    os.close(its)
    before = os.environ.get("DISPLAY")
    try:
        with os.fdopen(ours) as told:
            display = f":{told.readline().strip()}"
        os.environ["DISPLAY"] = display
        with _looking(WatchedScreen(display), width, height) as screen:
            yield screen
    finally:
        os.environ.pop("DISPLAY")
        if before is not None:
            os.environ["DISPLAY"] = before
        server.terminate()
        server.wait()


@contextlib.contextmanager
def _looking(screen: WatchedScreen, width: int, height: int) -> Iterator[WatchedScreen]:
    grab = ["-f", "x11grab", "-draw_mouse", "0", "-framerate", str(PER_SECOND), "-video_size", f"{width}x{height}"]
    small = f"scale={GRID[0]}:{GRID[1]}:flags=area,format=gray"
    command = ["ffmpeg", "-nostdin", "-v", "quiet", *grab, "-i", screen.display, "-fps_mode", "passthrough"]
    command += ["-vf", small, "-f", "rawvideo", "-flush_packets", "1", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as camera:
        looking = threading.Thread(target=_look, args=(camera, screen), daemon=True)
        looking.start()
        try:
            yield screen
        finally:
            camera.terminate()
            looking.join()


def _look(camera: subprocess.Popen[bytes], screen: WatchedScreen) -> None:
    assert camera.stdout is not None
    size = GRID[0] * GRID[1]
    while len(picture := camera.stdout.read(size)) == size:
        screen.looks.append((time.monotonic(), min(picture) < BLACK))
