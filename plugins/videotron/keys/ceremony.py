"""What changes the hub's keys: each step is repeatable, and whole or not there after a kill at any instruction.

A new online key waits in a file named by its fingerprint; then the keychain is replaced: the change is in force;
then the key takes its place. Whoever comes next completes the last part (`complete`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hub.api.files import fsync_folder
from plugins.videotron.keys.keyfiles import BadKeys, KeysMissing, read_key, write_key
from plugins.videotron.keys.keyring import (
    LIFETIME,
    ONLINE,
    ROOT,
    days_left,
    keysets_of,
    locked,
    read_chain,
    role,
    texts_of,
    write_keychain,
)
from plugins.videotron.keys.proposals import Proposal, finished, merge, propose
from plugins.videotron.protocol import KeyRole, Keyset, SigningKey, key_id

OFFLINE_LIFETIME = timedelta(days=800)  # custodians must meet for the next one
RENEW_DAYS = 120  # left: then a root at hand signs the next keyset by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What the next keyset shall change."""

    online: bool = False  # another online key
    stolen: bool = False  # what the one before signed is void, also on the players
    roots: KeyRole | None = None  # other roots
    lifetime: timedelta | None = None


def prepare(folder: Path, change: Change, *, now: datetime) -> Proposal:
    """The next keyset, signed by the root key if that is in the folder. Nothing is in force yet. Blocks.

    Raises: BadKeys; OSError.
    """
    with locked(folder):
        return _prepare(folder, change, now)


def install(folder: Path, proposals: Sequence[Proposal], *, now: datetime) -> Keyset:
    """Put the proposed keyset in force: enough roots before and of its own must have signed. Blocks.

    Does nothing when it is in force already. Raises: BadKeys, with what is missing; OSError.
    """
    with locked(folder):
        return _install(folder, merge(proposals), now)


def rotate(folder: Path, *, now: datetime, stolen: bool = False) -> Keyset:
    """A new online key, signed by the root in the folder. Blocks. Raises: BadKeys; OSError."""
    with locked(folder):
        return _install(folder, _prepare(folder, Change(online=True, stolen=stolen), now), now)


def renew(folder: Path, *, now: datetime) -> Keyset | None:
    """The same keys in a new keyset, when this one ends within `RENEW_DAYS` and the root is in the folder. Blocks.

    None: nothing to do. Raises: BadKeys; OSError.
    """
    with locked(folder):
        complete(folder)
        keyset = keysets_of(read_chain(folder), folder)[-1]
        if days_left(keyset, now) >= RENEW_DAYS or (keyset.root.threshold, root_at_hand(folder, keyset)) != (1, True):
            return None
        return _install(folder, _prepare(folder, Change(), now), now)


def retire_root(folder: Path) -> bool:
    """Remove the root key that came with `init`; False when it is gone already.

    Raises: BadKeys while the keyset in force still needs it; OSError.
    """
    with locked(folder):
        if not (folder / ROOT).exists():
            return False
        if root_at_hand(folder, keysets_of(read_chain(folder), folder)[-1]):
            raise BadKeys(f"{folder / ROOT} is a root of the keyset in force: install one with other roots first")
        _remove(folder / ROOT)
        return True


def has_old_root(folder: Path) -> bool:
    """Whether a root key lies in the folder that the keyset in force does not name. Raises: BadKeys."""
    return (folder / ROOT).exists() and not root_at_hand(folder, keysets_of(read_chain(folder), folder)[-1])


def root_at_hand(folder: Path, keyset: Keyset) -> bool:
    """Whether the key file in the folder is a root of this keyset. Raises: BadKeys."""
    root = _root(folder)
    return root is not None and base64.b64encode(root.public).decode() in keyset.root.keys


def complete(folder: Path) -> None:
    """Give the online key that the keyset in force names its place; drop those that wait for nothing any more."""
    keyset = keysets_of(read_chain(folder), folder)[-1]
    for key in keyset.online.keys:
        waiting = _waiting(folder, base64.b64decode(key))
        if waiting.exists():
            waiting.replace(folder / ONLINE)
            fsync_folder(folder)
            for stale in folder.glob("online-*.key"):
                _remove(stale)


def _prepare(folder: Path, change: Change, now: datetime) -> Proposal:
    complete(folder)
    chain = read_chain(folder)
    before = keysets_of(chain, folder)[-1]
    roots = change.roots or before.root
    offline = roots.threshold > 1 or change.roots is not None
    after = Keyset(
        site=before.site,
        version=before.version + 1,
        epoch=before.epoch + change.stolen,
        issued=now,
        expires=now + (change.lifetime or (OFFLINE_LIFETIME if offline else LIFETIME)),
        root=roots,
        online=role(_new_online(folder, before.site).public) if change.online else before.online,
    )
    root = _root(folder)
    return propose(texts_of(chain), before, after, *([root] if root else []))


def _install(folder: Path, proposal: Proposal, now: datetime) -> Keyset:
    complete(folder)
    chain = read_chain(folder)
    keyset = keysets_of(chain, folder)[-1]
    if keyset == proposal.after:
        return keyset
    if keyset != proposal.before:
        raise BadKeys(
            f"the proposal follows keyset {proposal.before.version} of {proposal.before.site}, and keyset "
            f"{keyset.version} of {keyset.site} is in force here: prepare it again"
        )
    text = finished(proposal)
    if proposal.after.expires <= now:
        raise BadKeys(f"the proposal expired on {proposal.after.expires:%Y-%m-%d}: prepare it again")
    _check_online(folder, proposal.after)
    write_keychain(folder, (*texts_of(chain), text))
    complete(folder)
    return proposal.after


def _check_online(folder: Path, after: Keyset) -> None:
    """Raises: BadKeys when this machine does not have the online key that the keyset names."""
    for path in (folder / ONLINE, *(_waiting(folder, base64.b64decode(key)) for key in after.online.keys)):
        if path.exists() and base64.b64encode(read_key(path).public).decode() in after.online.keys:
            return
    raise BadKeys(
        "the online key of this proposal is not on this machine: install it where it was prepared, or prepare it again"
    )


def _new_online(folder: Path, site: str) -> SigningKey:
    key = SigningKey.new()
    write_key(_waiting(folder, key.public), key, f"Siar Hub: online key of {site}. Signs what screens show.")
    return key


def _waiting(folder: Path, public: bytes) -> Path:
    return folder / f"online-{key_id(public)}.key"


def _root(folder: Path) -> SigningKey | None:
    try:
        return read_key(folder / ROOT)
    except KeysMissing:
        return None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    fsync_folder(path.parent)
