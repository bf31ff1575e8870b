"""Plugins are found, brought up or named with the reason; none of them can keep the others from running."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hub.api import PluginContext, PluginSettings
from hub.plugin_host import host as host_module
from hub.plugin_host import loader
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginRecord, PluginState, examine, find_at, find_plugins, load_plugin
from hub.testing import make_context

CHECK = "\n    @hookimpl\n    def hub_check_environment(self):\n        "
GOOD = """
from hub.api import Health, HealthState, PluginSettings, hookimpl

class Settings(PluginSettings):
    greeting: str = "hello"

class Mine:
    Settings = Settings

    def __init__(self, context):
        self.context = context

    @hookimpl
    async def hub_health(self):
        return Health(state=HealthState.OK, summary=self.context.settings.greeting)
"""

MISBEHAVING = {
    "not_python": ("def (", "SyntaxError"),
    "imports_nothing_there": ("import no_such_module_here", "no_such_module_here"),
    "exits_at_import": ("raise SystemExit(4)", "SystemExit: 4"),
    "no_exception_class": ("class Odd(BaseException): ...\nraise Odd('odd')", "Odd: odd"),
    "has_no_class": ("x = 1", "needs exactly one class with `Settings`, has 0"),
    "has_two": (GOOD + "\nclass Other(Mine): ...\n", "has 2"),
    "settings_of_its_own_kind": ("class Mine:\n    class Settings: ...", "derived from hub.api.PluginSettings"),
    "explodes_when_built": (GOOD.replace("self.context = context", "1 / 0"), "ZeroDivisionError"),
    "exits_when_built": (GOOD.replace("self.context = context", "raise SystemExit(5)"), "SystemExit: 5"),
    "wrong_colour": (GOOD.replace("async def", "def"), "hub_health must be declared with `async def`"),
    "unknown_hook": (GOOD.replace("hub_health", "hub_healht"), "hub_healht"),
    "checks_with_a_bug": (GOOD + CHECK + "return 1 / 0", "ZeroDiv"),
    "checks_with_nonsense": (GOOD + CHECK + "return 'no'", "list of str"),
    "blocks_at_import": ("import time\nwhile True:\n    time.sleep(9)", "the import did not end within"),
    "blocks_when_built": (
        GOOD.replace("self.context = context", "import time; time.sleep(99)"),
        "its construction did not end within",
    ),
    "blocks_in_its_check": (
        GOOD + CHECK + "import time; time.sleep(99)",
        "hub_check_environment did not end within",
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plugin_dir = tmp_path / "plugins"
    plugin_dir.mkdir()
    return plugin_dir


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "LOAD_WITHIN_S", 0.2)
    monkeypatch.setattr(host_module, "BLOCKING_WITHIN_S", 0.2)


def load_all(folder: Path, tables: Mapping[str, Any] = {}) -> tuple[PluginHost, dict[str, PluginRecord]]:
    """Bring up what was dropped in the folder."""

    def context_for(name: str, settings: PluginSettings, module: Path) -> PluginContext[Any]:
        return make_context(settings, folder.parent, name=name)

    made = PluginHost()
    dropped = [found for found in find_plugins(folder) if found.origin != "installed"]
    return made, {found.name: load_plugin(made, found, tables.get(found.name, {}), context_for) for found in dropped}


def test_the_bundled_plugins_come_first() -> None:
    assert tuple(found.name for found in find_plugins(None))[:3] == loader.BUNDLED


async def test_a_dropped_file_runs_with_its_settings(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD)

    made, records = load_all(folder, {"mine": {"greeting": "selamat"}})

    assert records["mine"] == PluginRecord(
        name="mine", state=PluginState.RUNNING, origin=str(folder / "mine.py"), reason=""
    )
    assert (await made.health("mine")).summary == "selamat"


async def test_a_dropped_folder_may_keep_its_class_in_a_module_of_its_own(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text("from .plugin import Mine\n")
    (folder / "mine" / "plugin.py").write_text(GOOD)

    made, records = load_all(folder)

    assert records["mine"].state is PluginState.RUNNING
    assert (await made.health("mine")).summary == "hello"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", MISBEHAVING)
async def test_a_misbehaving_plugin_is_named_and_harms_no_other(folder: Path, name: str) -> None:
    source, reason = MISBEHAVING[name]
    (folder / f"{name}.py").write_text(source)
    (folder / "zz_good.py").write_text(GOOD)

    made, records = load_all(folder)

    assert records[name].state is PluginState.BROKEN
    assert reason in records[name].reason
    assert made.names == ("zz_good",)
    assert (await made.health("zz_good")).summary == "hello"


def test_a_plugin_that_failed_to_import_leaves_no_module_behind(folder: Path) -> None:
    (folder / "half.py").write_text("x = 1\nimport no_such_module_here")

    load_all(folder)

    assert "siarhub_plugin_half" not in sys.modules


def test_wrong_settings_are_named_with_their_key(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD)

    made, records = load_all(folder, {"mine": {"greetin": "x"}})

    assert records["mine"].state is PluginState.MISCONFIGURED
    assert "plugins.mine.greetin" in records["mine"].reason
    assert made.names == ()


def test_an_unfit_plugin_stays_down_with_its_own_words(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD + CHECK + "return ['Install x.', 'Make y.']")

    made, records = load_all(folder)

    assert (records["mine"].state, records["mine"].reason) == (PluginState.UNFIT, "Install x.; Make y.")
    assert made.names == ()


@pytest.mark.parametrize("value", [False, "no", 0])
def test_a_disabled_plugin_is_not_built(folder: Path, value: object) -> None:
    (folder / "mine.py").write_text(GOOD.replace("self.context = context", "raise AssertionError('built')"))

    made, records = load_all(folder, {"mine": {"enabled": value}})

    assert records["mine"].state is PluginState.DISABLED
    assert made.names == ()


def test_what_cannot_be_a_plugin_is_named_rather_than_passed_over(folder: Path) -> None:
    (folder / "My-Plugin.py").write_text(GOOD)
    (folder / "no_init").mkdir()
    (folder / "no_init" / "plugin.py").write_text(GOOD)
    (folder / "radio").mkdir()
    (folder / "radio" / "__init__.py").write_text(GOOD)
    (folder / "twice").mkdir()
    (folder / "twice" / "__init__.py").write_text(GOOD)
    (folder / "twice.py").write_text(GOOD)
    for ignored in ("_draft.py", ".hidden.py", "README.md"):
        (folder / ignored).write_text("1 / 0")

    _, records = load_all(folder)

    reasons = {name: record.reason for name, record in records.items() if record.state is PluginState.BROKEN}
    assert set(reasons) == {"My-Plugin.py", "no_init", "plugins/radio", "plugins/twice.py"}
    assert "use a-z, 0-9 and _" in reasons["My-Plugin.py"]
    assert "__init__.py is missing" in reasons["no_init"]
    assert "there is a plugin radio already (installed)" in reasons["plugins/radio"]
    assert records["twice"].state is PluginState.RUNNING


def test_a_missing_plugin_folder_is_no_mistake(tmp_path: Path) -> None:
    assert all(found.origin == "installed" for found in find_plugins(tmp_path / "none"))


def test_a_plugin_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "plugins"
    file.write_text("not a folder")

    _, records = load_all(file)

    assert "cannot be read" in records["plugins"].reason


def test_a_plugin_can_be_examined_without_building_it(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD.replace("self.context = context", "raise AssertionError('built')"))
    found = find_at(folder / "mine.py")

    assert examine(found, {}) == (PluginState.RUNNING, "")
    assert examine(found, {"x": 1})[0] is PluginState.MISCONFIGURED
    assert examine(find_at(folder / "gone.py"), {})[1].endswith("no such file or folder")
