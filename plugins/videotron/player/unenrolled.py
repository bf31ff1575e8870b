"""A player before its enrolment: its code is on the screen, in the log and in `siarhub-player status`."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from plugins.videotron.player import orders
from plugins.videotron.player.enrol_screen import EnrolScreen
from plugins.videotron.player.enrolling import Enrolling, Pace
from plugins.videotron.player.heartbeat import beat
from plugins.videotron.player.identity import Identity
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.settings import PlayerSettings
from plugins.videotron.player.speaking import software_name


class Unenrolled:
    """`run` returns when the enrolment is stored."""

    def __init__(self, settings: PlayerSettings, *, clock: Clock, log: Log, pace: Pace | None = None) -> None:
        """Blocks: it makes the player's key if there is none."""
        self._settings = settings
        self._log = log
        self._identity = Identity.load_or_make(settings.state_dir)
        self.enrolling = Enrolling(
            public=self._identity.public,
            folder=settings.state_dir,
            broker=settings.broker,
            software=software_name(),
            clock=clock,
            log=log,
            pace=pace,
            screen=lambda: self._screen.output,
        )
        self._screen = EnrolScreen(
            mpv=settings.mpv,
            screen=settings.screen,
            code=lambda: self.enrolling.code,
            minutes=lambda: -int(-self.enrolling.seconds_left // 60),
            log=log,
        )

    async def run(self) -> None:
        if self._identity.told:
            self._log.warning("identity_spoiled", reason=self._identity.told)
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._screen.run(), name="player: code"),
                group.create_task(self._serve_orders(), name="player: orders"),
                group.create_task(beat(healthy=lambda: True, status=self._summary), name="player: beat"),
            ]
            await self.enrolling.run()
            for task in others:
                task.cancel()

    def _summary(self) -> str:
        return f"not enrolled; the code is {self.enrolling.code}"

    async def _serve_orders(self) -> None:
        try:
            await orders.serve(orders.socket_path(self._settings.state_dir), {"status": self._status})
        except OSError as error:
            self._log.error("orders_not_served", reason=str(error))

    async def _status(self) -> dict[str, Any]:
        broker = self._settings.broker
        return {
            "enrolled": False,
            "code": self.enrolling.code,
            "code_lasts_s": int(self.enrolling.seconds_left),
            "key": base64.b64encode(self._identity.public).decode(),
            "broker": f"{broker.host}:{broker.port}",
            "trouble": self.enrolling.trouble,
        }
