"""Renditions: wanted by deliveries, made once for all of them, or failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from hub.api import Delivery, Profile, Rendition
from hub.api.profiles import profile_digest, profile_from_json, profile_to_json
from hub.ledger.wire import from_json, stamp, to_json


def want(db: sqlite3.Connection, plugin: str, delivery: Delivery) -> None:
    """Note which renditions a delivery needs; those that nobody wanted before are wanted now."""
    db.execute("DELETE FROM want WHERE plugin = ? AND key = ?", (plugin, delivery.key))
    for position, want in enumerate(delivery.wants):
        digest = profile_digest(want.profile)
        db.execute(
            "INSERT INTO rendition (asset, digest, profile, state) VALUES (?, ?, ?, 'wanted')"
            # Made before: it costs nothing. Removed since: it is made again.
            " ON CONFLICT DO UPDATE SET idle_since = NULL,"
            " state = CASE state WHEN 'removed' THEN 'wanted' ELSE state END,"
            " body = CASE state WHEN 'removed' THEN NULL ELSE body END",
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


def hashes(db: sqlite3.Connection, plugin: str, key: str) -> frozenset[str]:
    """Of the delivery's renditions as they were made, even if removed since; empty until all were."""
    wants = wanted_by(db, plugin, key)
    if any(want["body"] is None for want in wants):
        return frozenset()
    return frozenset(from_json(Rendition, want["body"]).sha256 for want in wants)


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


def still_wanted(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """(the asset, the profile), each as JSON, of every rendition that a live item waits for."""
    rows = db.execute(
        "SELECT (SELECT body FROM asset WHERE asset.sha256 = rendition.asset LIMIT 1) AS asset, profile FROM rendition"  # noqa: S608 - constant
        f" WHERE state = 'wanted' AND {_WAITED_FOR}"
    )
    return [(row["asset"], row["profile"]) for row in rows if row["asset"] is not None]


def made(db: sqlite3.Connection, rendition: Rendition) -> None:
    db.execute(
        "UPDATE rendition SET state = 'made', reason = '', idle_since = NULL, body = ? WHERE asset = ? AND digest = ?",
        (to_json(rendition), rendition.asset, profile_digest(rendition.profile)),
    )


def kept(db: sqlite3.Connection, asset: str, profile: Profile) -> Rendition | None:
    """The rendition of this asset in this profile, if it is made."""
    row = db.execute(
        "SELECT body FROM rendition WHERE asset = ? AND digest = ? AND state = 'made'", (asset, profile_digest(profile))
    ).fetchone()
    return from_json(Rendition, row["body"]) if row else None


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


_BY_A_LIVE_ITEM = (
    "EXISTS (SELECT 1 FROM want JOIN delivery USING (plugin, key) JOIN item ON item.number = delivery.item"
    " WHERE want.asset = rendition.asset AND want.digest = rendition.digest"
    " AND item.state IN ('accepted', 'active') AND delivery.state"
)
_IN_USE = f"{_BY_A_LIVE_ITEM} NOT IN ('withdrawn', 'expired'))"
_WAITED_FOR = f"{_BY_A_LIVE_ITEM} IN ('planned', 'transcoding'))"


def note_idle(db: sqlite3.Connection, *, now: datetime) -> int:
    """Mark since when no live item wants a rendition; returns how many have become idle since the last look."""
    db.execute(f"UPDATE rendition SET idle_since = NULL WHERE state = 'made' AND idle_since IS NOT NULL AND {_IN_USE}")  # noqa: S608 - constant
    return db.execute(
        "UPDATE rendition SET idle_since = ?"  # noqa: S608 - constant
        f" WHERE state = 'made' AND idle_since IS NULL AND NOT {_IN_USE}",
        (stamp(now),),
    ).rowcount


def idle(db: sqlite3.Connection, *, since: datetime, limit: int) -> list[Rendition]:
    """Made, and wanted by no live item since then or longer; those idle for the longest time first."""
    rows = db.execute(
        "SELECT body FROM rendition WHERE state = 'made' AND idle_since <= ?"
        " ORDER BY idle_since, asset, digest LIMIT ?",
        (stamp(since), limit),
    )
    return [from_json(Rendition, row["body"]) for row in rows]


def idle_bytes(db: sqlite3.Connection, *, since: datetime) -> int:
    """How large the files of all of those are together."""
    row = db.execute(
        "SELECT coalesce(sum(body ->> '$.media.size_bytes'), 0) AS bytes FROM rendition"
        " WHERE state = 'made' AND idle_since <= ?",
        (stamp(since),),
    ).fetchone()
    return int(row["bytes"])


def remove(db: sqlite3.Connection, gone: Sequence[Rendition]) -> None:
    """Their files may go now: whoever wants one of them later has it made again. What is wanted again stays."""
    keys = [(one.asset, profile_digest(one.profile)) for one in gone]
    db.executemany(
        "UPDATE rendition SET state = 'removed' WHERE asset = ? AND digest = ? AND state = 'made'"  # noqa: S608 - constant
        f" AND idle_since IS NOT NULL AND NOT {_IN_USE}",
        keys,
    )
    db.executemany("UPDATE rendition SET idle_since = NULL WHERE asset = ? AND digest = ? AND state = 'made'", keys)


def files_in_use(db: sqlite3.Connection, beginning: str) -> frozenset[str]:
    """The hashes, of those that begin so, of the files that a made rendition stands for."""
    rows = db.execute(
        "SELECT body ->> '$.sha256' AS sha256 FROM rendition"
        " WHERE state = 'made' AND body ->> '$.sha256' >= ? AND body ->> '$.sha256' < ?",
        (beginning, beginning + "g"),
    )
    return frozenset(row["sha256"] for row in rows)
