"""What no file may make the hub touch: a server that counts its visitors, and files that tell who opened them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hub.media.samples import make_audio, make_poster, make_video

MARK = "SIAR-CANARY-5e0f3c"
_IN_ACCESS, _IN_OPEN = 0x1, 0x20
_NONBLOCK = 0o4000


@dataclass(slots=True)
class Canary:
    """`host` is a loopback address with the port; `files` are media and texts that bear the mark."""

    host: str
    udp: str
    files: dict[str, Path]
    visits: list[str] = field(default_factory=list)
    watch: int = -1

    def touched(self) -> list[str]:
        """Everything that touched it since the last time one asked."""
        found, self.visits = self.visits + self._opened(), []
        return found

    def _opened(self) -> list[str]:
        found = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.watch, 65536):
                while data:
                    length = struct.unpack_from("iIII", data)[3]
                    found.add("opened " + data[16 : 16 + length].rstrip(b"\0").decode(errors="replace"))
                    data = data[16 + length :]
        return sorted(found - {"opened "})  # the folder itself


@contextlib.contextmanager
def canary(folder: Path) -> Iterator[Canary]:
    """A canary with its files in `folder`."""
    files = _files(folder)
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        watch = _watch(folder)
        stack.callback(os.close, watch)
        found = Canary(host=_address(tcp), udp=_address(udp), files=files, watch=watch)
        threads = [threading.Thread(target=serve, args=(one, found)) for one, serve in ((tcp, _tcp), (udp, _udp))]
        for thread in threads:
            thread.start()
        try:
            yield found
        finally:
            _stop(tcp, udp)
            for thread in threads:
                thread.join()


def _files(folder: Path) -> dict[str, Path]:
    text = folder / "secret.txt"
    text.write_text(f"{MARK}\n" * 100)
    return {
        "mp4": make_video(folder / "secret.mp4", 1.0, (64, 36), picture="color=fuchsia"),
        "ts": make_video(folder / "secret.ts", 1.0, (64, 36), picture="color=fuchsia"),
        "png": make_poster(folder / "secret.png", (64, 36), picture="color=fuchsia"),
        "mp3": make_audio(folder / "secret.mp3", 1.0),
        "txt": text,
    }


def _watch(folder: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.inotify_init1(_NONBLOCK)
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(folder), _IN_ACCESS | _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "the canary's files cannot be watched")
    return fd


def _address(one: socket.socket) -> str:
    host, port = one.getsockname()
    return f"{host}:{port}"


def _tcp(server: socket.socket, found: Canary) -> None:
    while True:
        try:
            visitor, _ = server.accept()
        except OSError:
            return
        with visitor, contextlib.suppress(OSError):
            visitor.settimeout(1.0)
            said = visitor.recv(200)
            if said == b"the end":
                return
            found.visits.append(f"TCP {said[:60]!r}")
            visitor.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def _udp(server: socket.socket, found: Canary) -> None:
    while (said := server.recv(65536)) != b"the end":
        found.visits.append(f"UDP {said[:60]!r}")


def _stop(tcp: socket.socket, udp: socket.socket) -> None:
    with socket.create_connection(tcp.getsockname()) as last:
        last.sendall(b"the end")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"the end", udp.getsockname())
