"""What a taken-over tool would try, from inside the jail: prints what came of each attempt as JSON.

Run by the tests with the system's Python: `python3 -I -S attacks.py PARENT CANARY INPUT OUT`.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH118, PTH120, PTH123, PTH208, PTH211, S103, T201
# Plain calls, because the jail should have to read as little as can be.

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import threading

PARENT, CANARY, INPUT, OUT = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
NAME = os.path.join(OUT, "planted")
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    checked(libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def read(path):
    with open(path, "rb") as file:
        return file.read(64)


def write(path):
    with open(path, "ab") as file:
        file.write(b"x")


def forked():
    if os.fork() == 0:
        os._exit(0)


def sigio():
    """A pipe that tells somebody else, by a signal of our choice, that there is something to read."""
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, PARENT)
    fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writing, b"x")


SEALED = {  # by Landlock: a kernel without it has only the user's own rights
    "read /etc/passwd": lambda: read("/etc/passwd"),
    "read the state": lambda: read(CANARY),
    "list the state": lambda: os.listdir(os.path.dirname(CANARY)),
    "write beside it": lambda: write(CANARY + ".more"),
    "write into the state": lambda: write(CANARY),
    "remove the input": lambda: os.unlink(INPUT),
    "move the input away": lambda: os.rename(INPUT, NAME),
    "write the input": lambda: write(INPUT),
    "write the input by another name": lambda: write(f"/proc/self/fd/{os.open(INPUT, os.O_RDONLY)}"),
    "make a folder elsewhere": lambda: os.mkdir(CANARY + ".folder"),
    "the hub's environment": lambda: read(f"/proc/{PARENT}/environ"),
    "the hub's memory": lambda: read(f"/proc/{PARENT}/mem"),
    "the hub's files": lambda: os.listdir(f"/proc/{PARENT}/fd"),
    "the terminal": lambda: read("/dev/tty"),
}
FILTERED = {  # by seccomp, Landlock or not
    "a TCP socket": lambda: socket.socket(socket.AF_INET),
    "a UDP socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "a UNIX socket": lambda: socket.socket(socket.AF_UNIX),
    "a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "a pair of sockets": socket.socketpair,
    "fork": forked,
    "spawn": lambda: os.posix_spawn("/usr/bin/true", ["true"], {}),
    "a new user namespace": lambda: checked(libc.unshare(0x10000000)),
    "signal the hub": lambda: os.kill(PARENT, 0),
    "signal the hub's thread": lambda: call(234, PARENT, PARENT, 0),
    "signal everybody": lambda: os.kill(-1, 0),
    "signal by a pipe": sigio,
    "a handle of the hub": lambda: os.pidfd_open(PARENT),
    "trace the hub": lambda: call(101, 16, PARENT, 0, 0),
    "read the hub's memory": lambda: call(310, PARENT, 0, 0, 0, 0, 0),
    "limit the hub": lambda: resource.prlimit(PARENT, resource.RLIMIT_NOFILE, (8, 8)),
    "slow the hub down": lambda: os.setpriority(os.PRIO_PROCESS, PARENT, 19),
    "bind the hub to a core": lambda: os.sched_setaffinity(PARENT, {0}),
    "outlive the hub": lambda: checked(libc.prctl(1, 0, 0, 0, 0)),
    "a session of its own": os.setsid,
    "io_uring": lambda: call(425, 1, 0),
    "mount": lambda: call(165, 0, 0, 0, 0, 0),
    "watch a folder": lambda: call(294, 0),
    "a message queue": lambda: call(240, 0, 0, 0, 0),
    "shared memory": lambda: call(29, 0, 4096, 0o1600),
    "a device": lambda: os.mknod(NAME, 0o600 | 0o020000, os.makedev(1, 8)),
    "a folder in a folder, and so on": lambda: os.mkdir(NAME),
    "a FIFO": lambda: os.mkfifo(NAME),
    "a symbolic link": lambda: os.symlink("/etc/passwd", NAME),
    "a hard link": lambda: os.link(INPUT, NAME),
    "open up the state": lambda: os.chmod(CANARY, 0o777),
    "give the state away": lambda: os.chown(CANARY, 65534, 65534),
    "date the state": lambda: os.utime(CANARY, (0, 0)),
    "mark the state": lambda: os.setxattr(CANARY, "user.mark", b"x"),
    "empty the state": lambda: os.truncate(CANARY, 0),
    "empty the input": lambda: os.open(INPUT, os.O_RDONLY | os.O_TRUNC),
    "type for the terminal": lambda: fcntl.ioctl(0, 0x5412, b"x"),
}
ALLOWED = {
    "read the input": lambda: read(INPUT),
    "write the output": lambda: write(os.path.join(OUT, "made")),
    "a thread": lambda: threading.Thread(target=bool).start(),
}


def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return error.strerror
    except RuntimeError as error:
        return str(error)
    return "done"


def open_descriptors():
    found = []
    for fd in range(1024):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_GETFD)
            found.append(fd)
    return found


before = open_descriptors()
print(
    json.dumps(
        {
            "fds": before,
            **{
                kind: {name: outcome(attempt) for name, attempt in table.items()}
                for kind, table in (("sealed", SEALED), ("filtered", FILTERED), ("allowed", ALLOWED))
            },
        }
    )
)
