"""A small player for Siar Hub, from docs/protocol.md alone: `python -m second_player SETTINGS.json`.

It is the example for whoever writes another one. Read wire.py (bytes), documents.py (their form), trust.py (what is
accepted), schedule.py (what is shown when), films.py and fetching.py (how files come), proofs.py (what is proven), then
player.py. It shows no picture: a film is a timer. It needs Python 3.11, `cryptography` and `paho-mqtt`.

SETTINGS.json has `folder`, `pid`, `ns`, `host`, `port`, `password`, perhaps `ca`; beside it stand `keychain`, which a
person brought, and `key`, the player's private key of 32 bytes; its public key is known to the hub.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .player import Player, Settings
from .trust import Trust


def main(path: Path) -> None:
    found = json.loads(path.read_text())
    settings = Settings(**found | {"folder": Path(found["folder"])})
    settings.folder.mkdir(parents=True, exist_ok=True)
    kept, rules = settings.folder / "trust", {"pid": settings.pid, "clock": settings.clock}
    if kept.exists():
        trust = Trust(kept, **rules)
    else:
        trust = Trust.enrol(kept, path.with_name("keychain").read_bytes(), **rules)
    key = Ed25519PrivateKey.from_private_bytes(path.with_name("key").read_bytes())
    stops: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: stops.append(number))
    Player(settings, trust, key).run(lambda: bool(stops))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
