"""Gives a file to the intake as a person would, with a sidecar that says that it is for an emergency."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api.files import copy_durably, fsync_folder, write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What the sidecar says."""

    title: str
    why: str
    reference: str  # the approval number
    approver: str
    screens: Sequence[str]
    start: datetime
    end: datetime

    def as_json(self, zone: ZoneInfo) -> str:
        """JSON: whatever a person wrote as title or reason, it stays one value and no further line."""
        fields = {
            "Judul": self.title,
            "Ringkasan": self.why,
            "Klasifikasi": "serta-merta",
            "Nomor persetujuan": self.reference,
            "Tanggal persetujuan": f"{self.start.astimezone(zone):%Y-%m-%d}",
            "Penyetuju": self.approver,
            "Saluran": ["videotron"],
            "Layar": list(self.screens),
            "Mulai": self.start.isoformat(),
            "Selesai": self.end.isoformat(),
            "Prioritas": "segera",
        }
        return json.dumps(fields, ensure_ascii=False, indent=1) + "\n"


class Drop:
    """A copy under a hidden name, which the intake does not see before `complete`."""

    def __init__(self, folder: Path, source: Path) -> None:
        """Copy the file. Blocks. Raises: OSError."""
        self._folder = folder
        self._suffix = source.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", source.suffix) else ""
        self._hidden = folder / f".darurat-{secrets.token_hex(6)}.part"
        self.sha256 = copy_durably(source, self._hidden, mode=0o660)

    def complete(self, name: str, sidecar: str) -> None:
        """Let the intake see it: the sidecar first, so that it is known to be urgent at once. Raises: OSError."""
        write_atomically(self._folder / f"{name}.json", sidecar, mode=0o660)
        self._hidden.replace(self._folder / f"{name}{self._suffix}")
        fsync_folder(self._folder)

    def drop(self) -> None:
        """Forget it."""
        self._hidden.unlink(missing_ok=True)
