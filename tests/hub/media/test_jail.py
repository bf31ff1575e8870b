"""The jail as a taken-over tool meets it: what it tries fails, with Landlock and without, for root and for a user."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.media import jail
from hub.media.sandbox import _compiled, sandbox_problems

PYTHON = "/usr/bin/python3"
NOBODY = 65534
pytestmark = pytest.mark.skipif(
    not Path(PYTHON).exists() or os.uname().machine != "x86_64", reason="needs Debian's python3, and knows x86_64 only"
)
needs_sandbox = pytest.mark.skipif(bool(sandbox_problems()), reason="this kernel has no whole sandbox")
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A hub's folders, a file to read, and one that nobody may touch."""

    folder: Path
    canary: Path
    input: Path
    out: Path

    def attack(self, *before: str, python: str = PYTHON, memory: int = 3 << 30) -> dict[str, Any]:
        words = [f"parent={os.getpid()}", f"memory={memory}", f"read={self.input}", f"write={self.out}"]
        script = self.folder / "attacks.py"
        tool = [PYTHON, "-I", "-S", str(script), str(os.getpid()), str(self.canary), str(self.input), str(self.out)]
        command = [*before, python, "-I", "-S", str(self.folder / "jail.py"), *words, f"read={script}", "--", *tool]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
            start_new_session=True,  # as the runner does: a terminal would be waited for
        )  # fmt: skip
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @property
    def witness(self) -> tuple[object, ...]:
        """What must not change: content, mode, owner and dates of the canary and the input; what stands around."""
        files = [
            (one.read_bytes(), one.stat().st_mode, one.stat().st_uid, one.stat().st_mtime_ns)
            for one in (self.canary, self.input)
        ]
        return (*files, sorted(self.canary.parent.iterdir()), sorted(self.out.iterdir()))


@pytest.fixture
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="siar-jail-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "state").mkdir()
        (folder / "out").mkdir()
        for script in (Path(jail.__file__), Path(__file__).with_name("attacks.py")):
            shutil.copyfile(script, folder / script.name)
        found = Place(folder=folder, canary=folder / "state" / "canary", input=folder / "input", out=folder / "out")
        found.canary.write_text("the ledger")
        found.input.write_text("a film")
        yield found


def own(place: Place, user: int) -> None:
    for path in (place.canary.parent, place.canary, place.input, place.out):
        os.chown(path, user, user)


@needs_sandbox
def test_nothing_that_a_taken_over_tool_tries_succeeds(place: Place) -> None:
    before = place.witness

    found = place.attack(python=sys.executable)

    assert [name for name, what in (found["sealed"] | found["filtered"]).items() if what == "done"] == []
    assert set(found["allowed"].values()) == {"done"}
    (place.out / "made").unlink()
    assert place.witness == before


@needs_root
@needs_sandbox
def test_nor_when_the_hub_is_an_ordinary_user(place: Place) -> None:
    own(place, NOBODY)
    before = place.witness

    found = place.attack("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")

    assert [name for name, what in (found["sealed"] | found["filtered"]).items() if what == "done"] == []
    assert set(found["allowed"].values()) == {"done"}
    (place.out / "made").unlink()
    assert place.witness == before


def test_without_landlock_the_filter_still_holds_all_but_opening_files(place: Place) -> None:
    (place.folder / "deny.py").write_text(DENY_LANDLOCK)

    found = place.attack(PYTHON, "-I", "-S", str(place.folder / "deny.py"))

    assert [name for name, what in found["filtered"].items() if what == "done"] == []
    assert found["sealed"]["read the state"] == "done"  # so it was Landlock that kept it from that
    assert place.canary.stat().st_mtime > 1000


