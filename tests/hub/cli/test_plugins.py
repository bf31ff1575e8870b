"""`siarhub plugins`, `plugin new`, `plugin test`: as a technician meets them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from hub.api import AudioProfile, PluginContext, PluginSettings, Receipt, Want
from hub.cli.main import main
from hub.control import SOCKET
from hub.observe.health import Part, Status, write_status
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginState, find_plugins, load_plugin
from hub.testing import FakeHub, make_asset, make_context, make_item, make_rendition

QUIET = """from hub.api import PluginSettings

class Mine:
    Settings = PluginSettings

    def __init__(self, context): ...
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "state").mkdir()
    path = tmp_path / "siarhub.toml"
    path.write_text(
        f'[hub]\nstate_dir = "{tmp_path}/state"\nroot = "{tmp_path}/root"\nplugin_dir = "{tmp_path}/plugins"\n'
        "[plugins.radio]\nenabled = false\n[plugins.nowhere]\nx = 1\n"
    )
    return path


def siarhub(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def listed(config: Path) -> dict[str, Any]:
    result = siarhub("--config", config, "plugins", "--json")
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)}


@pytest.fixture
def running(config: Path) -> Iterator[Path]:
    """What commands see of a hub that runs: the socket for orders, and its status."""
    state = config.parent / "state"
    status = Status(
        version="0", pid=os.getpid(), started_at=datetime.now(UTC), written_at=datetime.now(UTC), jobs={}, intake={},
        transcoding=(), parts=(Part(name="mine", state="degraded", summary="disk full\x1b[2J"),),
        plugins=(
            {"name": "mine", "state": "running", "origin": "/p/mine.py", "reason": ""},
            {"name": "bad", "state": "broken", "origin": "/p/bad.py", "reason": "[red]SyntaxError[/]"},
        ),
    )  # fmt: skip
    write_status(state, status)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(state / SOCKET))
        yield config


def test_every_plugin_is_listed_with_the_reason_why_it_does_not_run(config: Path) -> None:
    (config.parent / "plugins" / "mine.py").write_text("print('noise')\n" + QUIET)
    (config.parent / "plugins" / "bad.py").write_text("import no_such_module_here")

    rows = listed(config)

    assert rows["mine"] == {
        "name": "mine", "state": "ready", "origin": str(config.parent / "plugins" / "mine.py"),
        "reason": "the hub does not run now", "health": None,
    }  # fmt: skip
    assert (rows["bad"]["state"], rows["radio"]["state"]) == ("broken", "disabled")
    assert "no_such_module_here" in rows["bad"]["reason"]
    assert rows["nowhere"]["state"] == "broken"


def test_a_running_hub_tells_the_health_of_its_plugins(running: Path) -> None:
    (running.parent / "plugins" / "late.py").write_text(QUIET)

    rows = listed(running)

    assert rows["mine"]["health"] == {"state": "degraded", "summary": "disk full\x1b[2J"}
    assert (rows["bad"]["state"], rows["bad"]["health"]) == ("broken", None)
    assert rows["late"]["state"] == "found"
    assert "restart" in rows["late"]["reason"]


def test_the_table_shows_reasons_as_they_are_written_but_for_what_steers_a_terminal(running: Path) -> None:
    result = siarhub("--config", running, "plugins")

    assert result.exit_code == 0
    assert "[red]" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("name", ["Kopi", "1st", "a-b", "../x", "", "radio", "check", "jobs", "x" * 32])
def test_a_name_that_could_not_work_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    result = siarhub("plugin", "new", name, "--into", tmp_path)

    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_new_plugin_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "kopi").mkdir()
    (tmp_path / "kopi" / "__init__.py").write_text("mine")

    result = siarhub("plugin", "new", "kopi", "--into", tmp_path)

    assert (result.exit_code, (tmp_path / "kopi" / "__init__.py").read_text()) == (1, "mine")
    assert "there already" in result.output


async def test_a_new_plugin_runs_as_it_is_when_dropped_in_the_plugin_folder(config: Path, tmp_path: Path) -> None:
    new = siarhub("plugin", "new", "kopi_layar", "--into", tmp_path / "plugins")
    assert new.exit_code == 0
    assert "sudo mkdir -p /etc/siarhub/plugins && sudo cp -r" in new.output  # cp alone would make it the folder itself
    sound = tmp_path / "sound"
    sound.write_bytes(b"bytes")
    item = make_item(assets=(make_asset(sound),))

    def context_for(name: str, settings: PluginSettings, module: Path) -> PluginContext[Any]:
        return make_context(settings, tmp_path, hub=FakeHub(known=[item]), name=name)

    host = PluginHost()
    found = next(one for one in find_plugins(tmp_path / "plugins") if one.name == "kopi_layar")
    record = load_plugin(host, found, {}, context_for)
    (delivery,) = await host.plan_deliveries("kopi_layar", item)
    rendition = make_rendition(sound, item.assets[0], AudioProfile(container="mp3"))
    receipt = await host.deliver("kopi_layar", delivery, item, [rendition])

    assert record.state is PluginState.RUNNING
    assert delivery.wants[0] == Want(asset=item.assets[0].sha256, profile=delivery.wants[0].profile)
    assert receipt == Receipt(detail="IP-2026-11-0001-1.mp3")
    assert (tmp_path / "state" / "kopi_layar" / "copies" / "IP-2026-11-0001-1.mp3").read_bytes() == b"bytes"
    assert listed(config)["kopi_layar"]["state"] == "ready"


