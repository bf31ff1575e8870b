"""What the ledger knows already of a drop that is planned; nothing where there is no ledger, or none for us to read."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub.api import HubError, ItemNumber, Profile, Rendition, Sha256, Want
from hub.ledger import items, renditions
from hub.ledger.database import open_for_reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`numbers` are the items of the same bytes, `made` the renditions that are there and cost nothing."""

    numbers: tuple[ItemNumber, ...] = ()
    made: Mapping[tuple[Sha256, Profile], Rendition] = field(default_factory=dict)


def look_up(ledger: Path, assets: Sequence[Sha256], wants: Sequence[Want]) -> Known:
    try:
        db = open_for_reading(ledger)
    except (HubError, sqlite3.Error):
        return Known()
    try:
        twins = tuple(item.number for item, _ in items.with_same_bytes(db, assets))
        found = {(want.asset, want.profile): renditions.kept(db, want.asset, want.profile) for want in wants}
        return Known(numbers=twins, made={key: one for key, one in found.items() if one is not None})
    finally:
        db.close()
