"""Become a confined program: limits, no rights, no new privileges, Landlock, seccomp, then exec.

Run as a file by `hub.media.sandbox` (`python -I -S jail.pyc ...`), between the hub's fork and the tool. Each start of a
tool pays for it, so it imports C modules only: `ctypes`, `signal`, `contextlib` and `os` cost more than all it does. It
must not touch anything of the hub. Arguments: `name=value` words, `--`, the command.

    parent=PID        die when this process dies (PR_SET_PDEATHSIG)
    memory= cpu= file= tasks=   RLIMIT_AS (bytes), RLIMIT_CPU (seconds), RLIMIT_FSIZE (bytes), RLIMIT_NPROC
    nice= idle_io=    best effort
    read=PATH write=PATH   all that may be read, and written; may be given several times
    report=1          print what could not be applied, a line each, instead of running a command

What the system does not let us apply is left out in silence, for a hub without Landlock must still work; `report=1`
says it, and `siarhub check` asks. Landlock says which files may be opened; it leaves chmod, utime, truncate (before
Linux 6.2) and signals (before 6.12) alone, so seccomp forbids those.
Numbers: asm/unistd.h of x86_64 and of the generic table (aarch64); linux/{landlock,seccomp,prctl,capability}.h.
"""

import _ctypes
import posix
import sys

SYSTEM_PATHS = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/poppler",
    "/var/cache/fontconfig", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero")

EPERM, ENOSYS = 1, 38
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 22, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_AS = 0, 1, 4, 6, 7, 9
NO_LIMIT = (1 << 64) - 1
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
CAP_DAC_READ_SEARCH = 1 << 2

MACHINE = posix.uname().machine
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    "x86_64": {"openat": 257, "fcntl": 72, "clone": 56, "tgkill": 234, "prlimit64": 302, "prctl": 157},
    "aarch64": {"openat": 56, "fcntl": 25, "clone": 220, "tgkill": 131, "prlimit64": 261, "prctl": 167},
}
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
CLONE3, OPENAT2, CLOSE_RANGE, LANDLOCK = 435, 437, 436, 444  # the same everywhere, as is all that is newer
FORBIDDEN = {
    # Sockets: socket socketpair connect. Signals: kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal.
    # Others' insides: pidfd_open pidfd_getfd ptrace process_vm_readv process_vm_writev kcmp process_madvise
    #   process_mrelease migrate_pages move_pages perf_event_open bpf userfaultfd add_key request_key keyctl
    # Ways round a rule: unshare setns mount open_by_handle_at io_uring_setup setsid setpgid inotify_init(1)
    #   fanotify_init
    # Files, where Landlock does not look: fchmod fchmodat fchmodat2 fchown fchownat truncate utimensat
    #   (l f)setxattr (l f)removexattr setxattrat removexattrat file_setattr mknodat symlinkat linkat mkdirat
    # Others' time: setpriority sched_setparam sched_setscheduler sched_setaffinity sched_setattr ioprio_set
    # Shared memory and queues: shmget shmat shmctl msgget msgctl semget semctl mq_open mq_unlink
    # and x86_64's own old ones: fork vfork chmod chown lchown utime utimes futimesat mknod symlink link mkdir
    "x86_64": (
        41, 53, 42, 62, 200, 129, 297, 424,
        434, 438, 101, 310, 311, 312, 440, 448, 256, 279, 298, 321, 323, 248, 249, 250,
        272, 308, 165, 304, 425, 112, 109, 253, 294, 300,
        91, 268, 452, 93, 260, 76, 280, 188, 189, 190, 197, 198, 199, 463, 466, 469, 259, 266, 265, 258,
        141, 142, 144, 203, 314, 251, 29, 30, 31, 68, 71, 64, 66, 240, 241,
        57, 58, 90, 92, 94, 132, 235, 261, 133, 88, 86, 83,
    ),
    "aarch64": (
        198, 199, 203, 129, 130, 138, 240, 424,
        434, 438, 117, 270, 271, 272, 440, 448, 238, 239, 241, 280, 282, 217, 218, 219,
        97, 268, 40, 265, 425, 157, 154, 26, 262,
        52, 53, 452, 55, 54, 45, 88, 5, 6, 7, 14, 15, 16, 463, 466, 469, 33, 36, 37, 34,
        140, 118, 119, 122, 274, 30, 194, 196, 195, 186, 187, 190, 191, 180, 181,
    ),
}  # fmt: skip


