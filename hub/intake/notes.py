"""The texts that stand beside files: why one was refused, or why it is not processed yet."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Clock
from hub.api.files import write_atomically
from hub.intake.desk import RefusedDrop
from hub.intake.names import display_name, reason_name
from hub.messages import Catalogue


class Notes:
    """Writes in the office's language and time."""

    def __init__(self, clock: Clock, zone: ZoneInfo, catalogue: Catalogue) -> None:
        self._clock = clock
        self._zone = zone
        self._catalogue = catalogue

    def of_refusal(self, drop: RefusedDrop, folder: str) -> str:
        """What stands beside a refused file; `folder` is where it is to be dragged back to."""
        when = self._clock.now().astimezone(self._zone)
        return self._catalogue(
            "Not accepted: {name}\nTime: {when}\n\nReason:\n{reason}\n\nWhen it is corrected, drag the file (with its "
            "sidecar, if it has one) back into the folder {folder}. This text need not be removed.\n",
            name=drop.name,
            when=f"{when:%d-%m-%Y %H:%M} {when.tzname()}",
            reason=drop.reason,
            folder=folder,
        )

    def put_beside(self, inbox: Path, name: str, reason: str) -> bool:
        """Say beside a file that stays in the watched folder why it does; False when these words stand there. Blocks.

        Raises: OSError.
        """
        path = inbox / reason_name(name)
        text = self._catalogue(
            "Not yet processed: {name}\n\nReason:\n{reason}\n\nThis text disappears when the problem is solved.\n",
            name=display_name(name),
            reason=reason,
        )
        with suppress(OSError):
            if not path.is_symlink() and path.read_text(encoding="utf-8") == text:
                return False
        write_atomically(path, text)
        return True


def clear_note(inbox: Path, name: str) -> None:
    """The file is dealt with: its note goes. Blocks."""
    note = f"{inbox}/{reason_name(name)}"
    if os.path.lexists(note):  # cheaper than an error for each of a burst
        with suppress(OSError):
            Path(note).unlink()
