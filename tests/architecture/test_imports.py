"""Imports go one way. The layers stand in .importlinter; what a plugin and the player may import stands here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
HUB_API = "hub.api"
PLUGINS = ("archive", "radio", "videotron")
PLAYER = "plugins.videotron.player"
PLAYER_MAY_IMPORT = (
    "plugins.videotron.protocol",
    "plugins.videotron.mqtt",
    "plugins.videotron.bucket",
    "plugins.videotron.signing",
    "hub.api",
)

# One import each that a contract must refuse: where it is written, and the line.
BREACHES = {
    "layers": ("hub/api/errors.py", "import hub.messages"),
    "hub-knows-no-plugin": ("hub/messages.py", "import plugins.archive"),
    "plugins-apart": ("plugins/archive/__init__.py", "import plugins.radio"),
}


def contracts() -> list[str]:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return [name.rsplit(":", 1)[1] for name in parser.sections() if ":contract:" in name]


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--contract", contract],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("hub", "plugins", cache_dir=None)


def strangers(graph: grimp.ImportGraph, part: str, allowed: tuple[str, ...]) -> list[str]:
    """What `part` imports of us beyond itself and what it may, as `importer -> imported`."""
    inside = {part, *graph.find_descendants(part)}
    return sorted(
        f"{module} -> {imported}"
        for module in inside
        for imported in graph.find_modules_directly_imported_by(module)
        if imported not in inside and not any(imported == name or imported.startswith(f"{name}.") for name in allowed)
    )


@pytest.mark.parametrize("contract", contracts())
def test_the_import_contract_is_kept(contract: str) -> None:
    result = lint(ROOT, contract)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("contract", contracts())
def test_the_import_contract_notices_a_breach(contract: str, tmp_path: Path) -> None:
    for package in ("hub", "plugins"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    where, line = BREACHES[contract]
    with (tmp_path / where).open("a") as source:
        source.write(f"\n{line}\n")

    result = lint(tmp_path, contract)

    assert result.returncode == 1, result.stdout
    assert line.removeprefix("import ") in result.stdout


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_of_the_hub_only_its_public_api(plugin: str, graph: grimp.ImportGraph) -> None:
    assert strangers(graph, f"plugins.{plugin}", (HUB_API,)) == []


def test_the_player_imports_only_what_it_shares_with_the_hub(graph: grimp.ImportGraph) -> None:
    assert strangers(graph, PLAYER, PLAYER_MAY_IMPORT) == []


def test_the_public_api_imports_nothing_else_of_the_hub(graph: grimp.ImportGraph) -> None:
    assert strangers(graph, HUB_API, ()) == []


def test_a_stranger_is_named_with_its_importer() -> None:
    graph = grimp.ImportGraph()
    graph.add_import(importer="plugins.x.y", imported="hub.ledger.db")
    graph.add_import(importer="plugins.x.y", imported="hub.api.models")
    graph.add_module("plugins.x")

    assert strangers(graph, "plugins.x", (HUB_API,)) == ["plugins.x.y -> hub.ledger.db"]


def test_every_bundled_plugin_is_held_to_these_rules() -> None:
    found = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    declared = set(re.findall(r"^ {4}plugins\.(\w+)$", (ROOT / ".importlinter").read_text(), re.MULTILINE))

    assert found == set(PLUGINS) == declared


def test_only_the_plugin_host_and_the_markers_know_pluggy() -> None:
    users = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hub").rglob("*.py") if imports_pluggy(path)}

    assert {user for user in users if not user.startswith("hub/plugin_host/")} <= {"hub/api/hookspecs.py"}


def imports_pluggy(path: Path) -> bool:
    return re.search(r"^\s*(import|from) pluggy\b", path.read_text(), re.MULTILINE) is not None
