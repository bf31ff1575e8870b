"""What `siarhub demo` says last."""

from __future__ import annotations

import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from hub.demo.command import Demo
from hub.demo.judge import Verdict
from hub.demo.stage import Stage
from hub.demo.story import Story


@pytest.fixture
def told(tmp_path: Path) -> Demo:
    stage: Stage = None  # type: ignore[assignment] - nothing is on it: what was found decides
    console = Console(file=StringIO(), width=1000)
    return Demo(console, stage, Story(tmp_path), {"Poster": tmp_path / "poster.png"})


def last_words(told: Demo) -> str:
    told.say_the_end()
    assert isinstance(told.console.file, StringIO)
    return told.console.file.getvalue()


def test_it_ends_by_saying_that_all_was_seen_and_in_how_long(told: Demo) -> None:
    for what in told.wanted():
        told.found(Verdict(what=what, good=True, detail=""))

    said = last_words(told)

    assert "all of the story happened in 0 s" in said
    assert "Poster on Lobi Dinas, radio, archive" in said
    assert "ending the stage" in said


def test_it_ends_by_saying_how_much_was_seen_when_not_all_was(told: Demo) -> None:
    told.found(Verdict(what="radio", good=True, detail=""))

    said = last_words(told)

    assert "1 of 4 were seen" in said
    assert "all of the story" not in said


def test_ctrl_c_says_that_the_stage_is_being_ended_and_pressing_it_again_changes_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "hub.cli", "demo", "--folder", str(tmp_path / "demo")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[3],
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        assert "setting the stage" in demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        said = demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()

    assert (demo.returncode, rest) == (0, "")
    assert "ending the stage" in said
