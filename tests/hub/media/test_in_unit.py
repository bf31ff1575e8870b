"""The jail inside of the hardened service: its system call filter, its one capability and its user, without systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hub.media import jail
from hub.media.samples import make_pdf, make_video

CONFIG = Path(__file__).parents[3] / "config" / "siarhub.service"
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
PYTHON = "/usr/bin/python3"
NOBODY = "65534"
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or not all(map(shutil.which, ("setpriv", "systemd-analyze")))
    or not (NUMBERS.exists() and Path(PYTHON).exists()),
    reason="needs root, setpriv, systemd-analyze, the kernel's headers and Debian's python3",
)


@cache
def calls_of(group: str) -> frozenset[str]:
    """The system calls in a group of systemd's."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group], capture_output=True, text=True, check=True
    )
    words = [line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return frozenset().union(*(calls_of(word) if word.startswith("@") else {word} for word in words))


def allowed_calls() -> list[int]:
    """What the unit's SystemCallFilter lines leave, as systemd.exec(5) reads them: in order, `~` takes away."""
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text()))
    allowed: set[str] = set(calls_of("@default"))
    for line in re.findall(r"^SystemCallFilter=(.*)$", CONFIG.read_text(), re.MULTILINE):
        takes_away = line.startswith("~")
        for word in line.lstrip("~").split():
            named = calls_of(word) if word.startswith("@") else {word}
            allowed = allowed - named if takes_away else allowed | named
    return sorted(int(numbers[name]) for name in allowed if name in numbers)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, with the jail and the wrapper in it."""
    with tempfile.TemporaryDirectory(prefix="siar-unit-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "out").mkdir()
        (folder / "state").mkdir()
        for script in (Path(jail.__file__), Path(__file__).with_name("attacks.py")):
            shutil.copyfile(script, folder / script.name)
        (folder / "unit.py").write_text(UNIT.replace("ALLOWED", repr(allowed_calls())))
        (folder / "state" / "canary").write_text("the ledger")
        make_video(folder / "input", 0.5, (64, 48), video_options=("-pix_fmt", "yuv420p", "-f", "mp4"))
        make_pdf(folder / "poster.pdf")
        for path in (folder / "out", folder / "state", folder / "state" / "canary"):
            os.chown(path, int(NOBODY), int(NOBODY))
        yield folder


def in_unit(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all,+lease"]
    caps = ["--inh-caps=+lease", "--ambient-caps=+lease"]
    limits = [f"read={place}/input", f"read={place}/poster.pdf", f"write={place}/out", f"memory={3 << 30}", "nice=10"]
    return subprocess.run(
        [*user, *caps, PYTHON, "-I", "-S", f"{place}/unit.py", PYTHON, "-I", "-S", f"{place}/jail.py", *limits, *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, cwd=place / "out",
        env={"PATH": "/usr/bin:/bin", "HOME": f"{place}/out"},
    )  # fmt: skip


def test_all_of_the_sandbox_can_be_applied_in_the_unit(place: Path) -> None:
    done = in_unit(place, "report=1", "--")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_tools_work_in_the_unit(place: Path) -> None:
    clip = f"file:{place}/input"
    probed = in_unit(place, "--", "ffprobe", "-v", "error", "-f", "mov", "-show_streams", "-i", clip)
    made = in_unit(
        place, "--", "ffmpeg", "-v", "error", "-f", "mov", "-i", clip, "-c:v", "libx264", "-y", f"{place}/out/made.mp4"
    )
    drawn = in_unit(place, "--", "pdftoppm", "-png", f"{place}/poster.pdf", f"{place}/out/page")

    assert "codec_name=h264" in probed.stdout, probed.stderr
    assert (made.returncode, drawn.returncode) == (0, 0), made.stderr + drawn.stderr
    assert (place / "out" / "made.mp4").stat().st_size > 1000
    assert list((place / "out").glob("page*.png"))


def test_nothing_gets_out_in_the_unit_and_its_capability_is_gone(place: Path) -> None:
    attack = [PYTHON, "-I", "-S", f"{place}/attacks.py", str(os.getpid()), f"{place}/state/canary", f"{place}/input"]
    done = in_unit(place, f"read={place}/attacks.py", "--", *attack, f"{place}/out")
    status = in_unit(place, "read=/proc", "--", "cat", "/proc/self/status")

    found = json.loads(done.stdout)
    assert [name for name, what in (found["sealed"] | found["filtered"]).items() if what == "done"] == []
    assert set(found["allowed"].values()) == {"done"}
    assert re.findall(r"Cap(?:Prm|Eff|Amb):\s+(\w+)", status.stdout) == ["0" * 16] * 3


UNIT = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
op = lambda code, then, otherwise, value: struct.pack("HBBI", code, then, otherwise, value)
code = op(0x20, 0, 0, 0) + b"".join(op(0x15, 0, 1, n) + op(6, 0, 0, 0x7FFF0000) for n in ALLOWED) + op(6, 0, 0, 0x50001)
buffer = ctypes.create_string_buffer(code)
libc.prctl(65, 1, 0, 0, 0)  # MemoryDenyWriteExecute, where the kernel has it (6.3)
assert libc.prctl(38, 1, 0, 0, 0) == 0
program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
assert libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
