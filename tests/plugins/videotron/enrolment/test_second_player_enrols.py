"""The second implementation of the player shows a code, is enrolled with it, and goes on as itself."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.commands.enrol import enrol

pytestmark = pytest.mark.timeout(60)


async def test_a_player_of_another_make_is_enrolled_by_its_code(site: Any, tmp_path: Path) -> None:
    told = {"folder": str(tmp_path / "second"), "ns": site.broker.namespace, "host": "127.0.0.1"}
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(told | {"port": site.broker.port, "knock_every_s": 0.1}))
    command = [sys.executable, "-m", "second_player", str(settings)]
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        code = (await process.stdout.readline()).decode().strip()

        result = await site.say(enrol, "gate-1", code)

        assert result.exit_code == 0, result.output
        async with asyncio.timeout(20):
            while not (tmp_path / "second/trust").exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
    finally:
        process.terminate()
        assert await process.wait() == 0
    enrolled = json.loads(json.loads((tmp_path / "second/enrolment").read_bytes())["payload"])
    assert site.office.record.key_of("gate-1") == base64.b64decode(enrolled["key"])
    assert enrolled["credential"]["player"] == "gate-1"
    assert "gate-1" in result.output, result.output
