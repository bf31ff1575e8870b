"""A hub by itself, as `siarhub run` starts it: no screens, no radio, one small plugin that takes all renditions.

So what is measured is the hub's own part: from the drop to the verified rendition.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.waiting import until
from hub.demo.stage import Child
from hub.ledger import deliveries, items
from hub.ledger.database import open_for_reading

PLUGIN = """
from hub.api import AudioProfile, Delivery, PluginSettings, Receipt, VideoProfile, Want, hookimpl

PROFILES = {profiles}


class TakerSettings(PluginSettings):
    pass


class Taker:
    Settings = TakerSettings

    def __init__(self, context):
        pass

    @hookimpl
    async def hub_plan_deliveries(self, item):
        wants = tuple(Want(asset=item.assets[0].sha256, profile=profile) for profile in PROFILES)
        return [Delivery(key=f"{{item.number}}/taken", item=item.number, destination="bench", wants=wants)]

    @hookimpl
    async def hub_deliver(self, delivery, item, renditions):
        return Receipt(detail=f"{{len(renditions)}} renditions")

    @hookimpl
    async def hub_withdraw(self, item, reason):
        pass
"""


@asynccontextmanager
async def hub_alone(folder: Path, profiles: str, settings: str = "") -> AsyncIterator[Child]:
    """A hub at rest in `folder` whose plugin wants `profiles` (Python text) of each item; `settings` are more TOML."""
    (folder / "srv" / "Disetujui").mkdir(parents=True)
    (folder / "plugins").mkdir()
    (folder / "plugins" / "taker.py").write_text(PLUGIN.format(profiles=profiles))
    (folder / "siarhub.toml").write_text(_settings(folder) + settings)
    hub = Child("hub", ("siarhub", "run", "--config", str(folder / "siarhub.toml")), folder / "hub.log")
    try:
        await hub.start()
        await until(lambda: bool(hub.ended) or (folder / "state" / "status.json").exists(), within_s=60)
        await asyncio.sleep(3.0)  # start-up is not what is measured
        if hub.ended:
            raise RuntimeError(hub.ended + "\n" + hub.log.read_text()[-2000:])
        yield hub
    finally:
        await hub.stop()


def drop(folder: Path, clip: Path, sidecar: str = "") -> float:
    """Copy a clip into the watched folder as `cp` does, its sidecar first; the monotonic time when it was closed."""
    inbox = folder / "srv" / "Disetujui"
    if sidecar:
        (inbox / f"{clip.stem}.txt").write_text(sidecar)
    shutil.copyfile(clip, inbox / clip.name)
    return time.monotonic()


def delivered(folder: Path) -> int:
    """How many items have all their renditions. Raises: RuntimeError when one failed, for then it would never end."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(open_for_reading(folder / "state" / "ledger.db")) as db:
        rows = [row for item in items.all_items(db) for row in deliveries.of_item(db, item.number)]
        if failed := [row.reason for row in rows if row.state == "failed"]:
            raise RuntimeError(f"a delivery failed: {failed[0]}")
        return sum(row.state == "delivered" for row in rows)
    return 0


def _settings(folder: Path) -> str:
    return f"""
[hub]
root = "{folder}/srv"
state_dir = "{folder}/state"
plugin_dir = "{folder}/plugins"
[approval]
level = "none"
[plugins.videotron]
enabled = false
[plugins.radio]
enabled = false
[plugins.archive]
enabled = false
"""
