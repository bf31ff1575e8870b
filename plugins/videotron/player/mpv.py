"""One mpv child that nobody but this process can speak to, and that ends when this process does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.videotron.player.settings import MpvSettings, ScreenSettings

# Each of these closes a door that a hostile file was seen to open in mpv 0.35.1: network requests through playlists and
# EDL in a file named .mp4, a script, subtitle or configuration lying beside it.
HARDENED = (
    "--no-config",
    "--load-scripts=no",
    "--ytdl=no",
    "--access-references=no",
    "--load-unsafe-playlists=no",
    "--ordered-chapters=no",
    "--sub-auto=no",
    "--audio-file-auto=no",
    "--cover-art-auto=no",
    "--load-osd-console=no",
    "--load-stats-overlay=no",
    "--osc=no",
    "--osd-level=0",
    "--resume-playback=no",
    "--input-default-bindings=no",
    "--input-vo-keyboard=no",
    "--input-terminal=no",
    "--no-terminal",
    "--demuxer=lavf",
    "--demuxer-lavf-format=mov",
)
# One window for ever, the next film opened before this one ends, and no read-ahead cache (local files; it leaks).
STEADY = (
    "--idle=yes",
    "--force-window=immediate",  # so that a missing screen shows before the first film, and is not blamed on it
    "--keep-open=no",
    "--loop-playlist=no",
    "--loop-file=no",
    "--prefetch-playlist=yes",
    "--cache=no",
    "--stop-screensaver=no",
    "--cursor-autohide=always",
    "--background=#000000",
)
LONGEST_ANSWER_S = 5.0
END_WITHIN_S = 1.0
LINE_BYTES = 1 << 20


class MpvGone(Exception):
    """mpv ended, does not answer, or closed the connection."""


class MpvRefused(Exception):
    """mpv answered a command with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MpvEvent:
    name: str
    entry: int = 0  # playlist_entry_id, of start-file and end-file
    reason: str = ""  # of end-file: eof, stop, quit, error
    error: str = ""  # of end-file with reason error


def command_line(mpv: MpvSettings, screen: ScreenSettings, fd: int) -> list[str]:
    """The whole command that shows films on this screen and takes its orders from this file descriptor."""
    size = f"{screen.width}x{screen.height}+{screen.x}+{screen.y}"
    options = [f"--input-ipc-client=fd://{fd}", f"--vo={mpv.vo}", f"--hwdec={mpv.hwdec}", f"--geometry={size}"]
    options += ["--border=no", "--ontop=yes", "--video-unscaled=yes", "--video-align-x=-1", "--video-align-y=-1"]
    options += [f"--fullscreen={'yes' if screen.fullscreen else 'no'}", *([] if mpv.sound else ["--no-audio"])]
    options += [f"--gpu-context={mpv.gpu_context}"] if mpv.gpu_context else []
    options += [f"--drm-connector={mpv.drm_connector}"] if mpv.drm_connector else []
    options += [f"--drm-mode={mpv.drm_mode}"] if mpv.drm_mode else []
    return [*_dies_with_us(), mpv.program, *HARDENED, *STEADY, *options]


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

    @classmethod
    async def start(cls, mpv: MpvSettings, screen: ScreenSettings) -> Mpv:
        """An mpv that shows black until it is told what to play.

        Raises: MpvGone when it cannot be started.
        """
        ours, its = socket.socketpair()
        try:
            argv = command_line(mpv, screen, its.fileno())
            process = await asyncio.create_subprocess_exec(
                *argv,
                pass_fds=(its.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
        except OSError as error:
            ours.close()
            raise MpvGone(f"{mpv.program} could not be started: {error}") from error
        finally:
            its.close()
        return cls(process, reader, writer, min(mpv.stalled_after_s, LONGEST_ANSWER_S))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def command(self, *words: Any) -> Any:
        """What mpv answers to this command.

        Raises: MpvRefused when it says no; MpvGone when it does not answer in time.
        """
        self._last_id += 1
        request = self._last_id
        answer = self._answers[request] = asyncio.get_running_loop().create_future()
        line = json.dumps({"command": list(words), "request_id": request}) + "\n"
        try:
            self._writer.write(line.encode())
            await self._writer.drain()
            async with asyncio.timeout(self._answer_within_s):
                return await answer
        except (TimeoutError, OSError) as error:
            raise MpvGone(f"mpv did not answer {words[0]}") from error
        finally:
            self._answers.pop(request, None)

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
        raise MpvGone("mpv ended")

    async def stop(self) -> None:
        """End mpv, gently first: it quits when its connection closes."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _take(self, line: bytes, events: asyncio.Queue[MpvEvent]) -> None:
        said = json.loads(line)
        if name := said.get("event"):
            return events.put_nowait(_event(name, said))
        answer = self._answers.get(said.get("request_id"))
        if answer is None or answer.done():
            return None
        if said.get("error") == "success":
            return answer.set_result(said.get("data"))
        return answer.set_exception(MpvRefused(said.get("error", "")))


async def make_film(mpv: MpvSettings, source: str, target: Path, *, within_s: float = 60) -> None:
    """Let mpv itself encode a lavfi source to an MP4 without sound, so that the player needs no ffmpeg program.

    Raises: MpvGone when it fails; what is at `target` then is worth nothing.
    """
    argv = [*_dies_with_us(), mpv.program, *HARDENED[:-1], "--demuxer-lavf-format=lavfi", "--no-audio"]
    argv += ["--of=mp4", "--ovc=libx264", "--ovcopts=preset=ultrafast", "--vf=format=yuv420p"]
    process = await asyncio.create_subprocess_exec(
        *argv,
        f"--o={target}",
        f"av://lavfi:{source}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(within_s):
            code = await process.wait()
    except TimeoutError as error:
        raise MpvGone(f"mpv did not make {target.name} within {within_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise MpvGone(f"mpv could not make {target.name} (exit code {code})")


def _dies_with_us() -> list[str]:
    """A hung mpv does not see its connection close: the kernel ends it when this process is gone."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _event(name: str, said: dict[str, Any]) -> MpvEvent:
    return MpvEvent(
        name=name,
        entry=said.get("playlist_entry_id", 0),
        reason=said.get("reason", ""),
        error=said.get("file_error", ""),
    )
