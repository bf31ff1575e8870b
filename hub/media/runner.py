"""Run one tool as a disposable child: deadline, stall watch, progress, bounded output, and no child left behind."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from hub.media.sandbox import Confinement, clean_environment, confined, fills_the_disk

TERMINATE_WITHIN_S = 5.0
OUTPUT_BYTES = 4 << 20
TAIL_BYTES = 16 << 10
TALK_BYTES = 64 << 20  # a line for every picture of a long film is less
MOST_TALK_BYTES = TALK_BYTES + (1 << 20)  # what cannot be written any more is lost, and the run ended
LINE_BYTES = 256  # a line of ffmpeg's progress is far shorter
DIGITS = 20  # of a time in microseconds; a taken-over tool may write as many as it likes
WRITING_BYTES = 1 << 20  # more than ffmpeg's own progress lines could ever be
_WATCH_EVERY_S = 1.0


class Stopped(StrEnum):
    """Why we ended the tool ourselves."""

    DEADLINE = "deadline"  # it took longer than allowed
    STALLED = "stalled"  # it made no progress
    FLOODED = "flooded"  # it wrote more than any honest run, to its standard output or into its folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended. `output` is the standard output, `tail` the end of the standard error."""

    exit_code: int  # negative: the signal that ended it
    output: bytes
    tail: str
    seconds: float
    stopped: Stopped | None = None
    reached_s: float = 0.0  # how far into the media ffmpeg's progress came

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.stopped is None

    @property
    def complaints(self) -> str:
        """The tail without what it says at the level of information: there stand the tags of a file, whose text is
        anybody's. ffmpeg begins such a line with its level, and the further lines of a tag with spaces.
        """
        return "\n".join(line for line in self.tail.splitlines() if not line.startswith(("[info]", " ")))

    @property
    def disk_full(self) -> bool:
        return "No space left on device" in self.complaints or "Disk quota exceeded" in self.complaints

    @property
    def out_of_memory(self) -> bool:
        killed = self.exit_code == -signal.SIGKILL and self.stopped is None
        return killed or "Cannot allocate memory" in self.complaints

    @property
    def transient(self) -> bool:
        """Whether the same run may succeed later: the machine failed, not the file."""
        return not self.ok and (self.disk_full or self.out_of_memory or self.stopped is Stopped.STALLED)

    @property
    def says(self) -> str:
        """The last line that the tool wrote about its failure, for a log."""
        lines = [line.strip() for line in (self.complaints or self.tail).splitlines() if line.strip()]
        errors = [line for line in lines if "[error]" in line or "[fatal]" in line]  # with `-v level+info`
        return (errors or lines)[-1][:300] if lines else f"exit code {self.exit_code}"


@dataclass(slots=True)
class _Watch:
    """What the reader of the progress and the guard share."""

    started: float
    moved: float
    talk: int  # where its standard error goes
    reached_s: float = 0.0
    noted_s: float = 0.0  # reached_s, as of `moved`
    written: int = 0  # bytes, as of `moved`
    output: bytearray = field(default_factory=bytearray)
    stopped: Stopped | None = None


