"""What the player holds after its enrolment: one file, whole or not there, that makes this machine a screen's player.

A kill before the file stands leaves a player that shows a new code; after it, one that is enrolled.
"""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from hub.api.errors import HubError
from hub.api.files import fsync_folder
from plugins.videotron.player.owned import write_owned
from plugins.videotron.player.spoiled import set_aside
from plugins.videotron.protocol import WireError, decode, encode
from plugins.videotron.protocol.enrolment import Credential, Enrolment
from plugins.videotron.protocol.keychains import read_keychain

FILE = "enrolment.json"
COPY = "enrolment.copy.json"  # the same once more: without either, a person must come
CA_FILE = "broker-ca.pem"
KEYCHAIN = "keychain.json"
# What was believed on the word of the hub that this player was enrolled with, every generation and copy of it.
FOLLOWED = ("keychain*.json", "trust*.json", "manifest*.json", "override*.json")


def enrolment_of(key: bytes, credential: Credential) -> Enrolment:
    return Enrolment(key=base64.b64encode(key).decode(), credential=credential)


def store(folder: Path, enrolment: Enrolment) -> None:
    """Durable when this returns. Blocks. Raises: OSError, WireError."""
    for name in (FILE, COPY):
        write_owned(folder / name, encode(enrolment), mode=0o600)


def load(folder: Path) -> Enrolment | None:
    """What was stored; a spoiled file is set aside, and without its copy the player is to be enrolled anew. Blocks.

    Raises: OSError.
    """
    for name in (FILE, COPY):
        try:
            return read(folder / name)
        except FileNotFoundError:
            continue
        except (WireError, IsADirectoryError):
            set_aside(folder / name)
    return None


def read(path: Path) -> Enrolment:
    """An enrolment in any file, such as one that a person carried. Blocks. Raises: OSError, WireError."""
    return decode(Enrolment, path.read_bytes())


def install(folder: Path, file: Path, public: bytes) -> Enrolment:
    """Take in the enrolment that a person carried here. Blocks.

    Raises: HubError when it is not for this machine, or this machine has one; OSError, WireError.
    """
    if load(folder) is not None:
        raise HubError("this machine is enrolled already; end that first: siarhub-player forget")
    carried = read(file)
    if carried.key != base64.b64encode(public).decode():
        raise HubError("the file was made for another machine: its key is not the one of siarhub-player identity")
    read_keychain(carried.credential.chain())
    store(folder, carried)
    return carried


def forget(folder: Path) -> None:
    """The player is nobody's from now on. Blocks. Raises: OSError.

    Films stay, named by their hashes; plays that no hub has acknowledged are kept as `proof.db.forgotten-...`.
    """
    # The enrolment first: a kill leaves a player that shows a code. Before that its copy, which would bring it back.
    for pattern in (COPY, FILE, *FOLLOWED, CA_FILE):
        for path in folder.glob(pattern):
            set_aside(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in folder.glob("proof.db*"):
        if ".forgotten-" not in path.name:
            path.replace(path.with_name(f"{path.name}.forgotten-{secrets.token_hex(3)}"))
    fsync_folder(folder)


def fill_in(raw: dict[str, Any], enrolment: Enrolment, folder: Path) -> None:
    """Complete what player.toml says by the enrolment; what the file says itself stands.

    The hub's keys and the broker's certificate authority are written beside the enrolment, where they are looked for.
    Blocks. Raises: OSError, WireError.
    """
    credential = enrolment.credential
    raw["player"] = credential.player
    screen = raw.setdefault("screen", {})
    screen.setdefault("width", credential.screen.width)
    screen.setdefault("height", credential.screen.height)
    broker = raw.setdefault("broker", {})
    broker.setdefault("host", credential.broker.host)
    broker.setdefault("port", credential.broker.port)
    broker["password"] = credential.password
    _place(folder / KEYCHAIN, credential.chain())
    if credential.broker.ca is not None:
        _place(folder / CA_FILE, credential.broker.ca.encode())
        broker.setdefault("tls", {}).setdefault("ca_file", str((folder / CA_FILE).resolve()))


def _place(path: Path, data: bytes) -> None:
    """Only where there is none: newer keys may have come on a stick."""
    if not path.exists():
        write_owned(path, data, mode=0o644)


def as_json(enrolment: Enrolment | None, public: bytes) -> str:
    """For people: whose player this is; without anything secret."""
    found: dict[str, Any] = {"key": base64.b64encode(public).decode(), "player": None}
    if enrolment is not None:
        credential = enrolment.credential
        found |= {"player": credential.player, "site": credential.site, "enrolled_key": enrolment.key}
        found["broker"] = f"{credential.broker.host}:{credential.broker.port}"
    return json.dumps(found, indent=2)
