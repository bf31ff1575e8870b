"""How this player is: reads its machine now and then, and gathers what is wrong from all its parts."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Protocol

from plugins.videotron.player.fetching import Fetching
from plugins.videotron.player.library import Library
from plugins.videotron.player.machine import Readings, read_machine
from plugins.videotron.player.playback import Playback
from plugins.videotron.player.ports import Clock
from plugins.videotron.player.proving import Proving
from plugins.videotron.player.rejections import Rejections
from plugins.videotron.player.settings import PlayerSettings
from plugins.videotron.player.store import MB, Store
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.troubles import Facts, problems
from plugins.videotron.player.trusted import Trusted
from plugins.videotron.protocol import Machine, Problem

READ_EVERY_S = 10.0
DROPS_OVER = 31  # readings: five minutes


class Parts(Protocol):
    """The parts of a player that can tell how they are."""

    store: Store
    trusted: Trusted
    library: Library
    fetching: Fetching
    playback: Playback
    proving: Proving
    rejections: Rejections
    time: Timekeeper

    @property
    def unstored(self) -> str: ...


class Wellbeing:
    def __init__(self, parts: Parts, settings: PlayerSettings, *, clock: Clock) -> None:
        self._parts = parts
        self._settings = settings
        self._clock = clock
        self._readings = Readings()
        self._dropped: deque[tuple[float, int]] = deque(maxlen=DROPS_OVER)  # when, and how many by then

    async def run(self, folder: Path) -> None:
        """Read the machine until cancelled; `folder` is on the disk with the films."""
        while True:
            self._readings = await asyncio.to_thread(read_machine, folder)
            vitals = self._parts.playback.vitals
            self._dropped.append((self._clock.monotonic(), vitals.dropped_by_output + vitals.dropped_by_decoder))
            await asyncio.sleep(READ_EVERY_S)

    def machine(self) -> Machine:
        return self._readings.document(self._parts.playback.vitals)

    def problems(self) -> list[Problem]:
        """What a technician should know, the gravest first."""
        return list(problems(self._facts()))

    def _facts(self) -> Facts:
        parts, settings, faults = self._parts, self._settings, self._parts.playback.troubles
        keyset = parts.trusted.keyset
        return Facts(
            now=parts.time.now(),
            clock=self._clock.now(),
            behind=parts.time.behind,
            manifest=parts.trusted.manifest,
            keys_expire=keyset.expires if keyset else None,
            size=(settings.screen.width, settings.screen.height),
            rejections=parts.rejections.all(),
            machine=self._readings,
            mpv=faults.picture,
            frozen=faults.frozen,
            output=faults.display,
            misfit=faults.misfit,
            dropped_per_minute=self._dropped_per_minute(),
            free_bytes=parts.store.free_bytes(),
            keep_free_bytes=settings.limits.keep_free_mb * MB,
            disk=parts.unstored,
            missing=parts.fetching.troubles,
            broken=[f"film {sha256[:12]} cannot be played" for sha256 in sorted(parts.library.broken)],
            proofs=parts.proving.trouble,
            spoiled=parts.trusted.troubles,
        )

    def _dropped_per_minute(self) -> float:
        if len(self._dropped) < 2:
            return 0.0
        (began, before), (ended, now) = self._dropped[0], self._dropped[-1]
        return max(0, now - before) * 60 / max(60.0, ended - began)
