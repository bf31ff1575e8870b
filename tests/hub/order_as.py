"""Gives an order as a user: argv is the state folder, uid, gid, the order's name, and the text of why.

Prints the outcome as JSON. `--sudo UID` at the end: as if sudo had been used by that user; `--claim NAME`: the row says
that NAME gave it; `--silent`: only the row is written, nobody calls the hub; `--change`: after the call, the words are
changed in the ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import encodings.idna  # noqa: F401 - nobody may not read the interpreter's files everywhere

from hub import control, vouching
from hub.ledger.database import open_for_writing

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("uid", type=int)
    parser.add_argument("gid", type=int)
    parser.add_argument("name")
    parser.add_argument("why")
    parser.add_argument("--sudo")
    parser.add_argument("--claim")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--change", action="store_true")
    asked = parser.parse_args()
    os.environ.pop("SUDO_UID", None)
    if asked.sudo:
        os.environ["SUDO_UID"] = asked.sudo
    os.setgroups([])
    os.setgid(asked.gid)
    os.setuid(asked.uid)
    if asked.claim:
        control.caller = lambda: asked.claim
    if asked.silent:
        control.ring = lambda *call: None
    if asked.change:
        # What a member of the group could do between the call and its being heard.
        def ring_and_change(address: Path, order: int, digest: str) -> None:
            db = open_for_writing(asked.state / "ledger.db")
            db.execute('UPDATE person_order SET args = \'{"screens": "all"}\' WHERE id = ?', (order,))
            db.close()
            vouching.ring(address, order, digest)

        control.ring = ring_and_change
    outcome = control.give(
        asked.state, asked.state / "ledger.db", asked.name, {"screens": "gate"}, asked.why, may_wait=False
    )
    sys.stdout.write(json.dumps({"done": outcome.done, "message": outcome.message}))
