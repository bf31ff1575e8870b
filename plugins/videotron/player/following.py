"""The play list that this player follows: durable before it is acted on, never replaced by an older one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.api.errors import HubError
from hub.api.files import write_atomically
from plugins.videotron.player.reconcile import Limits, refusals
from plugins.videotron.protocol import Playlist, WireError, decode


class ListRefused(HubError):
    """This play list must not be followed; the reason is told to the hub."""


class Following:
    """Holds the play list; `current` is None until the first has come."""

    def __init__(self, path: Path, *, player: str, limits: Limits) -> None:
        self._path = path
        self._player = player
        self._limits = limits
        self.current: Playlist | None = None

    @property
    def serial(self) -> int:
        return self.current.serial if self.current else 0

    def load(self) -> None:
        """Take up the play list of before the restart. Blocks. Raises: ListRefused when it cannot be read."""
        try:
            self.current = self._checked(self._path.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            raise ListRefused(f"the stored play list cannot be read: {error}") from error

    async def take(self, payload: bytes) -> bool:
        """Whether this is a new play list; it is on the disk then.

        Raises: ListRefused for one that must not be followed; OSError when it cannot be stored: the old one stays.
        """
        if not payload:  # a retained message was cleared: no order to stop
            return False
        playlist = self._checked(payload)
        if self.current is not None and playlist.serial == self.current.serial:
            if playlist != self.current:
                raise ListRefused(f"two different play lists have the serial {playlist.serial}")
            return False
        await asyncio.to_thread(write_atomically, self._path, payload)
        self.current = playlist
        return True

    def _checked(self, payload: bytes) -> Playlist:
        try:
            playlist = decode(Playlist, payload)
        except WireError as error:
            raise ListRefused(f"no play list: {error}") from error
        if found := refusals(playlist, player=self._player, serial=self.serial, limits=self._limits):
            raise ListRefused("; ".join(found))
        return playlist
