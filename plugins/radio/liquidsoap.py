"""The client of the executor's own commands on Liquidsoap's UNIX socket.

A reply ends with a line that is exactly `END`. A push from a client that has gone is still executed, and pushes from
several connections pass a duplicate check: hence one connection, one command in flight, and on any doubt the connection
is closed, so that nobody repeats a command before having read the status anew.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAX_REPLY_BYTES = 1 << 20
_TOKEN = re.compile(r"[A-Za-z0-9.-]{1,64}")
_NAME = re.compile(r"[0-9a-f]{64}\.wav")


class ExecutorLost(Exception):
    """No answer, or half of one: whether the command was carried out is not known."""


class ExecutorRefused(Exception):
    """The executor answered, and the answer is no or makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the executor says of itself. `current` and `waiting` are the tokens given with `push`."""

    boot: str
    current: str
    waiting: tuple[str, ...]
    length: int
    output_up: bool
    lines: int  # as-run lines written since its start

    def holds(self, token: str) -> bool:
        return token == self.current or token in self.waiting

    @property
    def idle(self) -> bool:
        return not self.current and not self.waiting and self.length == 0


class Liquidsoap:
    """One persistent connection, made when it is needed."""

    def __init__(self, socket: Path, *, timeout_s: float = 12.0) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def status(self) -> Status:
        """Connects when necessary. Raises: ExecutorLost, ExecutorRefused."""
        return parse_status(await self.command("hubx.status", connect=True))

    async def push(self, token: str, name: str) -> None:
        """Queue the file `name` of the media folder; one that is queued already stays once.

        Never connects: the executor must be the one whose status was read. Raises: ExecutorLost, ExecutorRefused.
        """
        if not _TOKEN.fullmatch(token) or not _NAME.fullmatch(name):
            raise ValueError(f"not ours: {token!r} {name!r}")
        reply = await self.command(f"hubx.push {token} {name}")
        if not reply.startswith(("OK", "DUP")):
            raise ExecutorRefused(reply[:200])

    async def remove(self, token: str) -> bool:
        """Take out of the queue what is not on air yet; True if it was there."""
        return await self._about("remove", token)

    async def skip(self, token: str) -> bool:
        """Cut this one, if it is what is on air; True if it was."""
        return await self._about("skip", token)

    async def command(self, line: str, *, connect: bool = False) -> str:
        """The reply without its END. Raises: ValueError for a line that would be two commands, ExecutorLost."""
        if not line or any(character in line for character in "\r\n\0"):
            raise ValueError(f"not one command: {line!r}")
        async with self._lock:
            whole = False
            try:
                async with asyncio.timeout(self._timeout_s):
                    reply = await self._exchange(line, connect=connect)
                whole = True
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                raise ExecutorLost(
                    f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                ) from error
            finally:
                if not whole:
                    self._drop()
        return reply

    async def close(self) -> None:
        async with self._lock:
            streams, self._streams = self._streams, None
            if streams is not None:
                streams[1].close()
                with suppress(OSError):
                    await streams[1].wait_closed()

    async def _about(self, verb: str, token: str) -> bool:
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"not ours: {token!r}")
        reply = await self.command(f"hubx.{verb} {token}", connect=True)
        if reply not in ("OK", "NOTFOUND"):
            raise ExecutorRefused(reply[:200])
        return reply == "OK"

    async def _exchange(self, line: str, *, connect: bool) -> str:
        if self._streams is None:
            if not connect:
                raise EOFError("not connected")
            self._streams = await asyncio.open_unix_connection(self._socket, limit=_MAX_REPLY_BYTES)
        reader, writer = self._streams
        writer.write(line.encode("ascii") + b"\n")
        await writer.drain()
        lines: list[bytes] = []
        while (got := await reader.readline()).rstrip(b"\r\n") != b"END":
            if not got.endswith(b"\n"):
                raise EOFError("closed in the middle of a reply")
            lines.append(got.rstrip(b"\r\n"))
            if sum(map(len, lines)) > _MAX_REPLY_BYTES:
                raise EOFError("a reply without an end")
        return b"\n".join(lines).decode("utf-8", "replace")

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def parse_status(reply: str) -> Status:
    """Raises: ExecutorRefused when this is not the reply of our own script."""
    try:
        said: Any = json.loads(reply)
        return Status(
            boot=_text(said["boot"]),
            current=_text(said["cur"]),
            waiting=tuple(_text(token) for token in said["queue"]),
            length=int(said["len"]),
            output_up=said["out"] is True,
            lines=int(said["n"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ExecutorRefused(f"not the status of radio.liq: {reply[:120]!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise TypeError("text expected")
    return value
