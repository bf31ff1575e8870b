"""`siarhub status` and `--watch`: what they say of a running hub, to people and to machines."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.api import ItemNumber, Progress, Sha256
from hub.observe.health import Part, Status, read_status, write_status
from hub.testing import NOON
from tests.hub.cli.conftest import Office

HALF = Progress(
    asset=Sha256("a" * 64), item=ItemNumber("IP-2026-11-0007"), title="[/] Siaga", name="imbauan\x1b.mp4", part=0.43,
    speed=2.1, left_s=35.0, outputs=("1280x720 H.264", "wav at -16 LUFS"), urgent=True,
)  # fmt: skip


def write(office: Office, state: str = "ok", summary: str = "", under_way: tuple[Progress, ...] = (HALF,)) -> None:
    status = Status(
        version="0.1", pid=os.getpid(), started_at=NOON, written_at=NOON,
        jobs={"plan queued": 1, "transcode queued": 12},
        intake={"paused": None, "waiting": [{"name": "[/b]a.mp4", "since": str(NOON), "why": "menunggu"}],
                "waiting_more": 19_980},
        transcoding=under_way, parts=(Part(name="intake", state=state, summary=summary),),
    )  # fmt: skip
    write_status(office.state, status)


def test_a_hub_that_does_not_run_is_down(office: Office) -> None:
    write(office)

    value: dict[str, Any] = office.json("status", code=1)

    assert (value["running"], value["state"]) == (False, "down")
    assert "not running" in office.run("status").output


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("degraded", 0), ("down", 1)])
def test_a_running_hub_says_how_it_is(office: Office, state: str, code: int) -> None:
    write(office, state, "[/] disk full")
    with office.hub_runs():
        value = office.json("status", code=code)
        shown = office.run("status")

    assert (value["running"], value["state"], value["parts"][0]["name"]) == (True, state, "intake")
    assert {"version", "pid", "started_at", "written_at", "jobs", "intake", "transcoding", "plugins"} <= value.keys()
    assert "[/] disk full" in shown.output
    assert f"waiting since {NOON:%d-%m-%Y}" in shown.output
    assert "[/b]a.mp4: menunggu" in shown.output
    assert "and 19980 more wait" in shown.output


def test_a_status_that_cannot_be_read_is_not_taken_for_down(office: Office) -> None:
    with office.hub_runs():
        result = office.run("status")

    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_progress_is_told_by_number_and_title_with_percent_speed_and_time_left(office: Office) -> None:
    write(office)
    with office.hub_runs():
        shown = office.run("status").output

    for text in (
        "12 more to be transcoded",
        "IP-2026-11-0007 (urgent)",
        "[/] Siaga",
        "43%",
        "2.1 x",
        "0:00:35",
        "1280x720 H.264",
    ):
        assert text in shown, shown
    assert "\x1b" not in shown
    assert "aaaa" not in shown


def test_what_is_made_is_said_to_be_checked(office: Office) -> None:
    write(office, under_way=(replace(HALF, part=1.0, speed=None, left_s=None),))
    with office.hub_runs():
        assert "checking" in office.run("status").output


def test_machines_get_the_promised_keys_of_a_transcode(office: Office) -> None:
    write(office)
    with office.hub_runs():
        (one,) = office.json("status")["transcoding"]

    assert one == {
        "asset": "a" * 64, "item": "IP-2026-11-0007", "title": "[/] Siaga", "name": "imbauan\x1b.mp4", "part": 0.43,
        "speed": 2.1, "left_s": 35.0, "outputs": ["1280x720 H.264", "wav at -16 LUFS"], "urgent": True,
    }  # fmt: skip


@contextmanager
def watching(office: Office, *options: str, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "hub.cli", "--config", str(office.config), "status", "--watch", *options]
    process = subprocess.Popen(command, start_new_session=True, **how)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()


def read_until(fd: int, text: str) -> str:
    """What came until `text` did."""
    got, end = b"", time.monotonic() + 20
    while text not in got.decode(errors="replace"):
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        assert ready, got
        got += os.read(fd, 65536)
    return got.decode(errors="replace")


def test_a_watch_that_is_piped_tells_each_change_once_and_ends_with_ctrl_c(office: Office) -> None:
    write(office)
    with office.hub_runs(), watching(office, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        first = read_until(watch.stdout.fileno(), "\n")
        write(office, under_way=(replace(HALF, part=0.7),))
        second = read_until(watch.stdout.fileno(), "\n")
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate(timeout=20)

    assert [json.loads(one)["transcoding"][0]["part"] for one in (first, second)] == [0.43, 0.7]
    assert (watch.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_a_watch_on_a_terminal_follows_even_on_a_dumb_one(office: Office, terminal: str) -> None:
    write(office)
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": terminal, "COLUMNS": "100", "LINES": "40"}
    with office.hub_runs(), watching(office, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as watch:
        read_until(ours, "43%")
        write(office, under_way=(replace(HALF, part=0.7),))
        later = read_until(ours, "70%")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(timeout=20) == 0
    os.close(ours)
    os.close(theirs)
    assert ("\x1b[" in later) is (terminal == "xterm")


def test_a_watch_waits_for_a_hub_that_is_not_there_yet(office: Office) -> None:
    with watching(office, stdout=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        read_until(watch.stdout.fileno(), "not running")
        write(office)
        with office.hub_runs():
            assert "IP-2026-11-0007" in read_until(watch.stdout.fileno(), "43%")


def test_the_file_is_replaced_whole_and_follows_no_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / ".status.json.new").symlink_to(other)
    status = Status(
        version="1", pid=1, started_at=NOON, written_at=NOON, parts=(), jobs={}, intake={}, transcoding=()
    )  # fmt: skip

    write_status(tmp_path, status)

    assert (read_status(tmp_path) or {})["version"] == "1"
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o660
    assert other.read_text() == "kept"


def test_what_an_older_hub_left_is_no_riddle(office: Office) -> None:
    write(office)
    path = office.state / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "transcoding": {"a" * 64: 0.5}}))

    with office.hub_runs():
        assert office.run("status").exit_code == 0
        assert office.json("status")["transcoding"] == []
