import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from hub.media.runner import Stopped, run
from hub.media.sandbox import Confinement

ROOT = str(Path(__file__).parents[3])
LIMITS = Confinement(nice=0, idle_io=False)
ENDLESS = ("ffmpeg", "-v", "error", "-f", "lavfi", "-re", "-i", "testsrc2=size=64x64", "-f", "null", "-")


def children(of: int | None = None) -> set[int]:
    pid = of or os.getpid()
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(pid) for pid in text.split()}


async def until(condition, *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_a_run_that_exceeds_its_deadline_is_ended(tmp_path):
    finished = await run(ENDLESS, LIMITS, folder=tmp_path, within_s=0.5)

    assert finished.stopped is Stopped.DEADLINE
    assert not finished.ok
    assert not finished.transient
    assert finished.seconds < 5
    assert children() == set()


async def test_a_run_without_progress_is_ended_and_may_be_tried_again(tmp_path):
    finished = await run(("sleep", "60"), LIMITS, folder=tmp_path, within_s=30, stall_after_s=0.5)

    assert finished.stopped is Stopped.STALLED
    assert finished.transient


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs Debian's python3, a tool inside the jail")
async def test_a_run_that_still_writes_has_not_stalled(tmp_path):
    """ffmpeg says nothing while it moves the index of a long file to its front."""
    script = "import time\nfor _ in range(8):\n  print(end='x' * (2 << 20), flush=True)\n  time.sleep(0.2)"
    writing = ("/usr/bin/python3", "-I", "-S", "-c", script)

    finished = await run(writing, LIMITS, folder=tmp_path, within_s=30, stall_after_s=0.6)

    assert finished.ok


async def test_a_tool_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("hub.media.runner.TERMINATE_WITHIN_S", 0.3)
    deaf = ("sh", "-c", "trap '' TERM; while :; do :; done")

    finished = await run(deaf, LIMITS, folder=tmp_path, within_s=0.3)

    assert finished.exit_code == -signal.SIGKILL
    assert finished.stopped is Stopped.DEADLINE


async def test_progress_is_told_in_seconds_of_media(tmp_path):
    told = []
    command = ("ffmpeg", "-v", "error", "-progress", "pipe:1", "-f", "lavfi", "-i", "testsrc2=size=64x64:d=2")

    finished = await run(
        (*command, "-f", "null", "-"), LIMITS, folder=tmp_path, within_s=20, stall_after_s=10, on_progress=told.append
    )

    assert finished.ok
    assert told == sorted(told)
    assert told[-1] == pytest.approx(2.0, abs=0.1)


async def test_cancelling_leaves_no_child(tmp_path):
    async def cancelled() -> None:
        async with asyncio.timeout(0.5):
            await run(ENDLESS, LIMITS, folder=tmp_path, within_s=60)

    with pytest.raises(TimeoutError):
        await cancelled()

    assert children() == set()


async def test_killing_the_hub_leaves_no_child(tmp_path):
    script = (
        "import asyncio, pathlib\n"
        "from hub.media.runner import run\n"
        "from hub.media.sandbox import Confinement\n"
        f"asyncio.run(run({ENDLESS!r}, Confinement(nice=0), folder=pathlib.Path({str(tmp_path)!r}), within_s=60))\n"
    )
    hub = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env={**os.environ, "PYTHONPATH": ROOT})
    await until(lambda: any(_is_ffmpeg(pid) for pid in children(hub.pid)))
    (pid,) = children(hub.pid)

    hub.kill()
    await hub.wait()

    await until(lambda: not _is_ffmpeg(pid))


async def test_a_full_disk_is_told_apart_from_a_bad_file(tmp_path):
    full = Confinement(write=(Path("/dev/full"),), nice=0)
    source = ("ffmpeg", "-v", "error", "-xerror", "-y", "-f", "lavfi", "-i", "testsrc2=size=64x64:d=1")

    finished = await run((*source, "-f", "rawvideo", "/dev/full"), full, folder=tmp_path, within_s=20)

    assert finished.disk_full
    assert finished.transient


async def test_a_tool_killed_from_outside_as_the_kernel_does_when_memory_is_short_may_be_tried_again(tmp_path):
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(ENDLESS, LIMITS, folder=tmp_path, within_s=60))
        await until(lambda: any(_is_ffmpeg(pid) for pid in children()))
        os.kill(next(iter(children())), signal.SIGKILL)

    assert running.result().out_of_memory
    assert running.result().transient


async def test_the_error_text_is_bounded_and_keeps_its_end(tmp_path):
    noisy = ("sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3")

    finished = await run(noisy, LIMITS, folder=tmp_path, within_s=20)

    assert finished.exit_code == 3
    assert finished.says == "line 2999"
    assert len(finished.tail) <= 16 << 10


async def test_a_flood_on_the_output_is_ended(tmp_path):
    finished = await run(("cat", "/dev/zero"), LIMITS, folder=tmp_path, within_s=20)

    assert finished.stopped is Stopped.FLOODED
    assert len(finished.output) < 6 << 20


async def test_a_flood_of_errors_is_ended_and_takes_no_more_memory_than_an_honest_run(tmp_path):
    endless = "x=xxxxxxxx; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do x=$x$x; done; while :; do echo $x >&2; done"
    lines = []

    finished = await run(("sh", "-c", endless), LIMITS, folder=tmp_path, within_s=20, on_line=lines.append)

    assert finished.stopped is Stopped.FLOODED
    assert sum(map(len, lines)) < 66 << 20


def _is_ffmpeg(pid: int) -> bool:
    try:
        return b"ffmpeg" in Path(f"/proc/{pid}/comm").read_bytes()
    except OSError:
        return False
