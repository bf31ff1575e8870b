"""Let the hub look at one file after the other, as it does with what people drop, and say what came of each.

Run as `python -m tests.hostile.judge LIMITS`: paths come as lines of JSON, results go out as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from hub.api.errors import RetryLater
from hub.api.files import sha256_of
from hub.api.models import Asset, AudioProfile, Rendition, VideoProfile
from hub.media.planner import NO_PICTURE, NO_SOUND
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.media.transcoder import NotMade, Transcoder
from hub.messages import Refusal
from tests.hostile.canary import MARK
from tests.hostile.outcome import Outcome, Result

SCREEN = VideoProfile(width=192, height=108, fps=10, preset="ultrafast", still_s=1.0, with_sound=True)
RADIO = AudioProfile(container="mp3", bitrate_kbps=96)
OWN_MIB = 500  # the judge stands for the hub: no file may make it as large as this
HEADS = {".mp4": (4, b"ftyp"), ".mp3": (0, (b"ID3", b"\xff\xfb")), ".wav": (0, b"RIFF")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may take at most. `wall_s` is all of it: looking, making, verifying."""

    probe_s: float = 20.0
    transcode_s: float = 40.0
    wall_s: float = 150.0
    memory_mib: int = 3072
    output_mib: int = 512
    duration_s: float = 300.0

    @property
    def settings(self) -> MediaSettings:
        return MediaSettings(
            probe_within_s=self.probe_s, transcode_within_s=self.transcode_s, stall_after_s=self.probe_s,
            memory_mib=self.memory_mib, max_output_mib=self.output_mib, max_duration_s=self.duration_s,
            keep_free_mib=256, threads=1, nice=10,
        )  # fmt: skip


class Judge:
    """Judges files; works in `folder`, which is empty before and after each."""

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._limits = limits
        self._settings = limits.settings
        self._folder = folder
        self._transcoder = Transcoder(self._settings, folder / "renditions")

    async def judge(self, path: Path, *, looks: bool) -> Result:
        """What came of the file; `looks`: see whether the canary's picture is in what was made."""
        found = await self._once(path, looks=looks)
        if found.outcome is Outcome.BLAMED:  # a machine that is really at fault is not so twice
            found = await self._once(path, looks=looks)
        return found

    async def _once(self, path: Path, *, looks: bool) -> Result:
        started = time.monotonic()
        with _watched(self._folder) as seen:
            result = await self._safely(path, looks=looks)
        seconds = time.monotonic() - started
        result = replace(
            result, seconds=round(seconds, 2), memory_mib=seen.memory_kib >> 10, disk_mib=seen.disk_bytes >> 20
        )
        return self._left_over(self._within(result))

    async def _safely(self, path: Path, *, looks: bool) -> Result:
        try:
            return await self._handled(path, looks=looks)
        except Exception as error:  # noqa: BLE001 - whatever comes out here is the finding
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            reason = f"{type(error).__name__}: {error} ({where})"[:500]
            return Result(path=str(path), outcome=Outcome.CRASHED, reason=reason, template=type(error).__name__)

    async def _handled(self, path: Path, *, looks: bool) -> Result:
        name = str(path)
        try:
            media = await probe(path, settings=self._settings)
            digest = await asyncio.to_thread(sha256_of, path)
        except Refusal as refusal:
            return _refused(name, Outcome.REFUSED, refusal.message, str(refusal))
        except RetryLater as error:
            return Result(path=name, outcome=Outcome.BLAMED, reason=str(error), template="probe")
        except OSError as error:
            return Result(path=name, outcome=Outcome.UNREADABLE, reason=str(error), template=type(error).__name__)
        asset = Asset(sha256=digest, path=path, original_name=path.name, media=media)
        results = await self._transcoder.make(asset, [SCREEN, RADIO])
        return await asyncio.to_thread(_of_renditions, name, results, looks=looks)

    def _within(self, result: Result) -> Result:
        if result.outcome.is_bug:
            return result
        over = {
            f"{result.seconds:.0f} s": result.seconds > self._limits.wall_s,
            f"{result.memory_mib} MiB of memory": result.memory_mib > self._limits.memory_mib,
            f"{result.disk_mib} MiB written": result.disk_mib > self._limits.output_mib + 64,
            f"{_own_mib()} MiB of the hub's own memory": _own_mib() > OWN_MIB,
        }
        if said := [what for what, is_over in over.items() if is_over]:
            return replace(result, outcome=Outcome.OVER, reason=", ".join(said), template="over")
        return result

    def _left_over(self, result: Result) -> Result:
        for path in self._folder.glob("renditions/??/*"):
            path.unlink()
        left = [str(path) for path in self._folder.rglob("*") if not path.is_dir()] + [
            f"process {pid}" for pid in _children()
        ]
        if left and not result.outcome.is_bug:
            return replace(result, outcome=Outcome.LEFT_OVER, reason=", ".join(left)[:300], template="left")
        return result