async def run(
    command: Sequence[str],
    limits: Confinement,
    *,
    folder: Path,
    within_s: float,
    stall_after_s: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    on_line: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run `command` confined, in `folder`, for `within_s` seconds at most; it leaves no child behind.

    With `stall_after_s` the command must be an ffmpeg with `-progress pipe:1`; `on_progress` then gets the seconds of
    media done so far. `on_line` gets every line of the standard error at the end, in a thread.
    """
    talk = _room_for_talk()
    try:
        finished = await _run(command, limits, talk, folder, within_s, stall_after_s, on_progress)
        if on_line is not None:
            await asyncio.to_thread(_tell_lines, os.dup(talk), on_line)
        return finished
    finally:
        os.close(talk)


async def _run(
    command: Sequence[str],
    limits: Confinement,
    talk: int,
    folder: Path,
    within_s: float,
    stall_after_s: float | None,
    on_progress: Callable[[float], None] | None,
) -> Finished:
    now = time.monotonic()
    watch = _Watch(started=now, moved=now, talk=talk)
    process = await asyncio.create_subprocess_exec(
        *confined(command, limits),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=talk,  # memory, not a pipe: nobody has to wake up for each of its lines, and no full disk loses them
        start_new_session=True,
        cwd=folder,
        env=clean_environment(folder),
    )
    try:
        async with asyncio.TaskGroup() as group:
            guard = group.create_task(_guard(process, watch, limits, within_s, stall_after_s), name="media: guard")
            await _read_output(process, watch, stall_after_s, on_progress)
            await process.wait()
            guard.cancel()
    finally:
        # Reached with a living child only when we are cancelled or a reader failed: no mercy, no orphan.
        if process.returncode is None:
            _signal_group(process, signal.SIGKILL)
            await process.wait()
    return Finished(
        exit_code=process.returncode if process.returncode is not None else -1,
        output=bytes(watch.output),
        tail=_tail(talk),
        seconds=time.monotonic() - watch.started,
        stopped=watch.stopped,
        reached_s=watch.reached_s,
    )


async def _guard(
    process: asyncio.subprocess.Process,
    watch: _Watch,
    limits: Confinement,
    within_s: float,
    stall_after_s: float | None,
) -> None:
    while watch.stopped is None:
        await asyncio.sleep(min(_WATCH_EVERY_S, within_s))
        now = time.monotonic()
        if now - watch.started > within_s:
            watch.stopped = Stopped.DEADLINE
        elif stall_after_s is not None and _has_stalled(process.pid, watch, stall_after_s, now):
            watch.stopped = Stopped.STALLED
        elif (
            len(watch.output) > OUTPUT_BYTES
            or _said_bytes(watch.talk) > TALK_BYTES
            or (limits.write and await asyncio.to_thread(fills_the_disk, limits))
        ):
            watch.stopped = Stopped.FLOODED
    _signal_group(process, signal.SIGTERM)
    await asyncio.sleep(TERMINATE_WITHIN_S)  # cancelled as soon as the process has ended
    _signal_group(process, signal.SIGKILL)


def _has_stalled(pid: int, watch: _Watch, stall_after_s: float, now: float) -> bool:
    """No media time was reached for too long, and nothing is written: `+faststart` rewrites a long file in silence."""
    if watch.reached_s > watch.noted_s:
        watch.noted_s, watch.moved = watch.reached_s, now
    elif (written := _written_bytes(pid)) - watch.written >= WRITING_BYTES:
        watch.written, watch.moved = written, now
    return now - watch.moved > stall_after_s


def _written_bytes(pid: int) -> int:
    try:
        facts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return int(facts["wchar"])
    except (OSError, ValueError, KeyError):
        return 0  # it has just ended, or the kernel keeps no account: the media time alone decides


def _signal_group(process: asyncio.subprocess.Process, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, which)  # it leads its own session, so its group bears its number


def _room_for_talk() -> int:
    """Memory that cannot grow: between two looks of the guard, a flood could fill all there is."""
    talk = os.memfd_create("talk", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(talk, MOST_TALK_BYTES)
    fcntl.fcntl(talk, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return talk


def _said_bytes(talk: int) -> int:
    """How far it is written: the tool and we share the position."""
    return min(MOST_TALK_BYTES, os.lseek(talk, 0, os.SEEK_CUR))


def _tail(talk: int) -> str:
    size = _said_bytes(talk)
    os.ftruncate(talk, size)  # what nobody wrote is no part of it
    return os.pread(talk, TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")


def _tell_lines(talk: int, on_line: Callable[[bytes], None]) -> None:
    """`talk` is a descriptor of this thread's own: it may live longer than a run that is cancelled."""
    with os.fdopen(talk, "rb") as lines:
        lines.seek(0)
        for line in lines:
            on_line(line)


async def _read_output(
    process: asyncio.subprocess.Process,
    watch: _Watch,
    stall_after_s: float | None,
    on_progress: Callable[[float], None] | None,
) -> None:
    assert process.stdout is not None  # noqa: S101 - we asked for the pipe
    rest = b""
    while chunk := await process.stdout.read(8192):
        if stall_after_s is None:
            watch.output += chunk if len(watch.output) <= OUTPUT_BYTES else b""
            continue
        *lines, rest = (rest[-LINE_BYTES:] + chunk).split(b"\n")
        for line in lines:
            _progress(line, watch, on_progress)


def _progress(line: bytes, watch: _Watch, on_progress: Callable[[float], None] | None) -> None:
    name, _, value = line.partition(b"=")
    if name != b"out_time_us" or len(value) > DIGITS or not value.strip().isdigit():
        return  # "N/A" and negative times come before the first packet
    reached = int(value) / 1_000_000
    if reached <= watch.reached_s:
        return
    watch.reached_s = reached
    if on_progress is not None:
        on_progress(reached)
