"""A transcode in the running hub: told while it runs, overtaken by an urgent one, without a trace when killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.media.samples import make_video
from hub.observe.health import read_status

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

WALL = """import asyncio, json
from hub.api import Delivery, PluginSettings, Receipt, Service, VideoProfile, Want, hookimpl

class Wall:
    Settings = PluginSettings

    def __init__(self, context):
        self._context = context

    @hookimpl
    def hub_services(self):
        return [Service(name="look", run=self._look)]

    @hookimpl
    async def hub_plan_deliveries(self, item):
        profile = VideoProfile(width=384, height=216, fps=25, preset="placebo")
        wants = tuple(Want(asset=asset.sha256, profile=profile) for asset in item.assets)
        return [Delivery(key=f"{item.number}/wall", item=item.number, destination="wall", wants=wants)]

    @hookimpl
    async def hub_deliver(self, delivery):
        return Receipt()

    async def _look(self):
        while True:
            for one in self._context.progress():
                (self._context.state_dir / "seen.json").write_text(json.dumps([one.item, one.part]))
            await asyncio.sleep(0.1)
"""


class Hub:
    """A hub as a process of its own, on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.config = folder / "siarhub.toml"
        (folder / "plugins").mkdir()
        (folder / "plugins" / "wall.py").write_text(WALL)
        off = "".join(f"[plugins.{name}]\nenabled = false\n" for name in ("videotron", "radio", "archive"))
        self.config.write_text(
            f'[hub]\nstate_dir = "{self.state}"\nroot = "{folder}/root"\nplugin_dir = "{folder}/plugins"\n'
            f'[approval]\nlevel = "none"\n[jobs]\ntranscodes = 1\n{off}'
        )

    @property
    def inbox(self) -> Path:
        return self.folder / "root" / "Disetujui"

    @property
    def work(self) -> Path:
        return self.state / "renditions" / ".work"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        command = [sys.executable, "-m", "hub.cli", "--config", str(self.config), "run"]
        with (self.folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def transcodes(self) -> list[dict[str, Any]]:
        return list((read_status(self.state) or {}).get("transcoding", ()))

    def item(self, title: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "hub.cli", "--config", str(self.config), "items", "--json"]
        done = subprocess.run(command, capture_output=True, check=False)
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        return next((row for row in rows if row["title"] == title), {})

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines() if line.startswith("{")]


async def until(check: Callable[[], Any], within_s: float = 60.0) -> Any:
    async with asyncio.timeout(within_s):
        while not (found := await asyncio.to_thread(check)):  # noqa: ASYNC110 - of a process outside
            await asyncio.sleep(0.1)
        return found


def tools_of(folder: Path) -> list[int]:
    """The processes that name this folder in their arguments, the hub apart."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = one.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in text and b"hub.cli" not in text:
            found.append(int(one.parent.name))
    return found


async def test_a_transcode_is_told_overtaken_and_leaves_nothing_behind_when_the_hub_is_killed(
    short_folder: Path, tmp_path: Path
) -> None:
    hub = Hub(short_folder)
    long, short = make_video(tmp_path / "long.mp4", 60.0), make_video(tmp_path / "short.mp4", 1.0)
    async with hub.running() as process:
        await until(hub.inbox.is_dir)
        shutil.copyfile(long, hub.inbox / "long.mp4")

        first = await until(lambda: [one for one in hub.transcodes() if one["part"] > 0])
        assert (first[0]["item"], first[0]["name"], first[0]["title"]) == (
            hub.item("long")["number"],
            "long.mp4",
            "long",
        )
        assert (first[0]["outputs"], first[0]["urgent"]) == (["384x216 H.264"], False)
        assert first[0]["left_s"] > 0
        await until(lambda: [one for one in hub.transcodes() if one["part"] > first[0]["part"]], within_s=20)
        assert json.loads((hub.state / "plugins" / "wall" / "seen.json").read_text())[0] == first[0]["item"]

        (hub.inbox / "short.txt").write_text("Prioritas: segera\n")
        shutil.copyfile(short, hub.inbox / "short.mp4")
        await until(lambda: [one["state"] for one in hub.item("short").get("deliveries", ())] == ["delivered"])
        assert "long.mp4" in [one["name"] for one in hub.transcodes()]
        assert tools_of(short_folder)

        process.send_signal(signal.SIGKILL)
        await process.wait()
    await until(lambda: not tools_of(short_folder), within_s=10)
    (left,) = os.listdir(hub.work)  # noqa: PTH208
    async with hub.running():
        await until(lambda: not (hub.work / left).exists())
        await until(lambda: [one for one in hub.transcodes() if one["name"] == "long.mp4" and one["part"] > 0])
    events = [(one["event"], one.get("name")) for one in hub.log() if one["event"].startswith("transcode_")]
    assert events[:3] == [
        ("transcode_begun", "long.mp4"),
        ("transcode_begun", "short.mp4"),
        ("transcode_done", "short.mp4"),
    ]
    assert not tools_of(short_folder)
