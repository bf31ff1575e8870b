import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.media.sandbox import sandbox_problems
from hub.media.selftest import sandbox_failures

ROOT = Path(__file__).parents[3]
needs_sandbox = pytest.mark.skipif(bool(sandbox_problems()), reason="this kernel has no whole sandbox")


@needs_sandbox
def test_a_sandbox_that_holds_is_no_problem_and_leaves_nothing_behind(tmp_path, settings):
    started = time.monotonic()

    found = sandbox_failures(settings, tmp_path)

    assert found == []
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - started < 15  # about a half on a quiet machine


@needs_sandbox
def test_a_sandbox_without_landlock_is_told_once_with_the_remedy(tmp_path):
    found = told_where(444, tmp_path)

    assert len(found) == 1
    assert "Landlock" in found[0]
    assert "SystemCallFilter" in found[0]


@needs_sandbox
def test_a_jail_that_lets_everything_through_is_told_way_by_way(tmp_path):
    found = told_by_a_copy(
        tmp_path, "def confine(read: list[str], write: list[str]) -> list[str]:\n", "    return []\n"
    )

    for way in ("/etc/passwd", "own files", "outside of its folder", "network", "signals", "programs of its own"):
        assert any(way in one for one in found), way


@needs_sandbox
def test_an_ffprobe_that_opens_whatever_a_file_names_is_told(tmp_path):
    open_wide = 'return {\n        "protocol_whitelist": "file,http,tcp,crypto,rtp,udp",\n    }\n'
    found = told_by_a_copy(tmp_path, "    demuxer = DEMUXERS[container]\n", f"    {open_wide}", file="inputs.py")

    assert any("taken for media" in one or "failed in the sandbox" in one for one in found), found


def test_a_folder_that_is_not_there_is_told_without_a_traceback(settings, tmp_path):
    (found,) = sandbox_failures(settings, tmp_path / "nowhere")[-1:]

    assert "could not be tried out" in found


SCRIPT = """
import json, sys
from pathlib import Path
from hub.media.selftest import sandbox_failures
from hub.media.settings import MediaSettings
print(json.dumps(sandbox_failures(MediaSettings(), Path(sys.argv[1]))))
"""


def told(root: Path, folder: Path, *before: str) -> list[str]:
    done = subprocess.run(
        [*before, sys.executable, "-P", "-c", SCRIPT, str(folder)],
        capture_output=True, text=True, timeout=60, check=True, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    return list(json.loads(done.stdout))


def told_where(number: int, folder: Path) -> list[str]:
    """What is told where this system call fails with EPERM, as a service unit's filter does."""
    script = folder / "deny.py"
    script.write_text(DENY.replace("NUMBER", str(number)))
    return told(ROOT, folder, sys.executable, "-I", "-S", str(script))


def told_by_a_copy(folder: Path, after: str, line: str, *, file: str = "jail.py") -> list[str]:
    """What is told by a hub that has a line more behind `after`."""
    shutil.copytree(ROOT / "hub", folder / "copy" / "hub", ignore=shutil.ignore_patterns("__pycache__", "locale"))
    broken = folder / "copy" / "hub" / "media" / file
    text = broken.read_text()
    assert after in text
    broken.write_text(text.replace(after, after + line))
    return told(folder / "copy", folder)


DENY = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
op = lambda code, then, otherwise, value: struct.pack("HBBI", code, then, otherwise, value)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, NUMBER) + op(6, 0, 0, 0x00050001) + op(6, 0, 0, 0x7FFF0000)
buffer = ctypes.create_string_buffer(code)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
