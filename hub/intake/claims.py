"""What the drops of one watched folder hold while they are handled or wait: copies in the vault, and promised space."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from pathlib import Path

from hub.intake.claim import Vault
from hub.intake.desk import ClaimedFile
from hub.intake.evidence import Evidence, Parts
from hub.intake.lookout import Ready
from hub.intake.space import Key, Space


class Claims:
    """Remembers the copies of drops that wait, so that they are not copied at each try."""

    def __init__(self, inbox: Path, vault: Vault, space: Space) -> None:
        self._inbox = inbox
        self._vault = vault
        self._space = space
        self._held: dict[tuple[Parts, Evidence], ClaimedFile] = {}

    async def all_of(self, ready: Ready) -> tuple[ClaimedFile, ...]:
        """The copies of its media files, those with the same bytes once. Raises: as `Vault.claim`, NoSpace."""
        found: dict[str, ClaimedFile] = {}
        if held := [key for one in ready.media if (key := (one.parts, one.evidence)) in self._held]:
            await asyncio.to_thread(self._forget_lost, held)
        if any((settled.parts, settled.evidence) not in self._held for settled in ready.media):
            sizes = [settled.evidence.size for settled in ready.media]
            await self._space.promise(self._key(ready), ready.media[0].evidence.device, sizes)
        for settled in ready.media:
            key = (settled.parts, settled.evidence)
            if key not in self._held:
                self._held[key] = await self._vault.claim(self._inbox, settled)
            found.setdefault(self._held[key].sha256, self._held[key])
        self._space.copied(self._key(ready))
        return tuple(found.values())

    def accepted(self, ready: Ready) -> None:
        """It is in the ledger: what it will still take is promised from there."""
        self._space.accepted(self._key(ready))

    def ended(self, ready: Ready) -> None:
        """It waits no longer."""
        for settled in ready.media:
            self._held.pop((settled.parts, settled.evidence), None)
        self._space.ended(self._key(ready))

    def forget_all_but(self, anchors: Set[str]) -> None:
        """Drops that are gone hold nothing."""
        for key in [key for key in self._held if key[0][0] not in anchors]:
            del self._held[key]
        self._space.forget_all_but(self._inbox, anchors)

    def _forget_lost(self, held: Sequence[tuple[Parts, Evidence]]) -> None:
        """Claims whose copies are gone are made again. Blocks."""
        for key in held:
            if not self._vault.touch(self._held[key].vault_path):
                del self._held[key]

    def _key(self, ready: Ready) -> Key:
        return self._inbox, ready.bundle.anchor
