"""Python imports nothing from the folder that a person stands in (CVE-2025-50817 of `future` and its like)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.demo.stage import program
from hub.media.samples import make_poster, make_video

pytestmark = pytest.mark.system

# What `future`, ffmpeg-python and we import by name, and what is imported by accident.
PLANTED = ("test", "future", "past", "ffmpeg", "queue", "click", "hub", "plugins", "pydantic", "structlog", "PIL")
PLANT = """
import os, pathlib
pathlib.Path({mark!r}).write_text("imported by " + repr(os.sys.argv))
raise SystemExit("imported from the working folder")
"""
RECORDER = """from hub.api import AudioProfile, Delivery, PluginSettings, Want, hookimpl

class Recorder:
    Settings = PluginSettings

    def __init__(self, context): ...

    @hookimpl
    async def hub_plan_deliveries(self, item):
        want = Want(asset=item.assets[0].sha256, profile=AudioProfile())
        return [Delivery(key="k", item=item.number, destination="tape", wants=(want,))]
"""


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder of traps; `touched` appears in it when one of them is imported."""
    folder = tmp_path / "traps"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(PLANT.format(mark=str(folder / "touched")))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "recorder.py").write_text(RECORDER)
    (tmp_path / "siarhub.toml").write_text(
        f'[hub]\nroot = "{tmp_path}/root"\nstate_dir = "{tmp_path}/state"\nplugin_dir = "{tmp_path}/plugins"\n'
        "[plugins.videotron]\nenabled = false\n[plugins.radio]\nenabled = false\n[plugins.archive]\nenabled = false\n"
    )
    return folder


def siarhub(planted: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [program("siarhub"), "--config", str(planted.parent / "siarhub.toml"), *words]
    return subprocess.run(command, cwd=planted, capture_output=True, text=True, timeout=60, check=False)


def test_the_traps_work(planted: Path) -> None:
    """Python as it is imports from where it stands."""
    careless = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    subprocess.run([sys.executable, "-c", "import test"], cwd=planted, check=False, capture_output=True, env=careless)

    assert (planted / "touched").exists()


def test_check_imports_nothing_from_there(planted: Path) -> None:
    done = siarhub(planted, "check")

    assert done.returncode in (0, 1), done.stderr
    assert not (planted / "touched").exists(), (planted / "touched").read_text()


def test_plan_imports_nothing_from_there(planted: Path) -> None:
    """It draws the graph of a film with ffmpeg-python, and looks at a picture with Pillow."""
    film = siarhub(planted, "plan", "--json", str(make_video(planted.parent / "clip.mp4")))
    picture = siarhub(planted, "plan", str(make_poster(planted.parent / "poster.png")))

    assert "ffmpeg" in film.stdout, film.stderr
    assert picture.returncode in (0, 1), picture.stderr
    assert not (planted / "touched").exists(), (planted / "touched").read_text()


async def test_run_imports_nothing_from_there(planted: Path) -> None:
    config = planted.parent / "siarhub.toml"
    hub = await asyncio.create_subprocess_exec(
        program("siarhub"), "--config", str(config), "run",
        cwd=planted, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert hub.stdout is not None
    said = b""
    async with asyncio.timeout(60):
        while b"hub_started" not in said and (line := await hub.stdout.readline()):
            said += line
        if hub.returncode is None:
            hub.terminate()
        said += await hub.stdout.read()
        code = await hub.wait()

    assert code == 0, said.decode(errors="replace")
    assert not (planted / "touched").exists(), (planted / "touched").read_text()


def test_the_player_imports_nothing_from_there(planted: Path) -> None:
    done = subprocess.run(
        [program("siarhub-player"), "--help"], cwd=planted, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert not (planted / "touched").exists(), (planted / "touched").read_text()


def test_drawing_a_graph_imports_none_of_what_the_cve_is_about(tmp_path: Path) -> None:
    """`future.standard_library` is the part that imports `test`; ffmpeg-python needs others of `future` only."""
    script = "import ffmpeg, sys; print([one for one in sys.modules if one.startswith(('test', 'future.standard'))])"

    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
