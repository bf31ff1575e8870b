"""What the accepted items will still take of the disks: their copies in the archive, and renditions not made yet."""

from __future__ import annotations

import sqlite3

from hub.api import Asset
from hub.api.profiles import profile_from_json
from hub.intake.space import RENDITIONS, Need
from hub.ledger import items, renditions
from hub.ledger.wire import from_json
from hub.media.planner import duration_of
from hub.media.sizes import likely_bytes


def still_to_come(db: sqlite3.Connection) -> Need:
    """Of all live items together."""
    not_planned = int(items.bytes_not_planned(db) * RENDITIONS)
    return Need(state=_renditions(db) + not_planned, archive=items.bytes_not_filed(db))


def _renditions(db: sqlite3.Connection) -> int:
    total = 0
    for body, profile_text in renditions.still_wanted(db):
        media, profile = from_json(Asset, body).media, profile_from_json(profile_text)
        total += likely_bytes(media, profile, duration_of(media, profile))
    return total
