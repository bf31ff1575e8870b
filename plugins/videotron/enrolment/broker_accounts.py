"""What enrolling and revoking change in the broker's folder of accounts, each step followed by the broker's reload."""

from __future__ import annotations

import grp
import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.api import HubError
from hub.api.files import fsync_folder, write_atomically
from plugins.videotron.accounts import (
    give_to_broker,
    locked,
    new_password,
    password_line,
    revocation,
    write_accounts_locked,
)
from plugins.videotron.enrolment.doors import Door, keep_doors, open_doors
from plugins.videotron.protocol.enrolment import Rendezvous

RELOAD = "systemctl reload siarhub-broker"
RELOAD_WITHIN_S = 60


class BrokerNotReloaded(HubError):
    """The broker does not know of the change; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccounts:
    """The folder, and all that its files are made of. Every method blocks. Raises: OSError, BrokerNotReloaded."""

    folder: Path
    namespace: str
    screens: Sequence[str]
    hub: str  # the hub's account
    group: str  # of the broker
    reload: str  # the command that has the broker read its files again

    def let_in(self, meeting: Rendezvous, *, for_s: float) -> str:
        """Open a door for this code; returns the password of the command's own account."""
        password = secrets.token_urlsafe(24)
        lines = (password_line(meeting.account, meeting.password), password_line(meeting.hub_account, password))
        door = Door(id=meeting.id, until=time.time() + for_s, password_lines=lines)
        with locked(self.folder):
            keep_doors(self.folder, [*self._others(meeting), door])
            self._write()
        try:
            self._reload()
        except BrokerNotReloaded:
            self._take_out(meeting)
            raise
        return password

    def shut(self, meeting: Rendezvous) -> None:
        """Close the door again; whoever stands in it is cut off."""
        self._take_out(meeting)
        self._reload()

    def give(self, player: str) -> str:
        """The player's new password, known to the broker; an earlier one ends, and so does a revocation."""
        with locked(self.folder):
            password = new_password(self.folder, player)
            revocation(self.folder, player).unlink(missing_ok=True)
            self._write()
        self._reload()
        return password

    def revoke(self, player: str, why: str) -> None:
        """Take the player's account away; its connection ends with the reload."""
        with locked(self.folder):
            write_atomically(revocation(self.folder, player), why + "\n", mode=0o600)
            (self.folder / f"{player}.password").unlink(missing_ok=True)
            fsync_folder(self.folder)
            self._write()
        self._reload()

    def _take_out(self, meeting: Rendezvous) -> None:
        with locked(self.folder):
            keep_doors(self.folder, self._others(meeting))
            self._write()

    def _others(self, meeting: Rendezvous) -> list[Door]:
        return [door for door in open_doors(self.folder) if door.id != meeting.id]

    def _write(self) -> None:
        write_accounts_locked(self.folder, self.namespace, self.screens, hub=self.hub)
        if os.geteuid() == 0:
            try:
                give_to_broker(self.folder, grp.getgrnam(self.group).gr_gid)
            except KeyError:
                raise BrokerNotReloaded(f"there is no group {self.group} here; name the broker's: --group") from None

    def _reload(self) -> None:
        try:
            done = subprocess.run(shlex.split(self.reload), capture_output=True, timeout=RELOAD_WITHIN_S)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise BrokerNotReloaded(f"the broker was not reloaded ({self.reload}): {error}") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-300:]
            raise BrokerNotReloaded(f"the broker was not reloaded ({self.reload}): {said or done.returncode}")
