"""`siarhub-player` as its own process: kill -9 of each part, SIGTERM, the local orders."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from PIL import Image

from plugins.videotron.protocol.chain import segment_of

FIRST = "IP-2026-11-0001"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before the opening, or before the reading
        return False


async def test_fetches_only_the_missing_blocks_after_kill_9(hub: Any, films: Any, command: Any) -> None:
    film = films["large"]
    hub.serving = False
    await hub.serve(film)
    await hub.manifest(1, film.entry(FIRST))
    command.start()
    await hub.until(lambda: hub.reported(film))
    await hub.send(film, range(film.n // 2))
    await hub.until(lambda: hub.reported(film).have.bit_count() == film.n // 2)

    command.end(signal.SIGKILL)
    hub.sent.clear()
    hub.reports.clear()
    hub.serving = True
    command.start()
    await hub.until(lambda: hub.shows(FIRST))

    assert hub.reports[0][1].have.bit_count() == film.n // 2
    assert {index for _, index in hub.sent} == set(range(film.n // 2, film.n))
    assert len(hub.sent) == film.n - film.n // 2


async def test_mpv_ends_when_the_player_is_killed(hub: Any, command: Any, eventually: Any) -> None:
    command.start()
    await hub.until(lambda: hub.last() and hub.last().online)
    await eventually(command.mpv_pids)
    pid = command.mpv_pid()

    command.end(signal.SIGKILL)

    await eventually(lambda: not alive(pid))


async def test_mpv_is_started_again_when_it_dies_or_hangs(hub: Any, films: Any, command: Any, eventually: Any) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    command.start()
    for number in (signal.SIGKILL, signal.SIGSTOP):
        await hub.until(lambda: hub.shows(FIRST))
        pid = command.mpv_pid()
        os.kill(pid, number)
        await eventually(lambda pid=pid: not alive(pid), within_s=15)
        count = len(hub.played(FIRST, complete=True))
        await hub.until(lambda count=count: len(hub.played(FIRST, complete=True)) > count)


async def test_numbers_of_plays_are_never_given_twice_across_kill_9(hub: Any, films: Any, command: Any) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    for _ in range(2):
        count = len(hub.played(FIRST))
        command.start()
        await hub.until(lambda count=count: len(hub.played(FIRST)) > count)
        command.end(signal.SIGKILL)

    numbers = {(entry.seq, entry.started_at) for proof in hub.proofs for entry in segment_of(proof).entries}
    assert len({seq for seq, _ in numbers}) == len(numbers)


async def test_sigterm_ends_it_quickly_and_the_cut_play_is_proved_later(hub: Any, films: Any, command: Any) -> None:
    await hub.serve(films["long"])
    await hub.manifest(1, films["long"].entry(FIRST))
    command.start()
    await hub.until(lambda: hub.shows(FIRST))

    assert command.end(signal.SIGTERM) == 0

    await hub.until(lambda: not hub.last().online)
    command.start()
    await hub.until(lambda: hub.played(FIRST, complete=False))


async def test_the_local_orders_give_a_screenshot_and_the_state(
    hub: Any, films: Any, command: Any, tmp_path: Path
) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    command.start()
    await hub.until(lambda: hub.shows(FIRST))

    answer = json.loads(
        (await asyncio.to_thread(command.ask, "screenshot", "--json", "--to", str(tmp_path / "a.png"))).stdout
    )

    assert answer["playing"]["item"] == FIRST
    with Image.open(answer["path"]) as picture:
        assert picture.size == (64, 48)
        assert picture.convert("RGB").getpixel((32, 24))[0] > 200


def test_check_names_what_is_missing(command: Any) -> None:
    assert command.ask("check").returncode == 0

    command.config.write_text(command.config.read_text().replace('vo = "null"', 'program = "no-such-mpv"'))
    answer = command.ask("check")

    assert answer.returncode == 1
    assert "apt install mpv" in answer.stderr


def test_every_mistake_in_the_file_is_told_at_once(command: Any) -> None:
    command.config.write_text('player = "Gate 1"\n[broker]\nport = 0\n[screen]\nwidth = 64\nhigh = 48\n')

    answer = command.ask("check")

    assert answer.returncode == 2
    for key in ("player", "broker.port", "screen.height", "screen.high"):
        assert key in answer.stderr


def test_a_screenshot_without_a_player_says_so(command: Any) -> None:
    answer = command.ask("screenshot")

    assert answer.returncode == 1
    assert "no player answers" in answer.stderr


async def test_a_second_player_in_the_same_folder_is_refused(hub: Any, command: Any) -> None:
    command.start()
    await hub.until(lambda: hub.last() and hub.last().online)

    answer = await asyncio.to_thread(command.ask, "run")

    assert answer.returncode == 1
    assert "another player" in answer.stderr


async def test_ends_when_systemd_ends_mpv_in_the_same_moment(hub: Any, films: Any, command: Any) -> None:
    await hub.serve(films["red"])
    await hub.manifest(1, films["red"].entry(FIRST))
    for _ in range(3):
        command.start()
        await hub.until(lambda: hub.last() and hub.last().online and hub.last().playing)
        os.kill(command.mpv_pid(), signal.SIGTERM)

        assert await asyncio.to_thread(command.end, signal.SIGTERM) == 0

        await hub.until(lambda: not hub.last().online)
