"""Unmanic 0.4.1 from PyPI, set up as its user would: one watched library, one worker, one plugin that encodes.

It stands in a Python environment of its own in the cache folder, and runs in a network namespace of its own where the
system allows that: it calls its makers' servers when it can, and its web page listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.starts import descendants
from bench.waiting import until

VERSION = "0.4.1"
PLUGIN = """
def on_library_management_file_test(data):
    data["add_file_to_pending_tasks"] = data["path"].endswith(".mp4")
    return data


def on_worker_process(data):
    fit = "scale=1280:720:force_original_aspect_ratio=decrease:force_divisible_by=2,pad=1280:720:-1:-1,setsar=1,fps=25"
    data["exec_command"] = [
        "ffmpeg", "-nostdin", "-hide_banner", "-y", "-i", data["file_in"], "-map", "0:v:0", "-an", "-vf", fit,
        "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-maxrate", "6000k", "-bufsize", "12000k", "-g", "50",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", data["file_out"],
    ]
    data["repeat"] = False
    return data
"""
INFO = {
    "id": "bench", "name": "Bench", "author": "bench", "version": "1.0.0", "tags": "video", "icon": "",
    "description": "One film for one screen", "compatibility": [2],
}  # fmt: skip
SET_UP = """
import json, sys
from unmanic import config, service
settings = config.Config()
library, info = sys.argv[1], json.loads(sys.argv[2])
settings.set_config_item("library_path", library, save_settings=True)
settings.set_config_item("cache_path", sys.argv[3], save_settings=True)
db = service.init_db(settings.get_config_path())
from unmanic.libs.plugins import PluginsHandler
from unmanic.libs.unmodels import EnabledPlugins, Libraries, Plugins, WorkerGroups
handler = PluginsHandler()
handler.write_plugin_data_to_db({**info, "plugin_id": info["id"]}, handler.get_plugin_path(info["id"]))
Libraries.create(id=1, name="bench", path=library, enable_inotify=True)
WorkerGroups.create(name="bench", number_of_workers=1)
EnabledPlugins.create(library_id=1, plugin_id=Plugins.get(plugin_id=info["id"]), plugin_name=info["name"])
db.stop()
"""


class NotInstalled(Exception):
    """Unmanic cannot be had here; the text says why."""


def installed() -> Path:
    """The folder of its programs. Raises: NotInstalled."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siarhub-bench"
    home = cache / f"unmanic-{VERSION}"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        pip = str(home / "bin" / "pip")
        commands = ([sys.executable, "-m", "venv", str(home)], [pip, "install", "-q", f"unmanic=={VERSION}"])
        try:
            for command in commands:
                subprocess.run(command, check=True, capture_output=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            raise NotInstalled(f"Unmanic {VERSION} is not installed: {str(error)[-200:]}") from error
        (home / "ready").touch()
    return home / "bin"


@asynccontextmanager
async def unmanic_alone(folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """Unmanic at rest: its process id, and the folder that it watches. Raises: NotInstalled."""
    programs = await asyncio.to_thread(installed)
    library, plugin = folder / "library", folder / ".unmanic" / "plugins" / "bench"
    for path in (library, folder / "cache", plugin):
        path.mkdir(parents=True)
    (plugin / "info.json").write_text(json.dumps(INFO))
    (plugin / "plugin.py").write_text(PLUGIN)
    environment = {**os.environ, "HOME_DIR": str(folder), "PYTHONPATH": ""}
    set_up = [str(programs / "python"), "-c", SET_UP, str(library), json.dumps(INFO), str(folder / "cache")]
    done = await asyncio.to_thread(subprocess.run, set_up, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotInstalled(f"Unmanic {VERSION} could not be set up: {done.stderr[-200:]}")
    with (folder / "unmanic.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *_apart(), str(programs / "unmanic"), env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        await until(lambda: "Adding library path to monitor" in _said(folder), within_s=60)
        await asyncio.sleep(5.0)  # start-up is not what is measured
        yield process.pid, library
    finally:
        await _end(process)


def _said(folder: Path) -> str:
    logs = [folder / "unmanic.log", *(folder / ".unmanic" / "logs").glob("*.log")]
    return "".join(log.read_text(errors="replace") for log in logs)


def _apart() -> list[str]:
    """What runs a program in a network namespace of its own; nothing where this system forbids it."""
    apart = ["unshare", "--user", "--map-root-user", "--net", "--"]
    try:
        return apart if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0 else []
    except OSError:
        return []


async def _end(process: asyncio.subprocess.Process) -> None:
    """It may take long to end in order, so its whole tree gets no more than ten seconds."""
    tree = descendants(process.pid)
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    for pid in tree:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
