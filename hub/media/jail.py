"""Become a confined program: limits, no new privileges, Landlock, seccomp, then exec. Standard library only.

Run as a file by `hub.media.sandbox` (`python -I -S jail.py ...`), between the hub's fork and the tool: it must start
in milliseconds and must not touch anything of the hub. Arguments: `name=value` words, `--`, the command.

    parent=PID        die when this process dies (PR_SET_PDEATHSIG)
    memory= cpu= file=   RLIMIT_AS (bytes), RLIMIT_CPU (seconds), RLIMIT_FSIZE (bytes)
    nice= idle_io=    best effort
    read=PATH write=PATH   all that may be read, and written; may be given several times
    report=1          print what could not be applied, a line each, instead of running a command

Numbers: asm/unistd.h of x86_64 and of the generic table (aarch64); linux/landlock.h; linux/seccomp.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 38, 22, 2
CLONE_THREAD = 0x10000
EPERM, ENOSYS = 1, 38

SYSTEM_PATHS = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/poppler",
    "/var/cache/fontconfig", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero")

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FORBIDDEN = {
    # socket socketpair connect kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal pidfd_open pidfd_getfd
    # ptrace process_vm_readv process_vm_writev unshare setns mount bpf perf_event_open add_key request_key keyctl
    # userfaultfd open_by_handle_at io_uring_setup; x86_64 also fork vfork
    "x86_64": (
        41, 53, 42, 62, 200, 129, 297, 424, 434, 438, 101, 310, 311, 272, 308, 165, 321, 298, 248, 249, 250, 323, 304,
        425, 57, 58,
    ),
    "aarch64": (
        198, 199, 203, 129, 130, 138, 240, 424, 434, 438, 117, 270, 271, 97, 268, 40, 280, 241, 217, 218, 219, 282, 265,
        425,
    ),
}  # fmt: skip
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
TGKILL, PRLIMIT64 = {"x86_64": 234, "aarch64": 131}, {"x86_64": 302, "aarch64": 261}

_libc = ctypes.CDLL(None, use_errno=True)


def main(words: list[str]) -> None:
    """Apply what `words` say to this process, then become the command behind `--`."""
    end = words.index("--")
    options = [word.partition("=")[::2] for word in words[:end]]
    one = dict(options)
    if one.get("parent"):
        die_with(int(one["parent"]))
    lower_priority(int(one.get("nice") or 0), idle_io=one.get("idle_io") == "1")
    unlimited = set_limits(one)
    read = [path for name, path in options if name == "read"]
    write = [path for name, path in options if name == "write"]
    command = words[end + 1 :]
    program = find(command[0]) if command else ""  # before the folders of PATH are out of sight
    problems = unlimited + confine(read, write)
    if one.get("report") == "1":
        os.write(1, "\n".join(problems).encode())
        return
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would pass that on
        signal.signal(ignored, signal.SIG_DFL)
    os.execv(program, command)  # noqa: S606 - this is the purpose


def find(name: str) -> str:
    """The program's path; os.execvp would import a module, which the jail no longer lets us read."""
    folders = [""] if "/" in name else os.environ.get("PATH", "/usr/bin").split(":")
    for folder in folders:
        path = f"{folder}/{name}" if folder else name
        if os.access(path, os.X_OK):
            return path
    os.write(2, f"{name}: not found\n".encode())
    os._exit(127)


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when the hub dies, however it dies."""
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(137)


def lower_priority(nice: int, *, idle_io: bool) -> None:
    with contextlib.suppress(OSError):  # a service unit may forbid it; it is a courtesy only
        os.nice(nice)
    if idle_io:
        number = {"x86_64": 251, "aarch64": 30}.get(os.uname().machine)
        if number is not None:
            _libc.syscall(number, 1, 0, 3 << 13)  # ioprio_set(IOPRIO_WHO_PROCESS, self, idle)


def set_limits(one: dict[str, str]) -> list[str]:
    """The resource limits; returns why, when a service unit's own filter forbids to set them."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit(resource.RLIMIT_NOFILE, 512)
        if one.get("memory"):
            _limit(resource.RLIMIT_AS, int(one["memory"]))
        if one.get("file"):
            _limit(resource.RLIMIT_FSIZE, int(one["file"]))
        if one.get("cpu"):
            # The soft limit says SIGXCPU, so that it is told apart from the kernel's out-of-memory SIGKILL.
            _limit(resource.RLIMIT_CPU, int(one["cpu"]), above=10)
    except (OSError, ValueError) as error:
        return [f"resource limits: {error}"]
    return []


