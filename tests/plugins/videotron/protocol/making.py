"""Manifests and their films, as the schedule's tests need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from plugins.videotron.protocol import Manifest, ManifestItem
from plugins.videotron.protocol.hours import dayparts_of
from plugins.videotron.protocol.manifests import Screen

ISSUED = datetime(2026, 11, 22, 16, tzinfo=UTC)  # Monday 23 November, 00.00 WITA
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def item(number: int = 1, *, dayparts: str = "", **facts: Any) -> ManifestItem:
    sha256 = facts.pop("sha256", f"{number:064x}"[::-1])
    values: dict[str, Any] = {
        "item": f"IP-2026-11-{number:04d}", "title": f"film {number}", "cid": sha256[:32], "sha256": sha256,
        "size": 1000, "seconds": 10.0, "start": ISSUED, "end": ISSUED + 30 * DAY, "fresh_s": 10 * 86400,
        "dayparts": dayparts_of(dayparts),
    }  # fmt: skip
    return ManifestItem(**{**values, **facts})


def manifest(*items: ManifestItem, zone: str = "Asia/Makassar", **facts: Any) -> Manifest:
    values: dict[str, Any] = {
        "site": "kalsel", "aud": "gerbang", "keyset": 1, "epoch": 1, "seq": 1, "issued": ISSUED,
        "expires": ISSUED + 40 * DAY, "screen": Screen(width=64, height=32, zone=zone), "items": items,
    }  # fmt: skip
    return Manifest(**{**values, **facts})


def local(text: str, zone: str = "Asia/Makassar") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
