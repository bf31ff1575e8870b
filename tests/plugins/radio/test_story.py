"""The radio as a listener hears it: the real Liquidsoap, judged from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hub.api import AiringState
from plugins.radio.liquidsoap import Liquidsoap
from plugins.radio.listening import listening, tone_level, tone_seconds
from plugins.radio.local_playout import LocalPlayout, PlayoutNotStarted
from tests.plugins.radio.conftest import Station, until
from tests.plugins.radio.test_playout import states


async def test_a_listener_hears_the_item_and_the_as_run_agrees(one_liquidsoap: LocalPlayout, tmp_path: Path) -> None:
    station = Station(folder=tmp_path, executor=one_liquidsoap, settings={})
    recording = tmp_path / "heard.wav"

    async with listening(one_liquidsoap.listener_url, recording), station.on_duty():
        item = await station.deliver(hz=1337, seconds=2.0)
        fact = await station.outcome(item)
        await until(lambda: tone_seconds(recording, 1337) > 1.5)

    assert fact.state is AiringState.AIRED
    assert fact.seconds == pytest.approx(2.0, abs=0.15)
    assert tone_seconds(recording, 1337) == pytest.approx(2.0, abs=0.4)
    assert tone_level(recording, 900) < -60


async def test_liquidsoap_killed_in_mid_item_airs_it_again(tmp_path: Path) -> None:
    playout = LocalPlayout(tmp_path, output="dummy")
    await playout.start()
    station = Station(folder=tmp_path, executor=playout, settings={})
    try:
        async with station.on_duty():
            item = await station.deliver(seconds=1.5)
            await until(lambda: "on air" in states(station))
            await playout.kill()
            assert playout.socket.exists()
            await playout.start()
            await until(lambda: len(station.aired(item)) == 2)
    finally:
        await playout.stop()

    first, second = station.aired(item)
    assert (first.state, first.reason) == (AiringState.PARTIAL, "the executor was restarted")
    assert (second.state, second.airing) == (AiringState.AIRED, first.airing)


async def test_a_second_liquidsoap_leaves_the_first_its_socket(one_liquidsoap: LocalPlayout) -> None:
    second = LocalPlayout(one_liquidsoap.socket.parent, output="dummy")
    client = Liquidsoap(one_liquidsoap.socket)
    before = await client.status()

    with pytest.raises(PlayoutNotStarted, match="another executor"):
        # It would take the first one's answer for its own, were it not to end.
        await _start_alone(second)

    assert (await client.status()).boot == before.boot
    await client.close()


async def _start_alone(playout: LocalPlayout) -> None:
    process = await asyncio.create_subprocess_exec(
        "liquidsoap", str(playout._script), env=playout.environment(), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    if process.returncode:
        raise PlayoutNotStarted(said.decode())


HUB = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from hub.api import Aired
    from tests.plugins.radio.conftest import Station, until
    from types import SimpleNamespace as Names
    folder = Path(sys.argv[2])
    executor = Names(socket=folder / "liq.sock", media_folder=folder / "media", as_run=folder / "as-run.jsonl")

    async def main() -> None:
        station = Station(folder=folder, executor=executor, settings={})
        station.plugin.reconcile = lambda: asyncio.sleep(0)  # this hub keeps no ledger
        async with station.on_duty():
            if sys.argv[3] == "deliver":
                for n in range(4):
                    await station.deliver(hz=500 + 100 * n, seconds=0.7)
            print("held", flush=True)
            while True:
                await asyncio.sleep(1)

    asyncio.run(main())
""")


async def test_a_hub_killed_again_and_again_airs_each_item_once(tmp_path: Path) -> None:
    playout = LocalPlayout(tmp_path, output="dummy")
    await playout.start()
    root = str(Path(__file__).parents[3])

    def hub(task: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", HUB, root, str(tmp_path), task]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=root)

    station = Station(folder=tmp_path, executor=playout, settings={})
    try:
        for n, lived_s in enumerate([0.35, 0.1, 0.5, 0.02, 0.8]):
            process = hub("deliver" if n == 0 else "go on")
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            await asyncio.sleep(lived_s)
            os.kill(process.pid, signal.SIGKILL)
            process.stdout.close()
            await asyncio.to_thread(process.wait)
        station.plugin.reconcile = _nothing  # type: ignore[method-assign]
        async with station.on_duty():
            # The next regular airing of an item is planned just after this one has ended.
            await until(lambda: sorted(states(station), key=str) == ["aired"] * 4 + ["planned"] * 4, within_s=60)
    finally:
        await playout.stop()

    starts = [line for line in playout.as_run.read_text().splitlines() if '"start"' in line]
    assert len(starts) == 4


async def _nothing() -> None:
    return
