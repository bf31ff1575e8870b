"""`siarhub check`: everything that is missing or wrong, each with the remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.control import SOCKET
from tests.hub.cli.conftest import Office

QUIET = "[plugins.videotron]\nenabled = false\n[plugins.radio]\nenabled = false\n[plugins.archive]\nenabled = false\n"
KEEPER = """
from hub.api import PluginSettings, hookimpl

class Keeper:
    Settings = PluginSettings

    def __init__(self, context):
        self._kept = context.kept_dir

    @hookimpl
    def hub_check_environment(self):
        return [] if (self._kept / "key").exists() else [f"{self._kept} lacks its key"]
"""


@pytest.fixture
def ready(office: Office) -> Office:
    """All folders are there, and no bundled plugin looks for its broker."""
    for name in ("Disetujui", "Diterima", "Ditolak"):
        (office.folder / "root" / name).mkdir(parents=True)
    with office.config.open("a") as file:
        file.write(f"[intake]\nmin_free_bytes = 0\n{QUIET}")
    return office


def problems(office: Office, *, code: int = 1) -> list[str]:
    value = office.json("check", code=code)
    assert value["ok"] is (code == 0)
    return list(value["problems"])


def test_a_hub_with_all_it_needs_is_well(ready: Office) -> None:
    assert problems(ready, code=0) == []
    assert "Everything" in ready.run("check").output


def test_every_missing_folder_is_named_with_the_remedy(office: Office) -> None:
    with office.config.open("a") as file:
        file.write(QUIET)

    found = problems(office)

    for name in ("root", "root/Disetujui", "root/Diterima", "root/Ditolak"):
        assert any(one.startswith(f"{office.folder / name}: no such folder") for one in found), name


def test_a_plugin_that_cannot_run_is_named_with_the_reason(ready: Office) -> None:
    (ready.folder / "plugins" / "bad.py").write_text("1 / 0")
    with ready.config.open("a") as file:
        file.write("[plugins.nowhere]\n")

    found = problems(ready)

    assert any("bad" in one and "ZeroDivisionError" in one for one in found)
    assert any("nowhere" in one and "neither installed" in one for one in found)


def test_a_plugin_is_judged_by_what_the_hub_keeps_for_it_and_not_by_the_folder_that_check_gives_it(
    ready: Office,
) -> None:
    (ready.folder / "plugins" / "keeper.py").write_text(KEEPER)
    kept = ready.folder / "state" / "plugins" / "keeper"
    found = problems(ready)
    assert any("keeper" in one and f"{kept} lacks its key" in one for one in found), found

    kept.mkdir(parents=True)
    (kept / "key").touch()

    assert problems(ready, code=0) == []


def test_a_damaged_ledger_is_named_and_a_sound_one_is_not(ready: Office) -> None:
    ready.accept()
    assert problems(ready, code=0) == []
    for path in ready.state.glob("ledger.db*"):
        path.unlink()
    ready.ledger.write_bytes(b"no database " * 1000)

    (only,) = problems(ready)

    assert "restore the last backup" in only


def test_too_little_space_is_told(ready: Office) -> None:
    text = ready.config.read_text().replace("min_free_bytes = 0", f"min_free_bytes = {1 << 60}")
    ready.config.write_text(text)

    assert all("free; intake pauses" in one for one in problems(ready))


def test_wrong_settings_are_wrong_usage_with_every_mistake(office: Office) -> None:
    office.config.write_text('[hub]\nlanguage = "jv"\nroof = 1\n')

    result = office.run("check")

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 2


def test_a_socket_left_by_a_kill_is_no_running_hub(ready: Office) -> None:
    with ready.hub_runs():
        pass
    assert os.path.exists(ready.state / SOCKET)  # noqa: PTH110

    assert problems(ready, code=0) == []


def test_a_hub_that_does_not_run_is_mentioned_but_is_no_problem(ready: Office) -> None:
    stopped = ready.run("check")
    with ready.hub_runs():
        running = ready.run("check")

    assert (stopped.exit_code, running.exit_code) == (0, 0)
    assert "The hub is not running" in stopped.output
    assert "not running" not in running.output
    assert "The hub is not running" in ready.json("check")["notes"][0]


PROBE = """from pathlib import Path

from hub.api import PluginSettings, hookimpl

class Probe:
    Settings = PluginSettings

    def __init__(self, context):
        self.place = context.root / "Diterima"

    @hookimpl
    def hub_check_environment(self):
        (self.place / "made").touch()
        return []
"""
SOMEBODY, THE_HUB = 65533, 65534


@pytest.fixture
def installed(ready: Office) -> Office:
    """As on a server: the state and people's folders are the hub's, all above them is root's."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    (ready.folder / "plugins" / "probe.py").write_text(PROBE)
    for path in (ready.folder, *ready.folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in (ready.state, *(ready.folder / "root").iterdir()):
        os.chown(path, THE_HUB, THE_HUB)
        path.chmod(0o2750)
    return ready


HERE_FOR_ALL = all(folder.stat().st_mode & 0o001 for folder in Path(sys.prefix).resolve().parents)
for_other_users = pytest.mark.skipif(not HERE_FOR_ALL, reason="only its owner may enter the environment of the tests")


def check_as(office: Office, user: int) -> dict[str, list[str]]:
    script = Path(__file__).with_name("check_as.py")
    done = subprocess.run(
        [sys.executable, "-B", str(script), str(office.config), str(user)], capture_output=True, text=True, timeout=60,
        check=False, cwd="/",
    )  # fmt: skip
    assert done.stdout, done.stderr
    value: dict[str, list[str]] = json.loads(done.stdout)
    # The interpreter of the tests may stand where only its owner may go.
    value["problems"] = [one for one in value["problems"] if sys.executable not in one]
    return value


@for_other_users
def test_root_looks_and_touches_with_the_rights_of_the_hubs_user_only(installed: Office) -> None:
    os.chown(installed.folder / "root" / "Ditolak", 0, 0)

    value = check_as(installed, 0)

    (problem,) = value["problems"]
    assert problem.startswith(f"{installed.folder}/root/Ditolak: the hub's user")
    assert (installed.folder / "root" / "Diterima" / "made").stat().st_uid == THE_HUB
    assert not [path for path in installed.state.rglob("*") if path.stat().st_uid != THE_HUB]


@for_other_users
def test_the_hubs_user_need_not_write_to_the_folder_above_peoples_folders(installed: Office) -> None:
    assert check_as(installed, THE_HUB)["problems"] == []


@for_other_users
def test_what_somebody_else_may_not_do_says_nothing_about_the_hub(installed: Office) -> None:
    installed.accept()
    secret = installed.folder / "secret"
    secret.touch(mode=0o600)
    with installed.config.open("a") as file:
        file.write(f'[plugins.videotron.broker]\npassword_file = "{secret}"\n[plugins.nowhere]\n')
    text = installed.config.read_text().replace("[plugins.videotron]\nenabled = false\n", "[plugins.videotron]\n")
    installed.config.write_text(text)

    value = check_as(installed, SOMEBODY)

    (problem,) = value["problems"]
    assert "plugin nowhere" in problem
    assert any("Left out" in note and "sudo siarhub check" in note for note in value["notes"])
    assert not (installed.folder / "root" / "Diterima" / "made").exists()


@for_other_users
def test_a_plugin_folder_that_somebody_may_not_read_is_no_problem(installed: Office) -> None:
    with installed.config.open("a") as file:
        file.write("[plugins.probe]\n")
    (installed.folder / "plugins").chmod(0o700)

    assert check_as(installed, SOMEBODY)["problems"] == []
