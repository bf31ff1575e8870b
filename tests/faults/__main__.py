"""`python -m tests.faults`: breaks the hub at every point and says what was lost, doubled or damaged by it."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys

from tests.faults.row import Row

SWEEPS = {
    "archive": "archive_sweep",
    "ledger": "ledger_sweep",
    "intake": "intake_sweep",
    "hub": "hub_sweep",
    "player": "player_sweep",
    "player-cuts": "player_cuts",
    "transfer": "transfer_sweep",
    "radio": "radio_sweep",
    "disk": "disk_sweep",
}
HEADER = "name  points  lost  doubled  damaged"


def main() -> int:
    """Run the sweeps asked for; 0 when nothing was lost, doubled or damaged."""
    options = _options()
    if not options.json:
        say(HEADER)
    passed = True
    for name in [options.only] if options.only else _possible():
        row = run(name, short=options.short)
        say(json.dumps(row.as_json) if options.json else str(row))
        passed = passed and row.points > 0 and not (row.lost or row.doubled or row.damaged)
    return 0 if passed else 1


def run(name: str, *, short: bool) -> Row:
    """The row of one sweep. Sweeps are imported when they are run: each needs other programs."""
    row: Row = importlib.import_module(f"tests.faults.{SWEEPS[name]}").main(short)
    return row


def _possible() -> list[str]:
    """All sweeps, but for the one of the full disk where nobody may mount a small one."""
    if os.geteuid() == 0:
        return list(SWEEPS)
    print("disk: left out, it mounts a small disk and so needs root", file=sys.stderr)  # noqa: T201 - its purpose
    return [name for name in SWEEPS if name != "disk"]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its purpose


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", choices=SWEEPS, help="one sweep")
    parser.add_argument("--json", action="store_true", help="a line of JSON a sweep")
    parser.add_argument("--short", action="store_true", help="a few points of each, as the tests do")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
