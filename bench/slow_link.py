"""A link of limited speed between a player and the broker: a proxy with small buffers, slow towards the player."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

CHUNK = 16384
BUFFER = 65536
SLACK_S = 0.5  # an idle link saves no more than this for later


@contextlib.asynccontextmanager
async def slow_link(port: int, bytes_per_s: float) -> AsyncIterator[int]:
    """A port that leads to `port`, at this speed on the way back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            back, there = await asyncio.open_connection(sock=sock, limit=BUFFER)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, there, 0))
                group.create_task(_pass_on(back, writer, bytes_per_s))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bytes_per_s: float) -> None:
    began, passed = time.monotonic(), 0
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
            passed += len(data)
            ahead = began + passed / bytes_per_s - time.monotonic() if bytes_per_s else 0.0
            if ahead > 0:
                await asyncio.sleep(ahead)
            elif ahead < -SLACK_S:
                began, passed = time.monotonic(), 0
    writer.close()
