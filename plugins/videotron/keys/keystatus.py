"""How the hub's keys are: for `keys status`, `siarhub check` and the hub's health."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.videotron.keys.keyfiles import BadKeys, KeysHidden, KeysMissing, fingerprint, mode_of, read_key
from plugins.videotron.keys.keyring import ROOT, WARN_DAYS, days_left, keysets_of, load, online_path, read_chain
from plugins.videotron.protocol import KeyRole, Keyset

RENEW = "siarhub videotron keys renew"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """What can be seen of a folder of keys by whoever looks."""

    folder: Path
    keyset: Keyset | None  # None: there is none, or the chain does not hold
    keysets: int
    online_path: Path
    online_mode: str  # "0400"; "" when there is no file
    root_mode: str  # likewise
    problems: tuple[str, ...]  # each with its remedy
    notes: tuple[str, ...]


def look(folder: Path, *, now: datetime) -> KeyStatus:
    """Blocks. What this user may not read is a note, not a problem."""
    keysets: tuple[Keyset, ...] = ()
    problems, notes = [], []
    try:
        keysets = keysets_of(read_chain(folder), folder)
        load(folder, now=now)
    except KeysHidden as error:
        notes.append(f"{error}, to see whether it is the right one")
    except BadKeys as error:
        problems.append(str(error))
    keyset = keysets[-1] if keysets else None
    if keyset:
        problems += [*ending(keyset, now), *_root_problems(folder, keyset)]
        notes += _root_notes(folder, keyset)
    return KeyStatus(
        folder=folder,
        keyset=keyset,
        keysets=len(keysets),
        online_path=online_path(folder),
        online_mode=mode_of(online_path(folder)),
        root_mode=mode_of(folder / ROOT),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def unusable(folder: Path, *, now: datetime) -> list[str]:
    """Why the hub could not sign with these keys, with the remedy; what this user may not see is no reason. Blocks."""
    try:
        load(folder, now=now)
    except KeysHidden:
        return []
    except BadKeys as error:
        return [str(error)]
    return []


def ending(keyset: Keyset, now: datetime) -> list[str]:
    """A sentence with the remedy when the keyset has ended or will soon."""
    left = days_left(keyset, now)
    if left < 0:
        return [
            f"keyset {keyset.version} expired on {keyset.expires:%Y-%m-%d}: the players take nothing new and show "
            f"their fallback. Renew it now: {RENEW}"
        ]
    if left < WARN_DAYS:
        return [f"keyset {keyset.version} expires on {keyset.expires:%Y-%m-%d}, in {left} days. Renew it: {RENEW}"]
    return []


def as_json(status: KeyStatus, now: datetime) -> dict[str, Any]:
    """The object of `keys status --json`."""
    keyset = status.keyset
    return {
        "folder": str(status.folder),
        "site": keyset and keyset.site,
        "version": keyset and keyset.version,
        "epoch": keyset and keyset.epoch,
        "issued": keyset and keyset.issued.isoformat(),
        "expires": keyset and keyset.expires.isoformat(),
        "days_left": keyset and days_left(keyset, now),
        "keysets": status.keysets,
        "roots": keyset and _role(keyset.root),
        "online": keyset and _role(keyset.online),
        "online_key": {"path": str(status.online_path), "mode": status.online_mode or None},
        "root_key": {"path": str(status.folder / ROOT), "mode": status.root_mode or None},
        "problems": list(status.problems),
        "notes": list(status.notes),
    }


def fingerprints(role: KeyRole) -> list[str]:
    return [fingerprint(base64.b64decode(key)) for key in role.keys]


def _role(role: KeyRole) -> dict[str, Any]:
    return {"threshold": role.threshold, "keys": fingerprints(role)}


def _root_problems(folder: Path, keyset: Keyset) -> list[str]:
    """A root key in the folder must be readable by its owner alone, and be of use."""
    try:
        root = read_key(folder / ROOT)
    except (KeysMissing, KeysHidden):
        return []
    except BadKeys as error:
        return [str(error)]
    if base64.b64encode(root.public).decode() in keyset.root.keys:
        return []
    return [
        f"{folder / ROOT} is no root any more, and could still mislead a player that was away for long. Remove it: "
        "siarhub videotron keys install --remove-old-root"
    ]


def _root_notes(folder: Path, keyset: Keyset) -> list[str]:
    if keyset.root.threshold > 1 or not (folder / ROOT).exists():
        return []
    return [
        "the root key is on this machine: whoever breaks into it rules the screens until each player gets new keys by "
        "hand. Move it to custodians: docs/keys.md"
    ]
