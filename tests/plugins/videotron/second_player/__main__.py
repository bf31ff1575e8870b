"""A small player for Siar Hub, from docs/protocol.md alone: `python -m second_player SETTINGS.json`.

It is the example for whoever writes another one. Read wire.py (bytes), documents.py (their form), trust.py (what is
accepted), schedule.py and deciding.py (what is shown), films.py and fetching.py (how files come), proofs.py (what is
proven), enrolling.py, then player.py. It shows no picture: a film is a timer. It needs Python 3.11, `cryptography`
and `paho-mqtt`. It is no player for an office: a spoiled disk ends it.

SETTINGS.json has `folder`, `ns`, and `host`, `port`, `tls` of the broker at which it enrols, and `receive_maximum`, 1
on a slow link. Everything else it makes or is given: `key` (its private key) and `enrolment` stand in the folder.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import wire
from .documents import binary, fields
from .enrolling import CREDENTIAL, Code, enrol
from .player import Player, Settings
from .trust import Trust, write_durably

CODE_LASTS_S = 1800
ENROLMENT = fields(key=binary(32), credential=CREDENTIAL)


def main(found: dict[str, Any]) -> None:
    folder, stops = Path(found["folder"]), []
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: stops.append(number))
    key = own_key(folder / "key")
    while not (folder / "enrolment").exists() and not stops:
        ask_for_credential(found, key, folder / "enrolment", lambda: bool(stops))
    if not stops:
        play(found, key, read_enrolment(folder / "enrolment", key), lambda: bool(stops))


def own_key(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        write_durably(path, Ed25519PrivateKey.generate().private_bytes_raw(), mode=0o600)
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def ask_for_credential(found: dict[str, Any], key: Ed25519PrivateKey, path: Path, stopped: Callable[[], bool]) -> None:
    """Show a code, and ask with it for as long as it counts."""
    code, ends = Code(key=key.public_key().public_bytes_raw()), time.monotonic() + CODE_LASTS_S
    print(code.shown, flush=True)  # noqa: T201 - it has no other screen
    keep = functools.partial(keep_enrolment, path, code.key)
    while not stopped() and not path.exists() and time.monotonic() < ends:
        with contextlib.suppress(OSError):  # no broker; nor has it an account there until somebody types the code
            enrol(code, found, keep=keep, stopped=lambda: stopped() or time.monotonic() >= ends)
        time.sleep(found.get("knock_every_s", 2))


def keep_enrolment(path: Path, key: bytes, text: str) -> None:
    """Write the same file that a person may carry: the credential, and whose it is."""
    credential, public = json.loads(text), base64.b64encode(key).decode()
    payload = json.dumps({"key": public, "credential": credential})
    envelope = {"v": 1, "type": "siarhub.enrolment.v1", "payload": payload, "signatures": []}
    write_durably(path, json.dumps(envelope).encode(), mode=0o600)


def read_enrolment(path: Path, key: Ed25519PrivateKey) -> dict[str, Any]:
    """The credential that the hub gave, or a person carried here; refused when it is for another key."""
    envelope = wire.open_envelope(path.read_bytes())
    found = ENROLMENT(wire.parse(envelope.payload))
    if envelope.type != "siarhub.enrolment.v1" or found["key"] != key.public_key().public_bytes_raw():
        raise wire.Refused("wrong audience", "an enrolment of another key")
    credential: dict[str, Any] = found["credential"]
    return credential


def play(
    found: dict[str, Any], key: Ed25519PrivateKey, credential: dict[str, Any], stopped: Callable[[], bool]
) -> None:
    broker = {**credential["broker"], "password": credential["password"]}
    made = {"folder": Path(found["folder"]), "pid": credential["player"], "ns": found["ns"]}
    told = {key: found[key] for key in ("film_s", "receive_maximum") if key in found}
    settings = Settings(**made, **broker, **told)
    kept, rules = settings.folder / "trust", {"pid": settings.pid, "clock": settings.clock}
    if kept.exists():
        trust = Trust(kept, **rules)
    else:
        trust = Trust.enrol(kept, base64.b64decode(credential["keychain"]), site=credential["site"], **rules)
    Player(settings, trust, key).run(stopped)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