def _limit(which: int, value: int, *, above: int = 0) -> None:
    _, hard = resource.getrlimit(which)
    top = value + above if hard == resource.RLIM_INFINITY else min(value + above, hard)
    resource.setrlimit(which, (min(value, top), top))


def confine(read: list[str], write: list[str]) -> list[str]:
    """Landlock and seccomp for this process and what it becomes; returns what the system does not let us apply."""
    problems = []
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return [f"no_new_privs could not be set: {_why()}"]
    try:
        _landlock(read, write)
    except OSError as error:
        problems.append(f"Landlock: {error.strerror}")
    try:
        _seccomp()
    except OSError as error:
        problems.append(f"seccomp: {error.strerror}")
    return problems


def _why() -> str:
    return os.strerror(ctypes.get_errno())


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), _why())
    return result


def _landlock(read: list[str], write: list[str]) -> None:
    abi = _checked(_libc.syscall(444, None, ctypes.c_size_t(0), 1))
    handled = (1 << 13) - 1 | (abi >= 2) << 13 | (abi >= 3) << 14 | (abi >= 5) << 15
    net = 3 if abi >= 4 else 0  # bind and connect of TCP
    scoped = 3 if abi >= 6 else 0  # abstract UNIX sockets and signals to processes outside
    attributes = struct.pack("QQQ", handled, net, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _checked(_libc.syscall(444, attributes, ctypes.c_size_t(len(attributes)), 0))
    look, run = 1 << 2 | 1 << 3, 1 << 0
    for paths, access in (
        (SYSTEM_PATHS, look | run),
        (read, look),
        (DEVICES, 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15),
        (write, handled & ~run & ~_SPECIAL),
    ):
        for path in paths:
            _allow(ruleset, path, access & handled)
    _checked(_libc.syscall(446, ruleset, 0))
    os.close(ruleset)


_SPECIAL = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12  # make device, socket, FIFO, block device, symbolic link


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib would triple the start-up time
            access &= 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
        _checked(_libc.syscall(445, ruleset, 1, struct.pack("=Qi", access, fd), 0))
    finally:
        os.close(fd)


def _seccomp() -> None:
    machine = os.uname().machine
    if machine not in AUDIT_ARCH:
        raise OSError(ENOSYS, f"no system call filter for {machine}")
    code = _filter(machine, os.getpid())
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    _checked(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))


def _filter(machine: str, pid: int) -> bytes:
    """BPF: no sockets, no other processes (threads only), no signals to others, no way round it (io_uring)."""
    load, equal, any_bit, at_least, give = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, deny, missing, kill = 0x7FFF0000, 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x80000000
    number, arch, first_argument = 0, 4, 16

    def op(code: int, then: int, otherwise: int, value: int) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    lines = [op(load, 0, 0, arch), op(equal, 1, 0, AUDIT_ARCH[machine]), op(give, 0, 0, kill), op(load, 0, 0, number)]
    if machine == "x86_64":
        lines += [op(at_least, 0, 1, 0x40000000), op(give, 0, 0, kill)]  # the x32 table
    for call in FORBIDDEN[machine]:
        lines += [op(equal, 0, 1, call), op(give, 0, 0, deny)]
    lines += [op(equal, 0, 1, CLONE3), op(give, 0, 0, missing)]  # its flags cannot be seen: libc falls back to clone
    for call, test, value in (
        (CLONE[machine], any_bit, CLONE_THREAD),
        (TGKILL[machine], equal, pid),
        (PRLIMIT64[machine], equal, 0),
    ):
        lines += [op(equal, 0, 4, call), op(load, 0, 0, first_argument), op(test, 0, 1, value)]
        lines += [op(give, 0, 0, allow), op(give, 0, 0, deny)]
    return b"".join([*lines, op(give, 0, 0, allow)])


if __name__ == "__main__":
    main(sys.argv[1:])
