"""Interim."""

from __future__ import annotations

from pathlib import Path

from hub.api.files import write_atomically
from plugins.videotron.protocol import SigningKey


class Identity(SigningKey):
    @classmethod
    def load_or_make(cls, folder: Path) -> Identity:
        path = folder / "identity.key"
        if not path.exists():
            write_atomically(path, SigningKey.new().secret.hex(), mode=0o600)
        return cls(bytes.fromhex(path.read_text()))