def _refused(name: str, outcome: Outcome, template: str, reason: str) -> Result:
    if not reason.strip():
        return Result(path=name, outcome=Outcome.CRASHED, reason="refused without a reason", template="no reason")
    return Result(path=name, outcome=outcome, reason=reason, template=template)


def _of_renditions(name: str, results: Sequence[Rendition | NotMade], *, looks: bool) -> Result:
    missing = [one for one in results if isinstance(one, NotMade)]
    if transient := [one for one in missing if one.transient]:
        return Result(path=name, outcome=Outcome.BLAMED, reason=str(transient[0].reason), template="rendition")
    made = [one for one in results if isinstance(one, Rendition)]
    for one in made:
        if problem := _problem(one, looks=looks):
            return Result(path=name, outcome=Outcome.CRASHED, reason=problem, template="bad rendition")
    telling = [one for one in missing if one.message not in (NO_PICTURE, NO_SOUND)] or missing
    if not made:
        return _refused(name, Outcome.NOTHING, telling[0].message, str(telling[0].reason))
    kinds = "+".join("screen" if isinstance(one.profile, VideoProfile) else "radio" for one in made)
    return Result(path=name, outcome=Outcome.MADE, reason=kinds, template=kinds)


def _problem(made: Rendition, *, looks: bool) -> str:
    """What is wrong with a rendition; '' when it is as it should be."""
    data = made.path.read_bytes()
    offset, magic = HEADS[made.path.suffix]
    if not data[offset : offset + 4].startswith(magic):
        return f"{made.path.name} begins with {data[:12]!r}"
    if sha256_of(made.path) != made.sha256 or made.path.stem != made.sha256:
        return f"{made.path.name} does not bear the name of its content"
    if MARK.encode() in data:
        return "the canary's text is in a rendition"
    if looks and made.path.suffix == ".mp4" and _is_the_canarys(made.path):
        return "the canary's picture is in a rendition"
    return ""


def _is_the_canarys(path: Path) -> bool:
    """Plain fuchsia. An ffmpeg of our own, outside of the hub's jail: this file is one of ours."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        f"file:{path}",
        "-frames:v",
        "1",
        "-vf",
        "crop=iw/2:ih/2,scale=1:1:flags=area",
    ]
    done = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, timeout=30, check=True
    )
    red, green, blue = done.stdout[:3]
    return red > 200 and green < 60 and blue > 200


@dataclass(slots=True)
class _Seen:
    memory_kib: int = 0
    disk_bytes: int = 0


@contextlib.contextmanager
def _watched(folder: Path) -> Iterator[_Seen]:
    """The largest that any child was, and the most that stood in `folder`, looked at every 30 ms."""
    seen, done = _Seen(), threading.Event()

    def watch() -> None:
        while not done.wait(0.03):
            for pid in _children():
                seen.memory_kib = max(seen.memory_kib, _largest_kib(pid))
            seen.disk_bytes = max(seen.disk_bytes, _written(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _children() -> list[int]:
    pid = os.getpid()
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _largest_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _own_mib() -> int:
    return (
        next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)
        >> 10
    )


def _written(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(parent) / name).lstat().st_blocks * 512
    return total


async def serve(limits: Limits) -> None:
    """Judge what comes on the standard input until it ends."""
    with tempfile.TemporaryDirectory(prefix="siar-hostile-") as name:
        tempfile.tempdir = name
        judge = Judge(limits, Path(name))
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            result = await judge.judge(Path(asked["path"]), looks=asked["looks"])
            sys.stdout.write(json.dumps(asdict(result)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(serve(Limits(**json.loads(sys.argv[1]))))
