from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.api import Outcome
from plugins.archive.commands import archive as commands
from plugins.archive.settings import ArchiveSettings


@dataclass
class Context:
    state: Path
    root: Path
    orders: list[tuple[str, Mapping[str, str]]]

    def settings(self, plugin: str, model: Any) -> Any:
        return ArchiveSettings()

    def state_dir(self, plugin: str) -> Path:
        return self.state

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        self.orders.append((name, args))
        return Outcome(done=True, message="done")


@pytest.fixture
async def context(archive, played) -> Context:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played()))
    return Context(state=archive.state, root=archive.root.parent, orders=[])


def run(context: Context, *args: str) -> Result:
    return CliRunner().invoke(commands, list(args), obj=context)


def test_lists_the_months_with_their_items(context: Context, month_folder: Path) -> None:
    (month,) = json.loads(run(context, "list", "--json").stdout)

    assert (month["month"], month["items"], month["path"]) == ("2026-11", 1, str(month_folder))
    assert month["list"].endswith(".csv")
    assert "2026-11" in run(context, "list").stdout


def test_verify_answers_no_with_each_reason_on_its_own_line(context: Context, month_folder: Path) -> None:
    assert run(context, "verify", "2026-11").exit_code == 0
    for original in month_folder.glob("data/Video/*/*.mp4"):
        original.chmod(0o644)
        original.write_bytes(b"changed")
    (month_folder / "data" / "extra").touch()

    done = run(context, "verify")
    (judged,) = json.loads(run(context, "verify", "--json").stdout)

    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == len(judged["problems"]) >= 3
    assert not judged["ok"]


def test_report_names_shows_and_renews_the_list(context: Context) -> None:
    named = run(context, "report", "2026-11")

    assert Path(named.stdout.strip()).is_file()
    assert "Nomor registrasi" in run(context, "report", "2026-11", "--show").stdout
    assert run(context, "report", "2026-11", "--renew").exit_code == 0
    assert context.orders == [("archive.report", {"month": "2026-11"})]


def test_wrong_usage_and_an_unknown_month_have_their_own_exit_codes(context: Context, tmp_path: Path) -> None:
    assert run(context, "verify", "November").exit_code == 2
    assert run(context, "verify", "2031-01").exit_code == 1
    assert run(context, "report", "2031-01").exit_code == 1
    assert run(Context(state=tmp_path, root=tmp_path, orders=[]), "list").exit_code == 1
