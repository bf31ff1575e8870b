"""Hostile media dropped into the running chain: all is accounted for, nothing is touched, no tool is left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.canary import canary
from tests.hostile.case import Case, Must
from tests.hostile.generator import cases
from tests.hostile.places import growing
from tests.hostile.world import World
from tests.system.chain import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WITHIN_S = 200.0
# test_bad_input drops such; one has the same bytes as another.
ELSEWHERE = ("link-", "pipe", "socket", "folder", "grows", "whole.mp4")


async def test_every_hostile_file_that_is_dropped_ends_accepted_or_refused_and_none_is_lost(
    chain: Chain, tmp_path: Path
) -> None:
    for name in ("canary", "whole", "made"):
        (tmp_path / name).mkdir()
    with canary(tmp_path / "canary") as bird:
        world = World(tmp_path / "whole", bird)
        bad, good, open_ones = await asyncio.to_thread(_drop, chain, list(_chosen(world)), tmp_path / "made")
        with _somebody_who_writes_for_ever(chain, world) as endless:
            await chain.until("all ended", lambda: len(_ended(chain)) >= len(bad | good | open_ones), WITHIN_S)
            assert endless.exists()  # it waits, and holds nobody up
            assert endless.name not in _ended(chain)
        await chain.until("the endless one, too, once it ended", lambda: endless.name in _ended(chain))
        touched = bird.touched()

    refused, accepted = set(_reasons(chain)), _accepted(chain)
    assert touched == []
    assert (bad & accepted, good & refused, refused & accepted) == (set(), set(), set())
    assert bad | good | open_ones | {endless.name} == refused | accepted
    assert all(reason.strip() for reason in _reasons(chain).values())
    assert not chain.stage.hub.ended
    assert "Traceback" not in chain.stage.hub.log.read_text(errors="replace")


def _chosen(world: World) -> Iterator[Case]:
    return (case for case in cases(world, short=True) if not case.name.startswith(ELSEWHERE))


def _drop(chain: Chain, chosen: list[Case], folder: Path) -> tuple[set[str], set[str], set[str]]:
    """Names by what must come of them. Each is moved in whole; no two have the same bytes."""
    names: dict[Must, set[str]] = {must: set() for must in Must}
    for case in chosen:
        path = folder / case.name
        case.make(path)
        path.rename(chain.inbox / case.name)
        names[case.must].add(case.name)
    return names[Must.REFUSE], names[Must.TAKE], names[Must.DECIDE]


@contextlib.contextmanager
def _somebody_who_writes_for_ever(chain: Chain, world: World) -> Iterator[Path]:
    path = chain.inbox / "endless.ts"
    path.write_bytes(world.whole("ts"))
    with growing(world.whole("ts"))(path):
        yield path


def _ended(chain: Chain) -> set[str]:
    return set(_reasons(chain)) | _accepted(chain)


def _reasons(chain: Chain) -> dict[str, str]:
    return {one.name.removesuffix(".alasan.txt"): one.read_text().partition("Alasan:")[2] for one in chain.reasons()}


def _accepted(chain: Chain) -> set[str]:
    return {one.name.removesuffix(".tanda-terima.txt") for one in chain.receipts()}
