"""Try to get out of the jail, from inside: what a taken-over tool would do first.

Run as a file by `hub.media.selftest`, as `drawing.py` is. Arguments: those of `jail.py`, `--`, and

    library=PATH   where Python finds the hub
    parent=PID     whom to signal
    secret=PATH    a file of the hub's; what is read or written there or beside it is a way out
    out=PATH       the folder that may be written: a jail that lets nothing work would pass any trial

Prints the names of the attempts that succeeded, which `hub.media.selftest` knows, one a line.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable


def main(words: list[str]) -> None:
    end = words.index("--")
    given = dict(word.partition("=")[::2] for word in words[end + 1 :])
    sys.path.append(given["library"])
    from hub.media import jail

    jail.enter(words[:end])
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: _read("/etc/passwd"),
        "read the hub's": lambda: _read(given["secret"]),
        "write": lambda: _write(given["secret"] + ".written"),
        "change the hub's": lambda: os.chmod(given["secret"], 0o600),  # noqa: PTH101
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
        "signal": lambda: os.kill(int(given["parent"]), 0),
        "fork": _fork,
        "work": lambda: _write(given["out"] + "/made"),
    }
    sys.stdout.write("\n".join(name for name, attempt in attempts.items() if _succeeds(attempt)))


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _read(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would have to be imported
        file.read(1)


def _write(path: str) -> None:
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"x")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
