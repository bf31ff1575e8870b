"""Hostile, late and doubled blocks, disks that fail or were changed, and times before which nothing is fetched."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.api.files import sha256_of
from hub.testing import FakeClock
from plugins.videotron.player.fetching import RETRY_S, Fetching
from plugins.videotron.player.store import Store
from plugins.videotron.protocol import (
    FLUSH_INDEX,
    Attack,
    Block,
    BlockFlag,
    BlockList,
    File,
    Refused,
    Report,
    ReportFlag,
    WireError,
    encode_block,
    tag_of,
)
from plugins.videotron.transfer.contents import Content, cut

BLOCK = 1024
BLOCKS = 12


@dataclass
class Scene:
    """A film that the hub has, and a player that wants it."""

    content: Content
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    done: list[Report] = field(default_factory=list)
    sequence: int = 0

    def fetching(self) -> Fetching:
        return Fetching(
            store=Store(self.folder, keep_free_bytes=0),
            boot=1,
            clock=self.clock,
            log=structlog.get_logger(),
            on_done=lambda report, sha256: self.done.append(report),
            judge=lambda payload, file: BlockList.model_validate_json(payload),
        )

    @property
    def part(self) -> Path:
        return self.folder / f"{self.content.blocks.sha256}.part"

    @property
    def file(self) -> File:
        blocks = self.content.blocks
        return File(cid=blocks.cid, sha256=blocks.sha256, size=blocks.size, seconds=1.0)

    async def begin(self, **changes: Any) -> Fetching:
        fetching = self.fetching()
        await fetching.want({self.content.cid: self.file.model_copy(update=changes)})
        await fetching.take_list(self.content.cid, self.content.blocks.model_dump_json().encode())
        return fetching

    def frame(self, index: int, data: bytes | None = None) -> bytes:
        self.sequence += 1
        return encode_block(
            Block(
                flags=BlockFlag.GROUP,
                tag=tag_of(self.content.cid),
                index=index,
                sequence=self.sequence,
                sent_ms=0,
                data=self.content.read(index)[0] if data is None else data,
            )
        )

    async def send(self, fetching: Fetching, *indices: int) -> None:
        for index in indices:
            await fetching.take_block(self.content.cid, self.frame(index))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    film = tmp_path / "film.mp4"
    film.write_bytes(random.Random(7).randbytes(BLOCKS * BLOCK - 100))
    return Scene(content=cut(film, sha256_of(film), BLOCK, "site"), folder=tmp_path / "media")


def have(fetching: Fetching) -> int:
    [(_, report)] = fetching.due_reports()
    return report.have


async def test_blocks_in_any_order_and_twice_make_the_film(scene: Scene) -> None:
    fetching = await scene.begin()
    order = [index for index in range(BLOCKS) for _ in range(2)]
    random.Random(3).shuffle(order)

    await scene.send(fetching, *order)

    assert (scene.folder / f"{scene.content.blocks.sha256}.mp4").read_bytes() == scene.content.path.read_bytes()
    assert ReportFlag.DONE in scene.done[0].flags
    assert fetching.written == BLOCKS


@pytest.mark.parametrize(
    ("index", "data"),
    [
        (0, b"x" * BLOCK),
        (1, b""),
        (3, b"short"),
        (BLOCKS, b"x" * BLOCK),
        (FLUSH_INDEX - 1, b"x"),
        (0, b"x" * (1 << 20)),
    ],
    ids=["wrong hash", "no data", "too short", "beyond the end", "far beyond", "giant"],
)
async def test_a_block_that_is_not_the_films_is_refused_and_changes_nothing(
    scene: Scene, index: int, data: bytes
) -> None:
    fetching = await scene.begin()
    await scene.send(fetching, 2)

    with pytest.raises(WireError):
        await fetching.take_block(scene.content.cid, scene.frame(index, data))

    assert have(fetching) == 0b100
    assert scene.part.stat().st_size == scene.content.blocks.size


async def test_what_a_wrong_block_would_be_is_named(scene: Scene) -> None:
    fetching = await scene.begin()

    with pytest.raises(Refused) as refused:
        await fetching.take_block(scene.content.cid, scene.frame(0, b"x" * BLOCK))

    assert refused.value.attack is Attack.WRONG_BLOCK


async def test_a_block_is_reported_as_seen_only_when_it_is_on_the_disk(scene: Scene) -> None:
    fetching = await scene.begin()
    await scene.send(fetching, 0, 1)
    [(_, report)] = fetching.due_reports()

    assert (report.group_sequence, report.have) == (2, 0b11)
    assert scene.part.read_bytes()[: 2 * BLOCK] == scene.content.path.read_bytes()[: 2 * BLOCK]


async def test_a_flood_of_flush_markers_makes_no_flood_of_reports(scene: Scene) -> None:
    fetching = await scene.begin()
    list(fetching.due_reports())
    reports = 0

    for _ in range(1000):
        await fetching.take_block(scene.content.cid, scene.frame(FLUSH_INDEX, b""))
        scene.clock.advance(timedelta(milliseconds=1))
        reports += len(list(fetching.due_reports()))

    assert 10 <= reports <= 20


async def test_of_a_part_that_was_spoiled_while_the_player_was_down_one_block_is_fetched_again(scene: Scene) -> None:
    before = await scene.begin()
    await scene.send(before, *range(BLOCKS - 1))
    await before.close()
    data = bytearray(scene.part.read_bytes())
    data[5 * BLOCK + 17] ^= 1
    scene.part.write_bytes(data)

    after = await scene.begin()
    held = have(after)
    lacking = [index for index in range(BLOCKS) if not held >> index & 1]
    await scene.send(after, *lacking)

    assert lacking == [5, BLOCKS - 1]
    assert scene.done
    assert (scene.folder / f"{scene.content.blocks.sha256}.mp4").read_bytes() == scene.content.path.read_bytes()


async def test_a_disk_that_fills_up_in_the_middle_is_told_and_tried_again_later(scene: Scene) -> None:
    fetching = await scene.begin()
    await scene.send(fetching, 0, 1, 2)
    full = os.open("/dev/full", os.O_RDWR)
    part = fetching._fetches[scene.content.cid].part
    assert part is not None
    os.dup2(full, part.fd)
    os.close(full)

    await scene.send(fetching, 3, 4)

    assert "No space left" in fetching.troubles[0]
    assert fetching.wanted == frozenset()  # nothing is subscribed to that could not be kept
    assert list(fetching.due_reports()) == []
    scene.clock.advance(timedelta(seconds=RETRY_S + 1))
    await fetching.retry()
    assert have(fetching) == 0b111
    assert fetching.troubles == []
    await scene.send(fetching, *range(3, BLOCKS))
    assert scene.done


async def test_nothing_is_subscribed_to_or_reported_before_the_time_that_the_manifest_names(scene: Scene) -> None:
    fetching = await scene.begin(fetch_after=scene.clock.now() + timedelta(hours=3))

    assert fetching.wanted == frozenset()
    assert list(fetching.due_reports()) == []
    scene.clock.advance(timedelta(hours=3))
    assert fetching.wanted == {scene.content.cid}
    assert have(fetching) == 0


async def test_a_window_that_closes_stops_the_fetching_and_keeps_what_is_there(scene: Scene) -> None:
    fetching = await scene.begin()
    await scene.send(fetching, 0, 1)

    later = scene.file.model_copy(update={"fetch_after": scene.clock.now() + timedelta(hours=17)})
    await fetching.want({scene.content.cid: later})

    assert fetching.wanted == frozenset()
    scene.clock.advance(timedelta(hours=17))
    assert have(fetching) == 0b11


async def test_a_list_of_other_blocks_of_the_same_film_begins_it_anew_with_what_fits(scene: Scene) -> None:
    fetching = await scene.begin()
    await scene.send(fetching, 0, 1, 2, 3)
    coarse = cut(scene.content.path, scene.content.blocks.sha256, 2 * BLOCK, "site")

    await fetching.take_list(scene.content.cid, coarse.blocks.model_dump_json().encode())

    assert have(fetching) == 0b11


async def test_a_block_for_this_player_alone_finds_its_film_by_its_tag(scene: Scene) -> None:
    fetching = await scene.begin()

    await fetching.take_block("", scene.frame(4))
    await fetching.take_block("", encode_block(
        Block(flags=BlockFlag.UNICAST, tag=1, index=0, sequence=9, sent_ms=0, data=b"of no film that it fetches")
    ))  # fmt: skip

    assert have(fetching) == 1 << 4
