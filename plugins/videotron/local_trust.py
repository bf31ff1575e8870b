"""Keys for a hub and its players on this machine, for tests, the demo and benches: what enrolment does, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from plugins.videotron.enrolment.enrolments import FILE, Enrolments
from plugins.videotron.keys.keyring import KEYCHAIN, make
from plugins.videotron.player.identity import Identity


def trust_each_other(hub_state: Path, players: Mapping[str, Path]) -> None:
    """Give the plugin with this state folder keys, and let it and these players (state folders by id) know each other.

    Before either is started. Blocks. Raises: BadKeys when the hub has keys already; OSError.
    """
    hub_state.mkdir(parents=True, exist_ok=True)
    make(hub_state / "keys", now=datetime.now(UTC))
    enrol_here(hub_state, players)


def enrol_here(hub_state: Path, players: Mapping[str, Path]) -> None:
    """Let a hub that has keys know these players, also new machines at screens that had others.

    While neither runs. Blocks. Raises: OSError.
    """
    enrolments = Enrolments(hub_state / FILE)
    try:
        for player, folder in players.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / KEYCHAIN).write_bytes((hub_state / "keys" / KEYCHAIN).read_bytes())
            key = Identity.load_or_make(folder).public
            enrolments.enrol(player, key, at=datetime.now(UTC), who="this machine")
    finally:
        enrolments.close()
