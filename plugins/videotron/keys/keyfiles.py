"""Keys as files: PEM, which openssl reads too, below a first line that says what the file is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hub.api import HubError
from hub.api.files import write_atomically
from plugins.videotron.keys.pkcs8 import encrypted_pem
from plugins.videotron.protocol import SigningKey, key_id

MAX_KEY_BYTES = 10_000  # of a file; a real one has some 300


class BadKeys(HubError):
    """A key or keychain is there and must not be used; the text says why and what to do."""


class KeysMissing(BadKeys):
    """There is no key where one belongs; the text says how to make it."""


class KeysHidden(BadKeys):
    """The keys are there, and not for this user to read."""


class PassphraseNeeded(BadKeys):
    """The key is under a passphrase, and none was given."""


def write_key(path: Path, key: SigningKey, title: str, *, passphrase: str = "") -> None:
    """Write the private key, readable by its owner alone. Whole or not there. Raises: OSError."""
    pem = _encrypted(key, passphrase) if passphrase else _plain(key)
    write_atomically(path, f"{title}\n\n{pem}", mode=0o400)


def read_key(path: Path, *, passphrase: str = "", open_to: int = 0o077) -> SigningKey:
    """The private key in a file that nobody of `open_to` (mode bits) may open.

    Raises: KeysMissing, KeysHidden, PassphraseNeeded, BadKeys.
    """
    data = _read_private(path, open_to)
    encrypted = b"ENCRYPTED PRIVATE KEY" in data
    if encrypted and not passphrase:
        raise PassphraseNeeded(f"{path} is under a passphrase")
    try:
        key = load_pem_private_key(data, passphrase.encode() if encrypted else None)
    except (ValueError, TypeError):
        reason = "the passphrase is wrong, or the file is damaged" if encrypted else "it holds no private key (PEM)"
        raise BadKeys(f"{path}: {reason}. If it is damaged, take its copy") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeys(f"{path} holds another kind of key than Ed25519")
    return SigningKey(key.private_bytes_raw())


def write_public(path: Path, public: bytes, title: str) -> None:
    """Write the public key, for everybody to read. Raises: OSError."""
    key = Ed25519PublicKey.from_public_bytes(public)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    write_atomically(path, f"{title}\n\n{pem}", mode=0o644)


def read_public(path: Path) -> bytes:
    """The public key in a file, 32 bytes. Raises: KeysMissing, BadKeys."""
    try:
        key = load_pem_public_key(_read(path))
    except ValueError:
        raise BadKeys(f"{path} holds no public key (PEM); it is the file that ends in .pub") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKeys(f"{path} holds another kind of key than Ed25519")
    return key.public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """What two people read to each other: `key_id` in groups of four."""
    text = key_id(public)
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def mode_of(path: Path) -> str:
    """The file's mode, "0400"; "" when there is none."""
    try:
        return f"{stat.S_IMODE(path.lstat().st_mode):04o}"
    except OSError:
        return ""


def _plain(key: SigningKey) -> str:
    return _private(key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _encrypted(key: SigningKey, passphrase: str) -> str:
    return encrypted_pem(_private(key).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), passphrase)


def _private(key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.secret)


def _read(path: Path) -> bytes:
    with _open(path) as file:
        return file.read(MAX_KEY_BYTES)


def _read_private(path: Path, open_to: int) -> bytes:
    with _open(path) as file:
        if (mode := os.fstat(file.fileno()).st_mode) & open_to:
            raise BadKeys(
                f"others may open {path} (mode {stat.S_IMODE(mode):04o}), so it may have been copied. If that cannot "
                f"be: chmod 0400 {path}. If it can: siarhub videotron keys revoke"
            )
        return file.read(MAX_KEY_BYTES)


def _open(path: Path) -> BinaryIO:
    """A plain file, opened without waiting for what is none (a pipe)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeysMissing(f"{path} is not there") from None
    except PermissionError:
        raise KeysHidden(f"{path} may not be read by this user; use sudo") from None
    except OSError as error:
        raise BadKeys(f"{path} cannot be read: {error.strerror}") from None
    file = os.fdopen(fd, "rb")
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        file.close()
        raise BadKeys(f"{path} is no plain file")
    return file
