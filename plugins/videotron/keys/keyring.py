"""The hub's keys: a folder with the root key of a new office, the online key, and the keychain that names them.

    root-1.key      signs keysets; goes offline with `siarhub videotron keys rotate --roots`
    online.key      signs manifests, overrides and commands, day by day
    keychain.json   all keysets from the first on; public

The keychain is written last: with it, the other two stand.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hub.api.files import write_atomically
from plugins.videotron.keys.keyfiles import BadKeys, KeysMissing, read_key, write_key
from plugins.videotron.protocol import Keychain, KeyRole, Keyset, SigningKey, WireError, decode, encode, encode_signed
from plugins.videotron.protocol.keychains import read_keychain

ROOT = "root-1.key"
ONLINE = "online.key"
KEYCHAIN = "keychain.json"
CREDENTIAL = "siarhub-online.key"
NO_CREDENTIAL = "missing"  # what SetCredential= gives when there is no key
LIFETIME = timedelta(days=400)
WARN_DAYS = 60
MAX_KEYSETS = 40
SITE = re.compile(r"[a-z0-9-]{1,40}")
INIT = "siarhub videotron keys init"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """What the hub signs with, and what it tells the players about it."""

    site: str
    keyset: Keyset  # the last one
    chain: bytes  # encoded `Keychain`
    online: SigningKey


def make(folder: Path, site: str = "", *, now: datetime) -> Keyring:
    """New keys in `folder`: a 1-of-1 root and one online key. Completes what a killed run began.

    `site` is a label `[a-z0-9-]{1,40}` that no other office has; "" makes one. Blocks.
    Raises: BadKeys when there are keys already; OSError.
    """
    site = site or f"siarhub-{secrets.token_hex(3)}"
    if not SITE.fullmatch(site):
        raise BadKeys(f"{site!r} is no label: use small letters, digits and hyphens, at most 40")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(folder):
        if (folder / KEYCHAIN).exists():
            raise BadKeys(f"{folder} has keys already; look at them: siarhub videotron keys status")
        if (folder / ONLINE).exists() and not (folder / ROOT).exists():
            raise BadKeys(f"{folder / KEYCHAIN} was there and is lost: take it from the backup")
        root = _kept_or_new(folder / ROOT, f"Siar Hub: ROOT key of {site}. Signs which keys count. Show it to nobody.")
        online = _kept_or_new(folder / ONLINE, f"Siar Hub: online key of {site}. Signs what screens show.")
        keyset = Keyset(
            site=site,
            version=1,
            epoch=1,
            issued=now,
            expires=now + LIFETIME,
            root=role(root.public),
            online=role(online.public),
        )
        write_keychain(folder, (encode_signed(keyset, root).decode(),))
    return load(folder, now=now)


def load(folder: Path, *, now: datetime) -> Keyring:
    """The hub's keys; the online key comes from systemd's credentials when it gives one.

    Blocks. Raises: KeysMissing, BadKeys, both with the remedy. An expired keyset is no error: see `days_left`.
    """
    chain = read_chain(folder)
    keyset = keysets_of(chain, folder)[-1]
    online = read_online(folder)
    if base64.b64encode(online.public).decode() not in keyset.online.keys:
        raise BadKeys(f"keyset {keyset.version} does not name the online key {online_path(folder)}: {_remedy(folder)}")
    return Keyring(site=keyset.site, keyset=keyset, chain=chain, online=online)


def days_left(keyset: Keyset, now: datetime) -> int:
    """Whole days until the keyset expires; negative: since. Below `WARN_DAYS` somebody should renew it."""
    return (keyset.expires - now) // timedelta(days=1)


def role(*public: bytes, threshold: int = 1) -> KeyRole:
    """A role of these public keys."""
    return KeyRole(threshold=threshold, keys=tuple(base64.b64encode(key).decode() for key in public))


def read_chain(folder: Path) -> bytes:
    """The keychain's bytes. Raises: KeysMissing, BadKeys."""
    path = folder / KEYCHAIN
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BadKeys(f"{path} is no plain file")
        return path.read_bytes()
    except FileNotFoundError:
        raise KeysMissing(f"there are no keys in {folder}; make them: {INIT}") from None
    except OSError as error:
        raise BadKeys(f"{path} cannot be read ({error.strerror})") from None


def texts_of(chain: bytes) -> tuple[str, ...]:
    """The envelopes of the chain's keysets. Raises: WireError."""
    return decode(Keychain, chain).keysets


def keysets_of(chain: bytes, folder: Path) -> tuple[Keyset, ...]:
    """Every keyset of the chain, its signatures checked. Raises: BadKeys."""
    try:
        return read_keychain(chain)
    except WireError as error:
        raise BadKeys(f"{folder / KEYCHAIN} does not hold ({error}): take it from the backup") from None


def online_path(folder: Path) -> Path:
    """Where the online key comes from: systemd's credential when there is one, else the folder."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / CREDENTIAL if credentials else None
    return credential if credential and credential.exists() else folder / ONLINE


def read_online(folder: Path) -> SigningKey:
    """The online key. Raises: KeysMissing, BadKeys."""
    path = online_path(folder)
    if path.name != CREDENTIAL:
        try:
            return read_key(path)
        except KeysMissing:
            remedy = "take it from the backup, or make another one: siarhub videotron keys revoke"
            raise KeysMissing(f"the online key {path} is not there: {remedy}") from None
    # systemd shows a credential to the unit's user by an ACL, whose mask stands in the group's place.
    if path.stat().st_size < len(NO_CREDENTIAL) + 2:
        raise KeysMissing(f"systemd found no online key for the hub; make it: {INIT}, or take it from the backup")
    return read_key(path, open_to=0o007)


def write_keychain(folder: Path, keysets: tuple[str, ...]) -> None:
    """Put the chain in force: from here on its last keyset counts. Raises: OSError."""
    write_atomically(folder / KEYCHAIN, encode(Keychain(keysets=keysets[-MAX_KEYSETS:])), mode=0o644)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time. Raises: BadKeys when there is another."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeysMissing(f"there are no keys in {folder}; make them: {INIT}") from None
    try:
        _lock(fd, folder)
        for litter in folder.glob(".*.tmp"):  # of a killed command; there may be a key in it
            litter.unlink()
        yield
    finally:
        os.close(fd)


def _remedy(folder: Path) -> str:
    """For an online key that is not the keyset's."""
    if online_path(folder).name == CREDENTIAL:
        return "after a change that was cut off, siarhub videotron keys renew; then systemctl restart siarhub"
    return "complete the change (siarhub videotron keys renew), or take both files from one backup"


def _lock(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadKeys(f"another command is changing the keys in {folder}; wait for it, then try again") from None


def _kept_or_new(path: Path, title: str) -> SigningKey:
    """The key that a killed run left here, else a new one."""
    if path.exists():
        return read_key(path)
    key = SigningKey.new()
    write_key(path, key, title)
    return key
