"""kill -9 of the hub at random moments while items flow: nothing lost, nothing doubled, nothing damaged."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults import hub_sweep
from tests.system.chain import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(600), pytest.mark.xdist_group("kills")]

KILLS = 30
ITEMS = 10


async def test_thirty_kills_while_ten_items_flow_lose_and_double_nothing(chain: Chain, tmp_path: Path) -> None:
    files = await asyncio.to_thread(hub_sweep.samples, tmp_path, ITEMS)

    row = await hub_sweep.kill_and_judge(chain, files, KILLS, random.Random(7))

    assert (row.points, row.lost, row.doubled, row.damaged) == (KILLS, 0, 0, 0)
