"""One mpv child that nobody but this process can speak to, and that ends when this process does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any

from plugins.videotron.player.command import command_line
from plugins.videotron.player.settings import MpvSettings, ScreenSettings

LONGEST_ANSWER_S = 5.0
END_WITHIN_S = 1.0
KILLED_WITHIN_S = 5.0
LINE_BYTES = 1 << 20
COMPLAINT_CHARS = 200


class MpvGone(Exception):
    """mpv ended, does not answer, or closed the connection."""


class MpvRefused(Exception):
    """mpv answered a command with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MpvEvent:
    name: str  # a property that changed is "property:" and its name
    entry: int = 0  # playlist_entry_id, of start-file and end-file
    reason: str = ""  # of end-file: eof, stop, quit, error
    error: str = ""  # of end-file with reason error
    data: Any = None  # of a property: its value


class Mpv:
    """A running mpv. Make one with `start`; end it with `stop`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer_within_s: float,
    ) -> None:
        self._process = process
        self._answer_within_s = answer_within_s
        self._reader = reader
        self._writer = writer
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._complaint = ""

    @classmethod
    async def start(cls, mpv: MpvSettings, screen: ScreenSettings, *, window_at_once: bool = True) -> Mpv:
        """An mpv that shows black until it is told what to play; without `window_at_once` it shows nothing till then.

        Raises: MpvGone when it cannot be started.
        """
        ours, its = socket.socketpair()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
        process = None
        try:
            argv = await asyncio.to_thread(command_line, mpv, screen, its.fileno(), window_at_once=window_at_once)
            devnull = asyncio.subprocess.DEVNULL
            process = await asyncio.create_subprocess_exec(
                *argv, pass_fds=(its.fileno(),), stdin=devnull, stdout=devnull, stderr=devnull
            )
        except OSError as error:
            raise MpvGone(f"{mpv.program} could not be started: {error}") from error
        finally:
            its.close()
            if process is None:
                writer.close()
        return cls(process, reader, writer, min(mpv.stalled_after_s, LONGEST_ANSWER_S))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def command(self, *words: Any) -> Any:
        """What mpv answers to this command.

        Raises: MpvRefused when it says no; MpvGone when it does not answer in time.
        """
        answer = (await self.commands(words))[0]
        if isinstance(answer, MpvRefused):
            raise answer
        return answer

    async def commands(self, *commands: tuple[Any, ...]) -> list[Any]:
        """What mpv answers to these, which reach it at once, so that next to nothing happens in between.

        The answer to one that it refuses is a MpvRefused. Raises: MpvGone when it does not answer in time.
        """
        numbers = range(self._last_id + 1, self._last_id + 1 + len(commands))
        self._last_id += len(commands)
        loop = asyncio.get_running_loop()
        self._answers |= {number: loop.create_future() for number in numbers}
        waiting = [self._answers[number] for number in numbers]
        lines = (json.dumps({"command": c, "request_id": n}) + "\n" for n, c in zip(numbers, commands, strict=True))
        try:
            self._writer.write("".join(lines).encode())
            await self._writer.drain()
            async with asyncio.timeout(self._answer_within_s):
                await asyncio.wait(waiting)
            return [answer.result() for answer in waiting]  # raises MpvGone when it ended meanwhile
        except (TimeoutError, OSError) as error:
            raise MpvGone(f"mpv did not answer within {self._answer_within_s:g} s{self.complaint}") from error
        finally:
            for number in numbers:
                self._forget(number)

    @property
    def complaint(self) -> str:
        """The last error that mpv logged, to be put behind a sentence; "" when there was none."""
        return f" ({self._complaint})" if self._complaint else ""

    async def listen(self, events: asyncio.Queue[MpvEvent]) -> None:
        """Hand out answers and put events in the queue, until mpv is gone.

        Raises: MpvGone, always.
        """
        try:
            while line := await self._reader.readline():
                self._take(line, events)
        except (OSError, ValueError) as error:
            raise MpvGone(f"mpv's connection broke: {error}") from error
        finally:
            for answer in self._answers.values():
                answer.cancel() if answer.done() else answer.set_exception(MpvGone("mpv ended"))
        raise MpvGone(f"mpv ended{self.complaint}")

    async def stop(self) -> None:
        """End mpv, gently first: it quits when its connection closes."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            await self._kill()

    async def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(TimeoutError):  # stuck in the kernel, in a driver that hangs: nothing more can be done
            async with asyncio.timeout(KILLED_WITHIN_S):
                await self._process.wait()

    def _take(self, line: bytes, events: asyncio.Queue[MpvEvent]) -> None:
        said = json.loads(line)
        name = said.get("event")
        if name == "log-message":
            self._complaint = " ".join(f"{said.get('prefix')}: {said.get('text')}".split())[:COMPLAINT_CHARS]
        elif name:
            events.put_nowait(_event(name, said))
        elif (answer := self._answers.get(said.get("request_id"))) is not None and not answer.done():
            if said.get("error") == "success":
                answer.set_result(said.get("data"))
            else:
                answer.set_result(MpvRefused(said.get("error", "")))

    def _forget(self, number: int) -> None:
        answer = self._answers.pop(number, None)
        if answer is None or not answer.done():
            return
        if not answer.cancelled():
            answer.exception()  # looked at, so that asyncio does not complain of the second of two


def _event(name: str, said: dict[str, Any]) -> MpvEvent:
    if name == "property-change":
        return MpvEvent(name=f"property:{said.get('name', '')}", data=said.get("data"))
    return MpvEvent(
        name=name,
        entry=said.get("playlist_entry_id", 0),
        reason=said.get("reason", ""),
        error=said.get("file_error", ""),
    )
