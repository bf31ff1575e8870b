"""The log as systemd's journal takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SPEAK = """
import structlog
from hub.api.service import set_up_logging
set_up_logging(level="debug")
log = structlog.get_logger()
for level in ("debug", "info", "warning", "error", "critical", "exception"):
    getattr(log, level)("happened", lines="one\\ntwo")
"""


def spoken(stderr: Path, stream: str | None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    with stderr.open("w") as file:
        named = stream if stream is not None else "{0.st_dev}:{0.st_ino}".format(os.fstat(file.fileno()))
        environment |= {"JOURNAL_STREAM": named}
        subprocess.run([sys.executable, "-c", SPEAK], stderr=file, env=environment, check=True, timeout=30)
    return stderr.read_text().splitlines()


def test_each_line_to_the_journal_says_its_priority(tmp_path: Path) -> None:
    lines = spoken(tmp_path / "journal", None)

    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<3>"]
    assert [json.loads(line[3:])["level"] for line in lines[:5]] == ["debug", "info", "warning", "error", "critical"]


def test_a_file_that_is_not_the_journal_gets_plain_json(tmp_path: Path) -> None:
    for stream in ("", "8:123456"):
        lines = spoken(tmp_path / "file", stream)

        assert len(lines) == 6
        assert all(json.loads(line)["event"] == "happened" for line in lines)
