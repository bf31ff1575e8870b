"""The player's own key: made at its first start, never sent anywhere; its public half is what the hub enrols."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from hub.api.files import fsync_folder
from plugins.videotron.player.owned import write_owned

FILE = "identity.key"
MAX_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Signs what the player proves. `told` says what somebody should know about the key; "" = nothing."""

    _key: Ed25519PrivateKey = field(repr=False)
    told: str = ""

    @classmethod
    def load_or_make(cls, folder: Path) -> Identity:
        """The key in this folder, or a new one; a file that holds none is set aside and told. Blocks.

        Raises: OSError, also when the file is there and cannot be read: another key would be another machine.
        """
        path = folder / FILE
        try:
            data, mode = _read(path)
        except FileNotFoundError:
            return cls(_new(path))
        except IsADirectoryError:  # the disk made something else of it
            data, mode = b"", 0o600
        key = _parsed(data)
        if key is None:
            aside = _set_aside(path)
            return cls(_new(path), f"the player's key was spoiled ({aside.name}); a new one was made: enrol it anew")
        if mode & 0o077:
            path.chmod(0o600)
            return cls(
                key, f"others could read the player's key (mode {mode:04o}); if they may have: forget, enrol anew"
            )
        return cls(key)

    @classmethod
    def at_any_rate(cls, folder: Path) -> Identity:
        """As `load_or_make`; where the disk forbids that, a key for this run alone, which no hub believes, and told.

        The screen goes on, and whoever looks is told why the hub refuses what this player says. Blocks.
        """
        try:
            return cls.load_or_make(folder)
        except OSError as error:
            told = f"the player's key cannot be used ({error}): the hub cannot believe what this player says"
            return cls(Ed25519PrivateKey.generate(), told)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes over the message."""
        return self._key.sign(message)


def forget_identity(folder: Path) -> None:
    """Have the next start make another key: this one may have been in strange hands. Blocks. Raises: OSError."""
    (folder / FILE).unlink(missing_ok=True)
    fsync_folder(folder)


def _new(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    write_owned(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    return key


def _read(path: Path) -> tuple[bytes, int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return file.read(MAX_BYTES), stat.S_IMODE(os.fstat(fd).st_mode)


def _parsed(data: bytes) -> Ed25519PrivateKey | None:
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.spoiled-{secrets.token_hex(3)}")
    path.replace(aside)
    return aside
