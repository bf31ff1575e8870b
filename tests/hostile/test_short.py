"""Hostile files of our own: each becomes a verified rendition or is refused with a reason, and touches nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.media.samples import make_audio, make_poster, make_text
from tests.hostile import breakage
from tests.hostile.canary import Canary, canary
from tests.hostile.case import Must
from tests.hostile.generator import cases
from tests.hostile.judge import Limits
from tests.hostile.outcome import Outcome, Result
from tests.hostile.pool import Asked, Pool
from tests.hostile.table import as_text, passed
from tests.hostile.world import World

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.hostile"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
pytestmark = pytest.mark.timeout(300)


def hostile(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd="/", env=ENVIRONMENT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.fixture
def bird(tmp_path: Path) -> Iterator[Canary]:
    (tmp_path / "canary").mkdir()
    with canary(tmp_path / "canary") as found:
        yield found


async def judged(*asked: Asked, bird: Canary | None = None) -> list[Result]:
    return [one async for one in Pool(jobs=1, limits=Limits(), canary=bird).results(iter(asked))]


@pytest.mark.system
def test_every_kind_of_hostile_file_is_made_or_refused_with_a_reason_and_nothing_else_is_touched() -> None:
    done = hostile("--short", "--json", "--jobs", 2)

    table = json.loads(done.stdout)
    assert table["bugs"] == []
    assert done.returncode == 0
    assert table["files"] > 70
    assert table["outcomes"][Outcome.MADE] > 10
    assert table["outcomes"][Outcome.REFUSED] > 40


def test_a_folder_is_judged_file_by_file_and_a_second_run_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    folder, record = tmp_path / "many", tmp_path / "record"
    (folder / "deeper").mkdir(parents=True)
    make_poster(folder / "deeper" / "good.png", (64, 48))
    make_text(folder / "text.mp4")
    (folder / "link.mp4").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.mp4")
    (folder / os.fsdecode(b"\xff\x1b[2J.mp4")).write_bytes(b"")

    first = hostile(folder, "--record", record, "--limit", 2, "--jobs", 1)
    second = hostile(folder, "--record", record, "--json", "--jobs", 1)

    assert "2  in" in first.stdout
    assert len(record.read_text().splitlines()) == 5
    table = json.loads(second.stdout)
    assert (table["files"], table["outcomes"]) == (5, {"refused": 4, "accepted, rendition made": 1})
    assert "\x1b" not in first.stdout + first.stderr + second.stderr


def test_a_folder_that_is_not_there_is_wrong_usage_and_no_success(tmp_path: Path) -> None:
    done = hostile(tmp_path / "nowhere")

    assert done.returncode == 2
    assert "no such folder" in done.stderr


def test_an_interrupted_run_tells_what_it_found_so_far(tmp_path: Path) -> None:
    for number in range(200):
        make_text(tmp_path / f"{number}.mp4")

    running = subprocess.Popen(
        [*COMMAND, str(tmp_path), "--jobs", "1"],
        cwd="/", env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    assert "1 files" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    said, errors = running.communicate(timeout=60)

    assert "refused" in said
    assert "Traceback" not in errors
    assert running.returncode == 0


async def test_a_file_that_is_taken_and_must_be_refused_is_a_bug_and_the_other_way_round(tmp_path: Path) -> None:
    good, text = make_audio(tmp_path / "good.wav"), make_text(tmp_path / "text.mp4")

    results = await judged(Asked(path=good, must=Must.REFUSE), Asked(path=text, must=Must.TAKE), Asked(path=text))

    assert [one.outcome for one in results] == [Outcome.UNEXPECTED, Outcome.UNEXPECTED, Outcome.REFUSED]
    assert not passed(results)
    assert "must take, but: refused" in as_text(results, 1.0)


async def test_a_touched_canary_is_a_bug_of_the_file_that_was_looked_at(tmp_path: Path, bird: Canary) -> None:
    text = make_text(tmp_path / "text.mp4")

    @contextlib.contextmanager
    def touching() -> Iterator[None]:
        bird.files["txt"].read_text()
        yield

    results = await judged(Asked(path=text), Asked(path=text, prepared=touching), Asked(path=text), bird=bird)

    assert [one.outcome for one in results] == [Outcome.REFUSED, Outcome.TOUCHED, Outcome.REFUSED]
    assert "secret.txt" in results[1].reason


async def test_a_hub_that_ends_over_a_file_is_a_bug_of_that_file_and_the_next_is_looked_at(tmp_path: Path) -> None:
    text = make_text(tmp_path / "text.mp4")

    @contextlib.contextmanager
    def killing() -> Iterator[None]:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        (judge,) = (one for one in children if b"tests.hostile.judge" in Path(f"/proc/{one}/cmdline").read_bytes())
        os.kill(int(judge), signal.SIGKILL)
        yield

    results = await judged(Asked(path=text), Asked(path=text, prepared=killing), Asked(path=text))

    assert [one.outcome for one in results] == [Outcome.REFUSED, Outcome.CRASHED, Outcome.REFUSED]


def test_the_canary_tells_of_every_kind_of_visitor(bird: Canary) -> None:
    assert bird.touched() == []
    host, _, port = bird.host.partition(":")
    with socket.create_connection((host, int(port))) as visitor:
        visitor.sendall(b"GET /x")
        visitor.recv(100)
    assert "GET /x" in bird.touched()[0]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
        host, _, port = bird.udp.partition(":")
        visitor.sendto(b"hello", (host, int(port)))
    deadline = time.monotonic() + 5
    while not (found := bird.touched()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "hello" in found[0]

    shutil.copyfile(bird.files["png"], os.devnull)
    assert bird.touched() == ["opened secret.png"]
    assert bird.touched() == []


def test_the_same_seed_breaks_files_in_the_same_places(tmp_path: Path, bird: Canary) -> None:
    (tmp_path / "whole").mkdir()

    def content(seed: int) -> dict[str, bytes]:
        found = {}
        for case in breakage.cases(World(tmp_path / "whole", bird, seed), 1):
            case.make(tmp_path / "one")
            found[case.name] = (tmp_path / "one").read_bytes()
        return found

    one, again, other = content(1), content(1), content(2)

    assert one == again
    assert one["flipped-64-0.png"] != other["flipped-64-0.png"]


def test_every_case_has_a_name_of_its_own(tmp_path: Path, bird: Canary) -> None:
    (tmp_path / "whole").mkdir()

    names = [case.name for case in cases(World(tmp_path / "whole", bird), rounds=2)]

    assert len(set(names)) == len(names) > 900
    assert all(len(os.fsencode(name)) < 256 and "/" not in name for name in names)
