"""A plugin that blocks the loop is named, with the place."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.observe import lag
from hub.observe.lag import LagWatch


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "BEAT_S", 0.05)
    monkeypatch.setattr(lag, "LATE_S", 0.2)


def plugin_at(path: Path) -> Any:
    path.write_text("import time\n\nasync def hub_deliver():\n    time.sleep(0.8)\n")
    spec = importlib.util.spec_from_file_location("lagging_plugin", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def watch_while(blocks: Any, culprits: dict[str, str]) -> tuple[LagWatch, list[Any]]:
    import structlog

    watch = LagWatch(culprits.get, structlog.get_logger())
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch.run())
            await asyncio.sleep(0)
            await blocks()
            watching.cancel()
    return watch, [line for line in logs if line["event"] == "event_loop_blocked"]


async def test_a_plugin_that_blocks_the_loop_is_named_once_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "blocker.py"

    watch, logs = await watch_while(plugin_at(path).hub_deliver, {str(path): "blocker"})

    assert watch.last is not None
    assert (watch.last.culprit, watch.last.place) == ("blocker", f"{path}:4")
    assert [(line["culprit"], line["place"]) for line in logs] == [("blocker", f"{path}:4")]


async def test_the_hub_itself_is_named_when_no_plugin_is_on_the_stack() -> None:
    async def blocks() -> None:
        time.sleep(0.8)  # noqa: ASYNC251 - that is the point

    watch, _ = await watch_while(blocks, {})

    assert watch.last is not None
    assert watch.last.culprit == "hub"
    assert "test_lag.py" in watch.last.place


async def test_a_loop_that_waits_for_an_event_is_not_blamed() -> None:
    async def patient() -> None:
        await asyncio.sleep(0.5)

    watch, logs = await watch_while(patient, {})

    assert watch.last is None
    assert logs == []