class _Integer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Word(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """Whatever fits a register: an integer, or the address of bytes."""

    _type_ = "P"


class _Number(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "Q"


class _Text(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class _Pair(_ctypes.Array):  # type: ignore[type-arg]
    _type_ = _Number
    _length_ = 2


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Integer
    _argtypes_ = (_Word,) * 7


_libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]


def main(words: list[str]) -> None:
    """Apply what `words` say to this process, then become the command behind `--`."""
    end = words.index("--")
    command = words[end + 1 :]
    program = find(command[0]) if command else ""  # before the folders of PATH are out of sight
    problems = enter(words[:end])
    if "report=1" in words[:end]:
        posix.write(1, "\n".join(problems).encode())
        return
    for ignored in (SIGPIPE, SIGXFSZ):  # Python ignores them, and exec would pass that on
        call("signal", ignored, None)
    posix.execv(program, command)


def enter(words: list[str]) -> list[str]:
    """Apply what `words` say to this process, for good; returns what the system does not let us apply."""
    options = [word.partition("=")[::2] for word in words]
    one = dict(options)
    if one.get("parent"):
        die_with(int(one["parent"]))
    close_all_but_the_standard_ones()
    lower_priority(int(one.get("nice") or 0), idle_io=one.get("idle_io") == "1")
    unlimited = set_limits(one)
    read = [path for name, path in options if name == "read"]
    write = [path for name, path in options if name == "write"]
    return unlimited + confine(read, write)


def call(name: str, *arguments: "int | bytes | _Pair | None") -> int:
    """What this function of libc returns. Raises: OSError when that is negative."""
    function = _Function(_ctypes.dlsym(_libc, name))
    result: int = function(*arguments, *[0] * (7 - len(arguments)))
    if result < 0:
        raise OSError(_ctypes.get_errno(), posix.strerror(_ctypes.get_errno()))
    return result


def find(name: str) -> str:
    """The program's path; os.execvp would import a module, which the jail no longer lets us read."""
    folders = [""] if "/" in name else posix.environ.get(b"PATH", b"/usr/bin").decode().split(":")
    for folder in folders:
        path = f"{folder}/{name}" if folder else name
        if posix.access(path, 1):
            return path
    posix.write(2, f"{name}: not found\n".encode())
    posix._exit(127)


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when the hub dies, however it dies; the filter forbids to take that back."""
    call("prctl", PR_SET_PDEATHSIG, SIGKILL)
    if posix.getppid() != parent:  # it died before we asked
        posix._exit(137)


def close_all_but_the_standard_ones() -> None:
    try:
        call("syscall", CLOSE_RANGE, 3, (1 << 32) - 1, 0)
    except OSError:
        posix.closerange(3, 4096)


def lower_priority(nice: int, *, idle_io: bool) -> None:
    try:  # a service unit may forbid it; it is a courtesy only
        posix.nice(nice)
        if idle_io and MACHINE in IOPRIO_SET:
            call("syscall", IOPRIO_SET[MACHINE], 1, 0, 3 << 13)  # this process, idle class
    except OSError:
        return


def set_limits(one: dict[str, str]) -> list[str]:
    """The resource limits; returns why, when a service unit's own filter forbids to set them."""
    try:
        _limit(RLIMIT_CORE, 0)
        _limit(RLIMIT_NOFILE, 512)
        for name, which in (("memory", RLIMIT_AS), ("file", RLIMIT_FSIZE), ("tasks", RLIMIT_NPROC)):
            if one.get(name):
                _limit(which, int(one[name]))
        if one.get("cpu"):
            # The soft limit says SIGXCPU, so that it is told apart from the kernel's out-of-memory SIGKILL.
            _limit(RLIMIT_CPU, int(one["cpu"]), above=10)
    except OSError as error:
        return [f"resource limits: {error.strerror}"]
    return []


def _limit(which: int, value: int, *, above: int = 0) -> None:
    before = _Pair()
    call("prlimit", 0, which, None, before)
    hard = before[1]
    top = value + above if hard == NO_LIMIT else min(value + above, hard)
    call("prlimit", 0, which, _Pair(min(value, top), top), None)


def confine(read: list[str], write: list[str]) -> list[str]:
    """No rights, Landlock and seccomp, now and for what this becomes; returns what the system does not let us do."""
    problems = []
    try:
        call("prctl", PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        return [f"no_new_privs could not be set: {error.strerror}"]
    for name, apply in (
        ("capabilities", _drop_capabilities),
        ("Landlock", lambda: _landlock(read, write)),
        ("seccomp", _seccomp),
    ):
        try:
            apply()
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
    return problems


def _drop_capabilities() -> None:
    """None for the tool; a hub that root runs may let it read its input, whoever owns that."""
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)  # the unit's CAP_LEASE; exec then drops it
    if posix.geteuid() != 0:
        return  # and a unit may well forbid capset
    header = 0x20080522.to_bytes(4, "little") + bytes(4)  # version 3, this process
    for kept in (CAP_DAC_READ_SEARCH, 0):
        words = (kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable; then their upper halves
        try:
            call("capset", header, b"".join(word.to_bytes(4, "little") for word in words))
        except OSError:
            if kept == 0:
                raise
        else:
            return


def _landlock(read: list[str], write: list[str]) -> None:
    abi = call("syscall", LANDLOCK, None, 0, 1)
    handled = (1 << 13) - 1 | (abi >= 2) << 13 | (abi >= 3) << 14 | (abi >= 5) << 15
    net = 3 if abi >= 4 else 0  # bind and connect of TCP
    scoped = 3 if abi >= 6 else 0  # abstract UNIX sockets and signals to processes outside
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = call("syscall", LANDLOCK, b"".join(n.to_bytes(8, "little") for n in (handled, net, scoped)), size, 0)
    look, run = 1 << 2 | 1 << 3, 1 << 0
    special = 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12  # devices, folders, sockets, FIFOs, symbolic links
    for paths, access in (
        (SYSTEM_PATHS, look | run),
        (read, look),
        (DEVICES, 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15),
        (write, handled & ~run & ~special),
    ):
        for path in paths:
            _allow(ruleset, path, access & handled)
    call("syscall", LANDLOCK + 2, ruleset, 0)
    posix.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        fd = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if posix.fstat(fd).st_mode >> 12 != 4:  # no folder
            access &= 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
        call("syscall", LANDLOCK + 1, ruleset, 1, access.to_bytes(8, "little") + fd.to_bytes(4, "little"), 0)
    finally:
        posix.close(fd)


def _seccomp() -> None:
    if MACHINE not in AUDIT_ARCH:
        raise OSError(ENOSYS, f"no system call filter for {MACHINE}")
    code = _filter(posix.getpid())
    address = bytes(memoryview(_Text(code)))
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (len(code) // 8).to_bytes(8, "little") + address)


def _filter(pid: int) -> bytes:
    """BPF: no sockets, no other processes (threads only), no signals to others, no way round it (io_uring)."""
    load, mask, equal, any_bit, at_least, give = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
    allow, deny, missing, kill = 0x7FFF0000, 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x80000000
    numbers = NUMBERS[MACHINE]
    first, second, third = 16, 24, 32  # arguments; the call is at 0, the architecture at 4

    def op(code: int, value: int, then: int = 0, otherwise: int = 0) -> int:
        return code | then << 16 | otherwise << 24 | value << 32

    lines = [op(load, 4), op(equal, AUDIT_ARCH[MACHINE], 1), op(give, kill), op(load, 0)]
    if MACHINE == "x86_64":
        lines += [op(at_least, 0x40000000, 0, 1), op(give, kill)]  # the x32 table
    for number in FORBIDDEN[MACHINE]:
        lines += [op(equal, number, 0, 1), op(give, deny)]
    for number in (CLONE3, OPENAT2):  # their flags cannot be seen: libc falls back to the older call
        lines += [op(equal, number, 0, 1), op(give, missing)]
    # Threads; signals to itself, as abort() sends; its own limits.
    for name, test, value in (("clone", any_bit, 0x10000), ("tgkill", equal, pid), ("prlimit64", equal, 0)):
        lines += [op(equal, numbers[name], 0, 4), op(load, first), op(test, value, 0, 1)]
        lines += [op(give, allow), op(give, deny)]
    # Living longer than the hub; F_SETOWN, F_SETSIG, F_SETOWN_EX (a signal to anybody), F_SETLEASE, F_NOTIFY.
    for name, argument, values in (("prctl", first, (PR_SET_PDEATHSIG,)), ("fcntl", second, (8, 10, 15, 1024, 1026))):
        lines += [op(equal, numbers[name], 0, 2 * len(values) + 2), op(load, argument)]
        lines += [line for value in values for line in (op(equal, value, 0, 1), op(give, deny))]
        lines += [op(give, allow)]
    # O_TRUNC with O_RDONLY, which empties a file that may only be read.
    for number, argument in ((numbers["openat"], third), *(((2, second),) if MACHINE == "x86_64" else ())):
        lines += [op(equal, number, 0, 5), op(load, argument), op(mask, 0o1003), op(equal, 0o1000, 0, 1)]
        lines += [op(give, deny), op(give, allow)]
    return b"".join(line.to_bytes(8, "little") for line in [*lines, op(give, allow)])


if __name__ == "__main__":
    main(sys.argv[1:])
