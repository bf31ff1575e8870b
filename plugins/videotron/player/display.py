"""Which displays are connected, and in which modes: an LED sender is often switched on after the player."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plugins.videotron.player.settings import MpvSettings

DRM = Path("/sys/class/drm")
LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One socket for a display, such as HDMI-A-1."""

    name: str
    connected: bool
    modes: tuple[str, ...] = ()  # that its display offers, the preferred one first

    @property
    def usable(self) -> bool:
        return self.connected and bool(self.modes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    trouble: str = ""  # what somebody should put right
    relaunch: str = ""  # why mpv must begin anew on the display


def connectors(root: Path = DRM) -> tuple[Connector, ...]:
    """Every connector of this machine, in order; none on one without DRM. Blocks."""
    found = []
    for folder in sorted(root.glob("card*-*")):
        name = re.sub(r"^card[0-9]+-", "", folder.name)
        status = _text(folder / "status")
        if status and not name.startswith("Writeback"):
            modes = tuple(_text(folder / "modes").split())
            found.append(Connector(name=name, connected=status == "connected", modes=modes))
    return tuple(found)


def on_drm(mpv: MpvSettings) -> bool:
    """Whether mpv is told to take the display itself: only one process can, and it needs a connector."""
    return mpv.vo == "drm" or mpv.gpu_context.startswith(("drm", "display"))


class Displays:
    """Judges each look at the connectors by those before; a state counts when it was seen twice."""

    def __init__(self, mpv: MpvSettings) -> None:
        self._wanted = mpv.drm_connector
        self._on_drm = on_drm(mpv)
        self._settled: tuple[Connector, ...] | None = None
        self._seen: tuple[Connector, ...] | None = None
        self._ever: set[str] = set()  # that had a display since this process started

    def note(self, now: tuple[Connector, ...]) -> Verdict:
        """What the connectors `now` mean; a relaunch is told once."""
        now = tuple(c for c in now if c.name == self._wanted) if self._wanted else now
        fresh, self._seen = now != self._seen, now
        if self._settled is None:
            self._settled = now
        relaunch = "" if fresh else self._changed(self._settled, now)
        self._settled = self._settled if fresh else now
        self._ever |= {c.name for c in self._settled if c.usable}
        return Verdict(trouble=self._trouble(self._settled), relaunch=relaunch)

    def _changed(self, before: tuple[Connector, ...], now: tuple[Connector, ...]) -> str:
        anew = [c.name for c in now if c.usable and c not in before]
        return f"the display at {', '.join(anew)} was connected anew, or has other modes" if anew else ""

    def _trouble(self, now: tuple[Connector, ...]) -> str:
        mute = [c.name for c in now if c.connected and not c.modes]
        gone = sorted(self._ever - {c.name for c in now if c.connected})
        if gone:
            return f"the display at {', '.join(gone)} is disconnected: check its cable and power"
        if mute:
            return f"the display at {', '.join(mute)} tells no modes: check its cable, switch the sender off and on"
        if any(c.usable for c in now):
            return ""
        if now:
            return f"no display is connected at {', '.join(c.name for c in now)}: check its cable and power"
        if not self._on_drm:
            return ""
        return f"this machine has no display connector {self._wanted}".rstrip()


async def watch(mpv: MpvSettings, tell: Callable[[Verdict], None], root: Path = DRM) -> None:
    """Tell what the connectors mean, now and then again, until cancelled; nothing for an mpv without a screen."""
    if mpv.vo == "null":
        return
    displays = Displays(mpv)
    while True:
        tell(displays.note(await asyncio.to_thread(connectors, root)))
        await asyncio.sleep(LOOK_EVERY_S)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
