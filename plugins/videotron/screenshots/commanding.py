"""Commands to players: signed, counted, said once; who waits for an answer asks again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hub.api import Clock, Log
from plugins.videotron.broker import Disconnected, Link
from plugins.videotron.keys.keyring import Keyring
from plugins.videotron.protocol import MAX_SAFE_INTEGER, Command, CommandName, Topics, encode_signed
from plugins.videotron.screens.roster import Roster

VALID = timedelta(minutes=10)  # by the player's clock, which may be somewhat ahead


class Commander:
    def __init__(
        self,
        *,
        topics: Topics,
        roster: Roster,
        keyring: Callable[[], Keyring | None],
        link: Callable[[], Link | None],
        clock: Clock,
        log: Log,
    ) -> None:
        self._topics = topics
        self._roster = roster
        self._keyring = keyring
        self._link = link
        self._clock = clock
        self._log = log
        self.sent: dict[str, int] = {}  # by player: counter of the last command

    async def ask_for_screenshot(self, player: str) -> int:
        """The counter of the command; whether it arrives, the player's answer tells."""
        counter = self.sent[player] = self._next(player)
        keyring, link = self._keyring(), self._link()
        if keyring and link:
            now = self._clock.now()
            command = Command(
                site=keyring.site,
                aud=player,
                epoch=keyring.keyset.epoch,
                counter=counter,
                issued=now,
                expires=now + VALID,
                name=CommandName.SCREENSHOT,
            )
            try:
                await link.publish(self._topics.control(player), encode_signed(command, keyring.online), qos=0)
            except Disconnected:
                self._log.info("command_was_cut_short", player=player)
        return counter

    def _next(self, player: str) -> int:
        """Above all before, also those of a hub that lost what it knew: the milliseconds since 1970 at least."""
        state = self._roster.state(player)
        done = state.command if state else 0
        above = max(self.sent.get(player, 0) + 1, done + 1, int(self._clock.now().timestamp() * 1000))
        return min(above, MAX_SAFE_INTEGER)  # a player that says it has come to the end cannot be asked any more
