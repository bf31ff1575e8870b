"""An executor that speaks the protocol of config/radio.liq, for quick tests. It passes the real one's tests.

Its traps are those that the real one was seen to have; each can be switched on.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import wave
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Traps:
    cut_after_push: bool = False  # the push is carried out, the answer never comes
    resolve_s: float = 0.0  # with cut_after_push: the item comes into the queue only then
    lose_pushes: int = 0  # so many pushes are answered with OK and forgotten
    output_down: bool = False
    cut_to_s: float | None = None  # what plays ends after so many seconds
    garbage_reply: bool = False
    mute_as_run: bool = False  # a full disk: nothing is written


@dataclass
class FakeLiquidsoap:
    """Same attributes as `LocalPlayout`: start, kill, stop; socket, media_folder, as_run."""

    folder: Path
    traps: Traps = field(default_factory=Traps)

    def __post_init__(self) -> None:
        self.socket = self.folder / "liq.sock"
        self.media_folder = self.folder / "media"
        self.as_run = self.folder / "as-run.jsonl"
        self.commands: list[str] = []
        self._boots = 0
        self._server: asyncio.Server | None = None
        self._player: asyncio.Task[None] | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self.media_folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self._boots += 1
        self.boot = f"fake-{os.getpid()}-{self._boots}-{time.monotonic_ns()}"
        self._n, self._began = 0, time.monotonic()
        self._current, self._queue = "", list[tuple[str, str]]()
        self._more, self._cut = asyncio.Event(), asyncio.Event()
        self._record("boot")
        self._server = await asyncio.start_unix_server(self._serve, self.socket)
        self._player = asyncio.get_running_loop().create_task(self._play())

    async def kill(self) -> None:
        """As SIGKILL: no end line, the queue gone, the socket file left behind."""
        if self._server is None or self._player is None:
            return
        self._player.cancel()
        with suppress(asyncio.CancelledError):
            await self._player
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for _ in range(10):  # let the connections notice
            await asyncio.sleep(0)
        self._server = None

    async def stop(self) -> None:
        await self.kill()
        self.socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                reply = self._answer(line.decode().strip())
                if reply is None:
                    break
                writer.write(f"{reply}\r\nEND\r\n".encode())
                await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, line: str) -> str | None:
        self.commands.append(line)
        verb, _, rest = line.partition(" ")
        if self.traps.garbage_reply:
            return "nonsense"
        match verb:
            case "hubx.status":
                return self._status()
            case "hubx.push":
                reply = self._push(rest.split(" "))
                return None if self.traps.cut_after_push else reply
            case "hubx.remove":
                kept = [entry for entry in self._queue if entry[0] != rest]
                found, self._queue = len(kept) != len(self._queue), kept
                return "OK" if found else "NOTFOUND"
            case "hubx.skip":
                if not rest or self._current != rest:
                    return "NOTFOUND"
                self._cut.set()
                return "OK"
        return 'ERROR: unknown command, type "help" to get a list of commands.'

    def _push(self, words: list[str]) -> str:
        if len(words) != 2 or not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", words[0]):
            return "ERR id"
        if not re.fullmatch(r"[0-9a-f]{64}\.wav", words[1]):
            return "ERR name"
        if words[0] == self._current or words[0] in [entry[0] for entry in self._queue]:
            return f"DUP {words[0]}"
        if self._duration(words[1]) is None:
            return "ERR unplayable"
        if self.traps.lose_pushes:
            self.traps.lose_pushes -= 1
            return "OK 1"
        if self.traps.resolve_s:
            asyncio.get_running_loop().call_later(self.traps.resolve_s, self._enqueue, words[0], words[1])
        else:
            self._enqueue(words[0], words[1])
        return "OK 1"

    def _enqueue(self, token: str, name: str) -> None:
        self._queue.append((token, name))
        self._more.set()

    def _duration(self, name: str) -> float | None:
        try:
            with wave.open(str(self.media_folder / name)) as file:
                return file.getnframes() / file.getframerate()
        except (OSError, EOFError, wave.Error):
            return None

    async def _play(self) -> None:
        while True:
            while not self._queue:
                self._more.clear()
                await self._more.wait()
            token, name = self._queue.pop(0)
            duration = self._duration(name)
            if duration is None:
                continue  # gone while it waited: dropped, with nothing said
            self._current = token
            self._cut.clear()
            self._record("start", id=token, s=self._stream())
            with suppress(TimeoutError):
                async with asyncio.timeout(duration if self.traps.cut_to_s is None else self.traps.cut_to_s):
                    await self._cut.wait()
            self._record("end", id=token, s=self._stream())
            self._current = ""

    def _stream(self) -> str:
        return f"{time.monotonic() - self._began:.2f}"

    def _status(self) -> str:
        waiting = [entry[0] for entry in self._queue]
        said = {"boot": self.boot, "now": f"{time.time()}", "cur": self._current, "queue": waiting, "len": len(waiting)}
        return json.dumps(said | {"out": not self.traps.output_down, "downs": 0, "n": self._n})

    def _record(self, event: str, **more: str) -> None:
        self._n += 1
        if self.traps.mute_as_run:
            return
        out = "down" if self.traps.output_down else "up"
        line = {"ev": event, "n": str(self._n), "t": f"{time.time():.2f}", "boot": self.boot, "out": out, "downs": "0"}
        with self.as_run.open("a") as file:
            file.write(json.dumps(line | more) + "\n")
