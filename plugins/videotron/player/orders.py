"""The local socket: what somebody at this machine may ask of the running player. One line in, one line out, JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hub.api.errors import HubError

ANSWER_WITHIN_S = 10.0
LINE_BYTES = 4096

Handler = Callable[[], Awaitable[dict[str, Any]]]


class NoPlayer(HubError):
    """No player runs on this state folder, or it said no."""


def socket_path(state_dir: Path) -> Path:
    return state_dir / "player.sock"


async def serve(path: Path, handlers: Mapping[str, Handler]) -> None:
    """Answer orders until cancelled; only the user that runs the player, and root, can reach the socket."""
    listening = _bound(path)
    server = await asyncio.start_unix_server(lambda r, w: _answer(r, w, handlers), sock=listening, limit=LINE_BYTES)
    async with server:
        await server.serve_forever()


def ask(state_dir: Path, order: str) -> dict[str, Any]:
    """What the running player answers. Blocks. Raises: NoPlayer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, _short(socket_path(state_dir)) as address:
            sock.settimeout(ANSWER_WITHIN_S)
            sock.connect(address)
            sock.sendall(json.dumps({"order": order}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(sock.makefile("rb").readline())
    except (OSError, ValueError) as error:
        raise NoPlayer(f"no player answers at {socket_path(state_dir)}: {error}") from error
    if "error" in answer:
        raise NoPlayer(str(answer["error"]))
    return answer


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a player that was killed
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            before = os.umask(0o177)
            try:
                sock.bind(address)
            finally:
                os.umask(before)
    except OSError:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The same socket by a name of few bytes: the kernel takes 107 at most, and state folders may lie deep."""
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]) -> None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            said = json.loads(await reader.readline())
            handler = handlers.get(said.get("order", "")) if isinstance(said, dict) else None
            answer = await handler() if handler else {"error": "no such order"}
    except (HubError, OSError, ValueError) as error:
        answer = {"error": str(error) or "not understood"}
    with contextlib.suppress(OSError):
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()
