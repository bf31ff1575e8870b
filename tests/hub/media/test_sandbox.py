import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub.media import jail
from hub.media.runner import Finished, Stopped, run
from hub.media.sandbox import Confinement, sandbox_problems

PYTHON = "/usr/bin/python3"  # a system tool, as ffmpeg is
needs_system_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs Debian's python3")
needs_landlock = pytest.mark.skipif(bool(sandbox_problems()), reason="this kernel has no whole sandbox")


async def confined(folder: Path, *command: str, **limits: object) -> Finished:
    return await run(command, Confinement(write=(folder,), nice=0, **limits), folder=folder, within_s=20)


@needs_landlock
async def test_a_tool_reads_its_input_and_nothing_else_of_people_or_the_hub(tmp_path):
    (tmp_path / "out").mkdir()
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_text("mine")
    other.write_text("other")

    allowed = await confined(tmp_path / "out", "cat", str(mine), read=(mine,))
    denied = [await confined(tmp_path / "out", "cat", str(path), read=(mine,)) for path in (other, Path("/etc/passwd"))]

    assert allowed.output == b"mine"
    assert [(run.exit_code, run.output) for run in denied] == [(1, b""), (1, b"")]


@needs_landlock
async def test_a_tool_writes_its_output_folder_and_not_its_input(tmp_path):
    (tmp_path / "out").mkdir()
    mine = tmp_path / "mine"
    mine.write_text("mine")

    inside = await confined(tmp_path / "out", "cp", str(mine), str(tmp_path / "out" / "copy"), read=(mine,))
    outside = await confined(tmp_path / "out", "cp", str(mine), str(tmp_path / "copy"), read=(mine,))
    onto = await confined(tmp_path / "out", "truncate", "-s", "0", str(mine), read=(mine,))

    assert (inside.exit_code, outside.exit_code, onto.exit_code) == (0, 1, 1)
    assert mine.read_text() == "mine"


async def test_a_tool_cannot_reach_the_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.1)
        address = f"tcp://127.0.0.1:{canary.getsockname()[1]}"

        finished = await confined(tmp_path, "ffmpeg", "-v", "error", "-i", address, "-f", "null", "-")

        with pytest.raises(TimeoutError):
            canary.accept()
    assert "Operation not permitted" in finished.tail


async def test_a_tool_cannot_start_another_program(tmp_path):
    finished = await confined(tmp_path, "sh", "-c", "cat /dev/null & wait")

    assert finished.exit_code != 0
    assert "Cannot fork" in finished.tail


async def test_a_tool_cannot_signal_or_limit_the_hub(tmp_path):
    killed = await confined(tmp_path, "sh", "-c", f"kill -0 {os.getpid()}")
    limited = await confined(tmp_path, "prlimit", "--pid", str(os.getpid()), "--nofile=8:8")

    assert killed.exit_code != 0
    assert "not permitted" in killed.tail
    assert limited.exit_code != 0


async def test_a_file_larger_than_allowed_is_not_written(tmp_path):
    finished = await confined(tmp_path, "dd", "if=/dev/zero", f"of={tmp_path}/big", "bs=65536", "count=64", file_mib=1)

    assert finished.exit_code == -25  # SIGXFSZ
    assert (tmp_path / "big").stat().st_size <= 1 << 20


@needs_system_python
@pytest.mark.parametrize("script", ["one.write(bytes(1 << 20))", "pass"], ids=["full ones", "empty ones"])
async def test_files_without_end_are_ended(tmp_path, script):
    """The kernel limits how large each may be, not how many there are."""
    endless = (
        f"import itertools\nfor n in itertools.count():\n  with open(f'{tmp_path}/{{n}}', 'wb') as one:\n    {script}"
    )

    finished = await confined(tmp_path, PYTHON, "-I", "-S", "-c", endless, file_mib=16)

    assert finished.stopped is Stopped.FLOODED
    assert not finished.transient


@needs_system_python
async def test_a_progress_of_nonsense_is_not_believed(tmp_path):
    lines = ("9" * 5000, "-5", "N/A", "1" * 30, "", "1e9", "2000000")
    script = "".join(f"print('out_time_us={line}')\n" for line in lines)

    limits = Confinement(write=(tmp_path,), nice=0)
    finished = await run((PYTHON, "-I", "-S", "-c", script), limits, folder=tmp_path, within_s=20, stall_after_s=20)

    assert finished.ok
    assert finished.reached_s == 2.0


@needs_system_python
async def test_memory_beyond_the_limit_is_refused(tmp_path):
    finished = await confined(tmp_path, PYTHON, "-I", "-S", "-c", "bytearray(600 << 20)", memory_mib=512)

    assert "MemoryError" in finished.tail


async def test_a_tool_gets_no_environment_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("SIARHUB_SECRET", "s3cret")

    finished = await confined(tmp_path, "env")

    assert b"s3cret" not in finished.output
    assert b"PATH=" in finished.output


async def test_a_missing_tool_says_so(tmp_path):
    finished = await confined(tmp_path, "no-such-tool")

    assert (finished.exit_code, finished.says) == (127, "no-such-tool: not found")


def test_without_landlock_the_tool_still_runs_and_the_check_names_it(tmp_path):
    """As inside a systemd unit whose SystemCallFilter lacks Landlock: its system calls fail with EPERM."""
    script = tmp_path / "deny.py"
    script.write_text(_DENY_LANDLOCK)
    deny = [sys.executable, "-I", "-S", str(script)]
    jailed = [sys.executable, "-I", "-S", jail.__file__]

    report = subprocess.run([*deny, *jailed, "report=1", "--"], capture_output=True, text=True, check=True)
    ran = subprocess.run([*deny, *jailed, f"write={tmp_path}", "--", "true"], check=False)

    assert report.stdout == "Landlock: Operation not permitted"
    assert ran.returncode == 0


_DENY_LANDLOCK = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
op = lambda code, then, otherwise, value: struct.pack("HBBI", code, then, otherwise, value)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, 444) + op(6, 0, 0, 0x00050001) + op(6, 0, 0, 0x7FFF0000)
buffer = ctypes.create_string_buffer(code)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
