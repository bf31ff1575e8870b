"""Private keys as files: PEM (PKCS #8), which openssl reads too, with a first line that says what the file is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hub.api import HubError
from hub.api.files import write_atomically
from plugins.videotron.protocol import SigningKey

MAX_KEY_BYTES = 10_000  # of a file; a real one has some 300


class BadKeys(HubError):
    """A key or keychain is there and must not be used; the text says why and what to do."""


class KeysMissing(BadKeys):
    """There is no key where one belongs; the text says how to make it."""


def write_key(path: Path, key: SigningKey, title: str) -> None:
    """Write the key, readable by its owner alone. Whole or not there. Raises: OSError."""
    write_atomically(path, f"{title}\n\n{_pem(key)}", mode=0o400)


def read_key(path: Path, *, passphrase: str | None = None, open_to: int = 0o077) -> SigningKey:
    """The key in a file that nobody of `open_to` (mode bits) may open. Raises: KeysMissing, BadKeys."""
    data = _read_private(path, open_to)
    try:
        key = load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError:
        raise BadKeys(f"{path} is protected by a passphrase, and none was given") from None
    except ValueError:
        reason = "the passphrase is wrong, or the file is damaged" if passphrase else "it holds no private key in PEM"
        raise BadKeys(f"{path}: {reason}. Take the copy from the backup") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeys(f"{path} holds a key of another kind than Ed25519")
    return SigningKey(key.private_bytes_raw())


def _pem(key: SigningKey) -> str:
    private = Ed25519PrivateKey.from_private_bytes(key.secret)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _read_private(path: Path, open_to: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeysMissing(f"{path} is not there") from None
    except OSError as error:
        raise BadKeys(f"{path} cannot be read ({error.strerror}). Give this order as its owner (root: sudo)") from None
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BadKeys(f"{path} is no plain file")
        if status.st_mode & open_to:
            raise BadKeys(
                f"others may open {path} (mode {stat.S_IMODE(status.st_mode):04o}), so it may have been copied. "
                f"When it cannot have been: chmod 0400 {path}. Else: siarhub videotron keys revoke"
            )
        return file.read(MAX_KEY_BYTES)