def test_no_descriptor_of_the_hub_is_inherited(place: Place) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    script = f"import os; os.dup2({writing}, 77); os.execv({PYTHON!r}, {[PYTHON, '-I', '-S']!r} + os.sys.argv[1:])"
    words = [f"write={place.out}", f"read={place.folder}", "--", PYTHON, "-I", "-S", "-c", LISTED]

    done = subprocess.run(
        [PYTHON, "-c", script, str(place.folder / "jail.py"), *words],
        pass_fds=[writing], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    os.close(reading)
    os.close(writing)
    assert done.stdout.strip() == "[0, 1, 2]"


def test_a_program_from_memory_starts_in_the_same_jail(place: Place) -> None:
    done = inside(place, FROM_MEMORY)

    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert done.stdout == ""


def test_a_tool_has_no_capability(place: Place) -> None:
    done = inside(place, "print(open('/proc/self/status').read())", "read=/proc")

    words = dict(line.split(":\t") for line in done.stdout.splitlines() if line.startswith(("Cap", "NoNew", "Sig")))
    assert int(words["CapAmb"], 16) == int(words["CapInh"], 16) == 0
    assert int(words["CapPrm"], 16) & ~(1 << 2) == 0  # root's tool may read the file that it was given
    assert words["NoNewPrivs"] == "1"


def test_threads_without_end_end_at_the_limit_of_tasks(place: Place) -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("the limit counts all of a user's tasks: root gives it a user of its own")
    own(place, NOBODY - 7)

    user = ("setpriv", f"--reuid={NOBODY - 7}", f"--regid={NOBODY - 7}", "--clear-groups")
    done = inside(place, THREADS, "tasks=40", before=user)

    assert 20 <= int(done.stdout) < 40


def inside(place: Place, script: str, *words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-I", "-S", str(place.folder / "jail.py"), f"write={place.out}", *words]
    return subprocess.run(
        [*before, *command, "--", PYTHON, "-I", "-S", "-c", script],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


LISTED = """
import fcntl
found = []
for fd in range(1024):
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
        found.append(fd)
    except OSError:
        pass
print(found)
"""
FROM_MEMORY = """
import os
import re
fd = os.memfd_create("program", 0)
os.write(fd, open("/usr/bin/cat", "rb").read())
os.execve(fd, ["cat", "/etc/passwd"], {})
"""
THREADS = """
import threading
stop, count = threading.Event(), 0
try:
    for count in range(500):
        threading.Thread(target=stop.wait).start()
except RuntimeError:
    pass
print(count)
stop.set()
"""
DENY_LANDLOCK = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
op = lambda code, then, otherwise, value: struct.pack("HBBI", code, then, otherwise, value)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, 444) + op(6, 0, 0, 0x00050001) + op(6, 0, 0, 0x7FFF0000)
buffer = ctypes.create_string_buffer(code)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_start_imports_nothing_that_python_itself_does_not_need() -> None:
    """Every tool pays for it: `ctypes`, `signal` or `contextlib` would each cost more than all that the jail does."""

    def imported(*words: str) -> set[str]:
        command = [sys.executable, "-I", "-S", "-X", "importtime", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}

    assert imported(jail.__file__, "report=1", "--") - imported("-c", "pass") == {"_ctypes"}


def test_the_compiled_jail_is_the_one_of_this_source(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("print('first')")
    compile_ = _compiled.__wrapped__

    first = compile_(source)
    source.write_text("print('second and longer')")
    second = compile_(source)

    assert first == second != str(source)
    assert subprocess.run([sys.executable, second], capture_output=True, text=True, check=True).stdout == (
        "second and longer\n"
    )


def test_where_nothing_may_be_written_the_source_itself_is_run(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("print('first')")
    (tmp_path / "__pycache__").touch()

    assert _compiled.__wrapped__(source) == str(source)


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
FORBIDDEN = [
    "socket",
    "socketpair",
    "connect",
    "kill",
    "tkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_send_signal",
    "pidfd_open",
    "pidfd_getfd",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "process_madvise",
    "process_mrelease",
    "migrate_pages",
    "move_pages",
    "perf_event_open",
    "bpf",
    "userfaultfd",
    "add_key",
    "request_key",
    "keyctl",
    "unshare",
    "setns",
    "mount",
    "open_by_handle_at",
    "io_uring_setup",
    "setsid",
    "setpgid",
    "inotify_init",
    "inotify_init1",
    "fanotify_init",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "truncate",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "setxattrat",
    "removexattrat",
    "file_setattr",
    "mknodat",
    "symlinkat",
    "linkat",
    "mkdirat",
    "setpriority",
    "sched_setparam",
    "sched_setscheduler",
    "sched_setaffinity",
    "sched_setattr",
    "ioprio_set",
    "shmget",
    "shmat",
    "shmctl",
    "msgget",
    "msgctl",
    "semget",
    "semctl",
    "mq_open",
    "mq_unlink",
    "fork",
    "vfork",
    "chmod",
    "chown",
    "lchown",
    "utime",
    "utimes",
    "futimesat",
    "mknod",
    "symlink",
    "link",
    "mkdir",
]
NEWER = {"fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469}  # than Debian's headers


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not here")
    text = HEADERS[machine].read_text()
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    known = {**NEWER, **numbers}

    forbidden = {known[name] for name in FORBIDDEN if name in known}

    assert forbidden == set(jail.FORBIDDEN[machine])
    assert {name: known[name] for name in jail.NUMBERS[machine]} == jail.NUMBERS[machine]
    assert known["ioprio_set"] == jail.IOPRIO_SET[machine]
    assert [known[name] for name in ("clone3", "openat2", "close_range", "landlock_create_ruleset")] == [
        jail.CLONE3, jail.OPENAT2, jail.CLOSE_RANGE, jail.LANDLOCK,
    ]  # fmt: skip
