from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from click.testing import CliRunner

from plugins.radio.commands import radio
from plugins.radio.settings import RadioSettings
from tests.plugins.radio.conftest import Station, until


@dataclass
class Hub:
    folder: Path
    chosen: RadioSettings
    zone: ZoneInfo

    def settings(self, plugin: str, model: Any) -> RadioSettings:
        return self.chosen

    def state_dir(self, plugin: str) -> Path:
        return self.folder / "state" / plugin


def run(folder: Path, *arguments: str, settings: RadioSettings | None = None) -> Any:
    return CliRunner().invoke(radio, arguments, obj=Hub(folder, settings or RadioSettings(), ZoneInfo("Asia/Makassar")))


async def test_plan_queue_and_as_run_show_what_was_and_what_comes(fake_station: Station, tmp_path: Path) -> None:
    async with fake_station.on_duty():
        item = await fake_station.deliver()
        fact = await fake_station.outcome(item)
        await until(lambda: len(json.loads(run(tmp_path, "queue", "--json").output)) == 1)
    day = fact.at.astimezone(fake_station.plugin._context.zone).date().isoformat()

    (ran,) = json.loads(run(tmp_path, "as-run", day, "--json").output)
    (queued,) = json.loads(run(tmp_path, "queue", "--json").output)
    plan = json.loads(run(tmp_path, "plan", day, "--json").output)

    assert (ran["item"], ran["state"], ran["started_at"][-6:]) == (item.number, "aired", "+08:00")
    assert ran["ended_at"] > ran["started_at"]
    assert (queued["item"], queued["state"]) == (item.number, "planned")
    assert plan[0]["state"] == "aired"
    assert item.number in run(tmp_path, "as-run", day).output
    yesterday = (fact.at - timedelta(days=2)).date().isoformat()
    assert json.loads(run(tmp_path, "as-run", yesterday, "--json").output) == []


def test_commands_answer_before_anything_was_planned(tmp_path: Path) -> None:
    for command in ("plan", "queue", "as-run"):
        assert json.loads(run(tmp_path, command, "--json").output) == []
    assert run(tmp_path, "queue").output == "nothing\n"


def test_a_date_that_is_none_is_a_wrong_use(tmp_path: Path) -> None:
    assert run(tmp_path, "plan", "kemarin").exit_code == 2


async def test_check_plays_a_tone_that_nobody_hears_and_asks_the_running_one(fake_station: Station) -> None:
    executor = fake_station.executor
    settings = RadioSettings(socket=executor.socket)

    done = await asyncio.to_thread(run, fake_station.folder, "check", settings=settings)

    assert [line[:4] for line in done.output.splitlines()] == ["ok  "] * 3, done.output
    assert done.exit_code == 0
    assert executor.commands == ["hubx.status"]


def test_check_gives_each_reason_and_1(tmp_path: Path) -> None:
    script = tmp_path / "wrong.liq"
    script.write_text("output.nothing(")

    done = run(tmp_path, "check", settings=RadioSettings(script=script, socket=tmp_path / "none.sock"))

    assert done.exit_code == 1
    assert [line[:4] for line in done.output.splitlines()] == ["FAIL", "FAIL"]
