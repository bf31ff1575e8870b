"""A few points of every sweep of `make faults`; those of the archive and the ledger stand with their tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.__main__ import SWEEPS, run
from tests.faults.row import Judged, row_of

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["intake", "hub", "player", "player-cuts", "transfer", "radio"])
@pytest.mark.xdist_group("faults")
def test_a_kill_loses_doubles_and_damages_nothing(name: str) -> None:
    needed = {"intake": ["strace"], "player": ["strace"], "player-cuts": ["strace", "Xvfb"]}.get(name, [])
    if missing := [program for program in needed if shutil.which(program) is None]:
        pytest.skip(f"not installed: {missing}")

    row = run(name, short=True)

    assert (row.lost, row.doubled, row.damaged) == (0, 0, 0)
    assert row.points > 0


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.xdist_group("faults")
def test_a_full_disk_loses_doubles_and_damages_nothing() -> None:
    row = run("disk", short=True)

    assert (row.lost, row.doubled, row.damaged) == (0, 0, 0)


@pytest.mark.system
def test_a_sweep_ends_well_with_a_line_of_json_for_machines() -> None:
    command = [sys.executable, "-m", "tests.faults", "--short", "--only", "ledger", "--json"]

    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)

    row = json.loads(done.stdout)
    assert row.pop("points") > 0
    assert row == {"name": "ledger-accept", "lost": 0, "doubled": 0, "damaged": 0, "passed": True}


def test_a_row_counts_the_points_and_passes_only_when_all_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    whole = row_of("one", [Judged(), Judged()])
    broken = row_of("two", [Judged(), Judged(lost=True, why="fsync 3: no receipt"), Judged(doubled=True, damaged=True)])

    assert whole.passed
    assert not broken.passed
    assert not row_of("nothing met", []).passed
    assert str(broken) == "two  3  1  1  1"
    assert "two: lost: fsync 3: no receipt" in capsys.readouterr().err


def test_every_sweep_that_can_be_asked_for_is_there() -> None:
    assert all((Path(__file__).parent / f"{module}.py").is_file() for module in SWEEPS.values())
