"""`siarhub check`: everything that is missing or wrong, each with the remedy."""

from __future__ import annotations

import os

import pytest

from hub.control import SOCKET
from tests.hub.cli.conftest import Office

QUIET = "[plugins.videotron]\nenabled = false\n[plugins.radio]\nenabled = false\n[plugins.archive]\nenabled = false\n"


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
