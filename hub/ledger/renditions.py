"""Renditions: wanted by deliveries, made once for all of them, or failed."""

from __future__ import annotations

import sqlite3

from hub.api import Delivery, Profile, Rendition
from hub.api.profiles import profile_digest, profile_from_json, profile_to_json
from hub.ledger.wire import from_json, to_json


def want(db: sqlite3.Connection, plugin: str, delivery: Delivery) -> None:
    """Note which renditions a delivery needs; those that nobody wanted before are wanted now."""
    db.execute("DELETE FROM want WHERE plugin = ? AND key = ?", (plugin, delivery.key))
    for position, want in enumerate(delivery.wants):
        digest = profile_digest(want.profile)
        db.execute(
            "INSERT INTO rendition (asset, digest, profile, state) VALUES (?, ?, ?, 'wanted') ON CONFLICT DO NOTHING",
            (want.asset, digest, profile_to_json(want.profile)),
        )
        db.execute("INSERT INTO want VALUES (?, ?, ?, ?, ?)", (plugin, delivery.key, position, want.asset, digest))


def wanted_by(db: sqlite3.Connection, plugin: str, key: str) -> list[sqlite3.Row]:
    """The renditions of a delivery, made or not, in the order of its wants."""
    return db.execute(
        "SELECT rendition.* FROM want JOIN rendition USING (asset, digest) WHERE plugin = ? AND key = ?"
        " ORDER BY position",
        (plugin, key),
    ).fetchall()


def of_delivery(db: sqlite3.Connection, plugin: str, key: str) -> tuple[Rendition, ...] | None:
    """The delivery's renditions in the order of its wants; None until all are made."""
    wants = wanted_by(db, plugin, key)
    if any(want["state"] != "made" for want in wants):
        return None
    return tuple(from_json(Rendition, want["body"]) for want in wants)


def wanted_profiles(db: sqlite3.Connection, asset: str) -> list[Profile]:
    """The renditions of an asset that somebody with a live item waits for."""
    rows = db.execute(
        "SELECT DISTINCT rendition.profile FROM rendition JOIN want USING (asset, digest)"
        " JOIN delivery USING (plugin, key) JOIN item ON item.number = delivery.item"
        " WHERE rendition.asset = ? AND rendition.state = 'wanted' AND item.state IN ('accepted', 'active')"
        " AND delivery.state IN ('planned', 'transcoding') ORDER BY rendition.digest",
        (asset,),
    )
    return [profile_from_json(row["profile"]) for row in rows]


def assets_wanted(db: sqlite3.Connection, item: str) -> list[str]:
    """The assets of an item that are still to be transcoded."""
    rows = db.execute(
        "SELECT DISTINCT want.asset FROM want JOIN delivery USING (plugin, key)"
        " JOIN rendition USING (asset, digest) WHERE delivery.item = ? AND rendition.state = 'wanted'",
        (item,),
    )
    return [row["asset"] for row in rows]


def made(db: sqlite3.Connection, rendition: Rendition) -> None:
    db.execute(
        "UPDATE rendition SET state = 'made', reason = '', body = ? WHERE asset = ? AND digest = ?",
        (to_json(rendition), rendition.asset, profile_digest(rendition.profile)),
    )


def failed(db: sqlite3.Connection, asset: str, profile: Profile, reason: str) -> None:
    db.execute(
        "UPDATE rendition SET state = 'failed', reason = ? WHERE asset = ? AND digest = ?",
        (reason, asset, profile_digest(profile)),
    )


def lost(db: sqlite3.Connection, asset: str, profile: Profile) -> None:
    """Its file is gone or damaged: it is wanted again."""
    db.execute(
        "UPDATE rendition SET state = 'wanted', body = NULL WHERE asset = ? AND digest = ?",
        (asset, profile_digest(profile)),
    )
