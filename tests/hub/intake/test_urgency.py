"""What is urgent, and what takes an item back, is taken in before all that came earlier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typing_extensions import override

from hub.api import Priority
from hub.intake.bundle import Bundle, BundleKind
from hub.intake.desk import Submission, Verdict
from hub.intake.sidecar import says_urgent
from hub.intake.urgency import is_urgent
from tests.hub.intake.conftest import MemoryDesk, Place

NORMAL, URGENT = "Judul: Biasa saja\n", "Judul: Banjir\nPrioritas: segera\n"


class BusyDesk(MemoryDesk):
    """Has no time for what is not urgent until it is let."""

    may_go_on: asyncio.Event
    begun_with: int = 0

    @override
    async def consider(self, submission: Submission) -> Verdict:
        self.begun_with += 1
        if submission.sidecar is None or submission.sidecar.priority is not Priority.URGENT:
            await self.may_go_on.wait()
        return await super().consider(submission)


@pytest.mark.parametrize(
    ("data", "is_json", "urgent"),
    [
        (b"Prioritas: segera", False, True),
        (b"PRIORITAS = Darurat\r\nJudul: a", False, True),
        ("Prioritas: segera".encode("utf-16"), False, True),
        (b'{"priority": "urgent"}', True, True),
        (b"Prioritas: biasa", False, False),
        (b"Judul: Pengumuman penting\nPrioritas: biasa", False, False),
        (b"Judul: segera", False, False),
        (b"", False, False),
    ],
)
def test_a_sidecar_is_urgent_when_its_priority_says_so(data: bytes, is_json: bool, urgent: bool) -> None:
    assert says_urgent(data, is_json=is_json) is urgent


@pytest.mark.parametrize("data", [b"segera" * 20_000, b"segera\x00\xff: {["])
def test_a_sidecar_that_cannot_be_read_is_not_urgent_and_harms_nothing(place: Place, data: bytes) -> None:
    class Told:
        parts = ("a.txt",)

    (place.inbox / "a.txt").write_bytes(data)

    assert is_urgent(place.inbox, Bundle(kind=BundleKind.MEDIA, anchor="a.mp4"), Told()) is False  # type: ignore[arg-type]


async def test_an_urgent_drop_and_a_withdrawal_wait_for_none_of_twenty_others(
    place: Place, eventually: Callable[..., Awaitable[None]]
) -> None:
    desk = place.desk = BusyDesk()
    desk.may_go_on = asyncio.Event()
    for number in range(20):
        place.drop(f"{number:02}.mp4", f"isi {number}", sidecar=NORMAL)

    async with place.running():
        await eventually(lambda: desk.begun_with == 2)
        place.drop("zz.mp4", "darurat", sidecar=URGENT)
        place.drop("tarik.txt", "Tarik: IP-2026-11-0001\nAlasan: keliru\n")

        await eventually(lambda: [one.name for one in desk.submissions] == ["zz.mp4"] and len(desk.notes) == 1)
        assert desk.begun_with == 3  # the place for what is urgent is given to nothing else
        desk.may_go_on.set()
        await eventually(lambda: len(desk.submissions) == 21)


async def test_of_many_that_wait_the_urgent_one_is_next(
    place: Place, eventually: Callable[..., Awaitable[None]]
) -> None:
    for number in range(5):
        place.drop(f"{number}.mp4", f"isi {number}", sidecar=NORMAL)
    place.drop("zz.mp4", "darurat", sidecar=URGENT)

    async with place.running(at_once=1):
        await eventually(lambda: place.desk.done == 6)

    assert "zz.mp4" in [one.name for one in place.desk.submissions[:2]]


async def test_a_folder_is_urgent_by_its_info_text(
    place: Place, eventually: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    desk = place.desk = BusyDesk()
    desk.may_go_on = asyncio.Event()
    for number in range(3):
        place.drop(f"{number}.mp4", f"isi {number}")
    folder = place.inbox / "darurat"
    folder.mkdir()
    (folder / "a.mp4").write_text("isi")
    (folder / "info.txt").write_text(URGENT)

    async with place.running():
        await eventually(lambda: [one.name for one in desk.submissions] == ["darurat"])
        desk.may_go_on.set()
        await eventually(lambda: len(desk.submissions) == 4)