async def test_a_new_plugin_passes_its_own_tests_and_the_contract(tmp_path: Path) -> None:
    siarhub("plugin", "new", "kopi", "--into", tmp_path)

    contract = await asyncio.to_thread(run, "-m", "hub.cli", "plugin", "test", str(tmp_path / "kopi"))
    own = await asyncio.to_thread(
        run, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(tmp_path / "kopi")
    )

    assert contract.returncode == 0, contract.stdout + contract.stderr
    assert "12 kept, 3 skipped, 0 broken" in contract.stdout
    assert own.returncode == 0, own.stdout
    assert "12 passed, 3 skipped" in own.stdout


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=root, env=environment)


def test_a_plugin_that_breaks_a_rule_fails_with_the_rule_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from hub.api import PluginSettings, hookimpl\n" + QUIET + "    @hookimpl\n    def hub_health(self): ...\n"
    )

    result = siarhub("plugin", "test", tmp_path / "bad.py")

    assert result.exit_code == 1
    assert "hub_health must be declared with `async def`" in result.output


def test_a_plugin_that_cannot_be_imported_fails_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")

    result = siarhub("plugin", "test", tmp_path / "bad.py")

    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output
    assert "bad.py:1" in result.output


def test_settings_are_given_on_the_command_line(tmp_path: Path) -> None:
    source = QUIET.replace(
        "Settings = PluginSettings", "class Settings(PluginSettings):\n        port: int\n        host: str"
    )
    (tmp_path / "needy.py").write_text(source)

    without = siarhub("plugin", "test", tmp_path / "needy.py")
    given = siarhub("plugin", "test", tmp_path / "needy.py", "--set", "port=80", "--set", "host=layar.example")

    assert (without.exit_code, given.exit_code) == (1, 0), given.output
    assert "plugins.NAME.port: Field required" in without.output


def test_a_bundled_plugin_is_not_tried_on_real_screens_by_mistake() -> None:
    result = siarhub("plugin", "test", "radio")

    assert result.exit_code == 1
    assert "--yes" in result.output


def test_an_unknown_plugin_is_answered_with_those_that_are_known() -> None:
    result = siarhub("plugin", "test", "nowhere")

    assert result.exit_code == 1
    assert "archive" in result.output


class Shelf(BaseHTTPRequestHandler):
    """A web server that keeps what is put, and answers 404 for what it has not."""

    held: ClassVar[dict[str, bytes]] = {}
    put: ClassVar[set[str]] = set()

    def do_PUT(self) -> None:
        self.held[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.put.add(self.path)
        self.answer(201)

    def do_DELETE(self) -> None:
        self.answer(404 if self.held.pop(self.path, None) is None else 204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def manuals_example(folder: Path) -> Path:
    manual = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text()
    source = next(
        block for block in re.findall(r"```python\n(.*?)```", manual, re.DOTALL) if "class PostVideo" in block
    )
    path = folder / "post_video.py"
    path.write_text(source)
    return path


def test_the_manuals_second_example_keeps_every_rule(tmp_path: Path, server: str) -> None:
    result = siarhub("plugin", "test", manuals_example(tmp_path), "--set", f"url={server}")

    assert result.exit_code == 0, result.output
    assert "ok       delivering twice" in result.output
    assert Shelf.put == {"/IP-2026-11-0001", "/IP-2026-11-0003", "/IP-2026-11-0004"}


def test_the_manuals_second_example_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    result = siarhub("plugin", "test", manuals_example(tmp_path), "--set", "url=http://127.0.0.1:1")

    assert result.exit_code == 0, result.output
    assert "skipped  delivering twice, and again after a restart, is harmless: its destination is away" in result.output


def test_a_plugin_that_never_comes_back_is_named_with_the_line_and_left_behind(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import threading\nthreading.Event().wait()\n")

    done = run("-c", HURRIED, "plugin", "test", str(tmp_path / "endless.py"))

    assert done.returncode == 1, done.stderr
    assert "hung     it can be imported: still busy after 0.5 s, at" in done.stdout


HURRIED = "import hub.cli.plugins as p, hub.cli.main as m; p.IMPORT_WITHIN_S = 0.5; m.main()"
