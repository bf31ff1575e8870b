"""kill -9 of the hub at random moments while items flow: nothing lost, nothing doubled, nothing damaged."""

from __future__ import annotations

import asyncio
import collections
import random
from pathlib import Path

import pytest

from hub.api import Filed, Played
from hub.media.samples import make_audio, make_poster, make_video
from tests.system.chain import Chain, verify_bag

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

KILLS = 30
ITEMS = 10


async def test_thirty_kills_while_ten_items_flow_lose_and_double_nothing(chain: Chain, tmp_path: Path) -> None:
    chance = random.Random(7)
    files = await asyncio.to_thread(_samples, tmp_path)

    for kill in range(KILLS):
        if kill % 2 == 0 and files:
            chain.drop(files.pop())
        await asyncio.sleep(chance.uniform(0.3, 2.5))  # the moment of the kill is the point
        await chain.stage.hub.kill()
        await chain.stage.hub.start()
    for left in files:
        chain.drop(left)

    await chain.until("all accepted", lambda: len(chain.items()) == ITEMS and not _waiting(chain), 120)
    await chain.until("all filed", lambda: len({one.item for one in chain.facts(Filed)}) == ITEMS, 240)
    _assert_numbered_once(chain)
    _assert_delivered_once(chain)
    filed = collections.Counter(one.item for one in chain.facts(Filed))
    assert set(filed.values()) == {1}
    assert chain.facts(Played)
    assert not chain.reasons()
    assert len(chain.receipts()) == ITEMS
    for month in chain.month_folders():
        assert verify_bag(month) == ""


def _waiting(chain: Chain) -> list[Path]:
    return [one for one in chain.inbox.iterdir() if one.suffix in (".mp4", ".wav", ".png")]


def _assert_numbered_once(chain: Chain) -> None:
    serials = sorted(int(item["number"].rsplit("-", 1)[1]) for item in chain.items())
    hashes = {item["sha256"] for item in chain.items()}
    assert serials == list(range(1, ITEMS + 1))
    assert len(hashes) == ITEMS


def _assert_delivered_once(chain: Chain) -> None:
    for item in chain.items():
        where = collections.Counter((one["plugin"], one["destination"]) for one in item["deliveries"])
        assert set(where.values()) == {1}, item
        assert {one["state"] for one in item["deliveries"]} <= {"delivered", "played"}, item


def _samples(folder: Path) -> list[Path]:
    videos = [make_video(folder / f"video {n}.mp4", 1.0, (96, 64), tone_hz=300 + n) for n in range(3)]
    spots = [make_audio(folder / f"iklan {n}.wav", 1.0, 500 + 10 * n) for n in range(3)]
    posters = [make_poster(folder / f"poster {n}.png", (100 + 2 * n, 80)) for n in range(4)]
    return [*videos, *spots, *posters]
