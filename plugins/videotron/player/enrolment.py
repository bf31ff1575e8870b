"""What the player holds after its enrolment: one file, whole or not there, that makes this machine a screen's player.

A kill before the file stands leaves a player that shows a new code; after it, one that is enrolled.
"""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from hub.api.files import fsync_folder, write_atomically
from plugins.videotron.protocol import WireError, decode, encode
from plugins.videotron.protocol.enrolment import Credential, Enrolment

FILE = "enrolment.json"
CA_FILE = "broker-ca.pem"


def enrolment_of(key: bytes, credential: Credential) -> Enrolment:
    return Enrolment(key=base64.b64encode(key).decode(), credential=credential)


def store(folder: Path, enrolment: Enrolment) -> None:
    """Durable when this returns. Blocks. Raises: OSError, WireError."""
    write_atomically(folder / FILE, encode(enrolment), mode=0o600)


def load(folder: Path) -> Enrolment | None:
    """What was stored; a spoiled file is set aside, and the player is to be enrolled anew. Blocks. Raises: OSError."""
    path = folder / FILE
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except WireError:
        path.replace(path.with_name(f"{path.name}.spoiled-{secrets.token_hex(3)}"))
        return None


def read(path: Path) -> Enrolment:
    """An enrolment in any file, such as one that a person carried. Blocks. Raises: OSError, WireError."""
    return decode(Enrolment, path.read_bytes())


def forget(folder: Path) -> None:
    """The player is nobody's from now on. Blocks. Raises: OSError."""
    (folder / FILE).unlink(missing_ok=True)
    (folder / CA_FILE).unlink(missing_ok=True)
    fsync_folder(folder)


def fill_in(raw: dict[str, Any], enrolment: Enrolment, folder: Path) -> None:
    """Complete what player.toml says by the enrolment; what the file says itself stands.

    Writes the broker's certificate authority beside the enrolment, where TLS wants a file. Blocks. Raises: OSError.
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
    if credential.broker.ca is not None:
        tls = broker.setdefault("tls", {})
        tls.setdefault("ca_file", str(_ca_file(folder, credential.broker.ca)))


def _ca_file(folder: Path, pem: str) -> Path:
    path = folder / CA_FILE
    if not path.exists() or path.read_text() != pem:
        write_atomically(path, pem, mode=0o644)
    return path.resolve()


def as_json(enrolment: Enrolment | None, public: bytes) -> str:
    """For people: whose player this is; without anything secret."""
    found: dict[str, Any] = {"key": base64.b64encode(public).decode(), "player": None}
    if enrolment is not None:
        credential = enrolment.credential
        found |= {"player": credential.player, "site": credential.site, "enrolled_key": enrolment.key}
        found["broker"] = f"{credential.broker.host}:{credential.broker.port}"
    return json.dumps(found, indent=2)
