"""The main job, end to end, as a user sees it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from hub.api import Aired, AiringState, Filed, Played
from hub.demo.stage import program
from hub.media.samples import make_audio, make_poster, make_video
from tests.system.chain import Chain, verify_bag

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_the_demo_sees_the_whole_story_from_outside(short_folder: Path) -> None:
    command = [program("siarhub"), "demo", "--once", "--folder", str(short_folder / "demo")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-4000:]
    assert "seen from outside" in done.stdout


def test_ending_the_demo_ends_every_part_of_it(short_folder: Path) -> None:
    command = [program("siarhub"), "demo", "--folder", str(short_folder / "demo")]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "dropped" in line:
            break
    assert processes_naming(short_folder)

    demo.terminate()
    demo.communicate(timeout=90)

    assert processes_naming(short_folder) == []


async def test_the_story_survives_a_restart_of_every_part(chain: Chain, tmp_path: Path) -> None:
    video = make_video(tmp_path / "imbauan.mp4", 2.0, (160, 90))
    spot = make_audio(tmp_path / "iklan.wav", 3.0, 700)

    chain.drop(video)
    chain.drop(spot)
    await chain.until("accepted", lambda: len(chain.items()) == 2)
    await chain.stage.broker.kill()
    await chain.stage.hub.kill()
    await chain.stage.playout.kill()
    await chain.stage.children[1].kill()
    for part in (chain.stage.broker, chain.stage.playout, *chain.stage.children[:2]):
        await part.start()
    await chain.until("played on both screens", lambda: len({one.destination for one in chain.facts(Played)}) == 2)
    await chain.until("aired", lambda: [one for one in chain.facts(Aired) if one.state is AiringState.AIRED])
    await chain.until("filed", lambda: len({one.item for one in chain.facts(Filed)}) == 2)

    for month in chain.month_folders():
        assert verify_bag(month) == ""


async def test_a_withdrawal_note_takes_an_item_from_the_screens(chain: Chain, tmp_path: Path) -> None:
    chain.drop(make_poster(tmp_path / "poster.png", (120, 80)))
    await chain.until("played", lambda: chain.facts(Played))
    number = chain.items()[0]["number"]

    (chain.inbox / "tarik.txt").write_text(f"Tarik: {number}\nAlasan: keliru\n")

    await chain.until("withdrawn", lambda: chain.items()[0]["state"] == "withdrawn")
    await chain.until("said in the receipt", lambda: any("keliru" in one.read_text() for one in chain.receipts()))


async def test_what_was_dropped_while_the_hub_was_down_is_taken_at_the_next_start(chain: Chain, tmp_path: Path) -> None:
    assert await chain.stage.hub.stop() == 0
    chain.drop(make_poster(tmp_path / "poster.png", (120, 80)))

    await chain.stage.hub.start()

    await chain.until("accepted", chain.items)


async def test_orders_are_carried_out_by_the_daemon_and_wait_for_it(chain: Chain, tmp_path: Path) -> None:
    chain.drop(make_poster(tmp_path / "poster.png", (120, 80)))
    number = (await chain.until("accepted", chain.items))[0]["number"]

    assert chain.siarhub("retry", number).returncode == 0
    assert chain.siarhub("retry", "IP-2020-01-0001").returncode == 1
    await chain.stage.hub.stop()
    assert "not running" in chain.siarhub("retry", number).stderr
    waiting = chain.siarhub("withdraw", number, "--reason", "salah")
    assert (waiting.returncode, chain.items()[0]["state"]) == (0, "active")
    await chain.stage.hub.start()

    await chain.until("withdrawn", lambda: chain.items()[0]["state"] == "withdrawn")


async def test_the_hub_uses_a_plugin_dropped_in_its_folder_after_a_restart(chain: Chain, tmp_path: Path) -> None:
    made = chain.siarhub("plugin", "new", "salinan", "--into", str(chain.stage.folder / "plugins"))
    assert made.returncode == 0, made.stderr
    with chain.stage.config.open("a") as config:
        config.write(f'\n[plugins.salinan]\nfolder = "{tmp_path / "keluar"}"\n')
    (tmp_path / "keluar").mkdir()
    await chain.stage.hub.stop()
    await chain.stage.hub.start()

    chain.drop(make_poster(tmp_path / "poster.png", (120, 80)))

    await chain.until("copied by the plugin", lambda: list((tmp_path / "keluar").iterdir()))
    assert chain.siarhub("plugins").returncode == 0


def processes_naming(folder: Path) -> list[str]:
    """Command lines of running processes in which this folder is named."""
    lines = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(one.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if str(folder) in line and "demo --folder" not in line]
