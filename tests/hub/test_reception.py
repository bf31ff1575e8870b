"""The desk accepts in one transaction, or says why not; and says the same after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.api import Channel, Draft, ItemNumber, Refused
from hub.api.files import sha256_of
from hub.intake.desk import Accepted, ClaimedFile, Postponed, RefusedDrop, Submission, Verdict
from hub.intake.desk import Refused as RefusedVerdict
from hub.intake.settings import ApprovalLevel, SameBytes
from hub.intake.sidecar import Sidecar, WithdrawalNote
from hub.ledger import items, jobs
from hub.media.samples import make_audio, make_poster
from hub.media.settings import MediaSettings
from hub.messages import catalogue
from hub.receipts import ReceiptWriter
from hub.reception import Reception, sidecar_mark
from tests.hub.world import WITA, Place, World


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    make_audio(folder / "tone.wav", 1.0, 440)
    make_audio(folder / "silence.wav", 1.0, 440, volume_db=-200.0)
    make_poster(folder / "poster.png", (32, 32))
    (folder / "text.mp4").write_text("this is no video\n" * 20)
    return folder


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens"))
    yield world
    world.close()


@pytest.fixture
def desk(world: World) -> Reception:
    return reception(world)


def reception(
    world: World, level: ApprovalLevel = ApprovalLevel.NONE, same_bytes: SameBytes = SameBytes.REFUSE
) -> Reception:
    say = catalogue("id")
    writer = ReceiptWriter(world.database, say, WITA, "id")
    return Reception(
        world.database, world.host, world.workflow, writer, MediaSettings(), level, 30, world.clock,
        world.log, say, WITA, world.wake, same_bytes,
    )  # fmt: skip


def submission(*paths: Path, name: str = "", sidecar: Sidecar | None = None) -> Submission:
    files = tuple(
        ClaimedFile(sha256=sha256_of(path), vault_path=path, original_name=path.name, size_bytes=path.stat().st_size)
        for path in paths
    )
    return Submission(name=name or paths[0].name, files=files, sidecar=sidecar, folder=len(paths) > 1)


def digests(given: Submission) -> frozenset[Any]:
    return frozenset(file.sha256 for file in given.files)


def accepted(verdict: Verdict) -> ItemNumber:
    assert isinstance(verdict, Accepted), verdict
    return verdict.number


def refused(verdict: Verdict) -> str:
    assert isinstance(verdict, RefusedVerdict), verdict
    return verdict.reason


async def taken(desk: Reception, given: Submission) -> ItemNumber:
    """Accepted and put away."""
    number = accepted(await desk.consider(given))
    await desk.put_away(given.name, digests(given), None)
    return number


async def test_what_is_accepted_is_numbered_planned_and_answered(world: World, desk: Reception, samples: Path) -> None:
    verdict = await desk.consider(submission(samples / "poster.png"))

    assert accepted(verdict) == "IP-2026-11-0001"
    assert isinstance(verdict, Accepted)
    assert "IP-2026-11-0001" in verdict.receipt
    assert await world.database.read(jobs.counts) == {"plan queued": 1}


async def test_the_same_bytes_again_are_answered_with_the_first_number(desk: Reception, samples: Path) -> None:
    await taken(desk, submission(samples / "poster.png"))

    again = await desk.consider(submission(samples / "poster.png", name="salinan.png"))

    assert "IP-2026-11-0001" in refused(again)


async def test_only_a_new_sidecar_makes_it_a_new_dissemination(world: World, desk: Reception, samples: Path) -> None:
    poster, first, second = samples / "poster.png", Sidecar(title="Satu"), Sidecar(title="Dua")
    await taken(desk, submission(poster, sidecar=first))

    assert "0001" in refused(await desk.consider(submission(poster, sidecar=first)))
    assert "0001" in refused(await desk.consider(submission(poster)))
    number = await taken(desk, submission(poster, sidecar=second))

    item = await world.database.read(items.get, number)
    assert item is not None
    assert (item.number, item.repeats) == ("IP-2026-11-0002", "IP-2026-11-0001")
    assert "0002" in refused(await desk.consider(submission(poster, sidecar=second)))


async def test_the_same_file_as_a_withdrawn_one_says_so_unless_a_later_one_lives(
    world: World, desk: Reception, samples: Path
) -> None:
    poster = samples / "poster.png"
    number = await taken(desk, submission(poster))
    await world.workflow.withdraw(number, "keliru", who="dini")
    assert "ditarik" in refused(await desk.consider(submission(poster)))

    await taken(desk, submission(poster, sidecar=Sidecar(title="Ralat")))

    assert "0002" in refused(await desk.consider(submission(poster)))


async def test_where_repeating_is_allowed_the_same_bytes_make_a_new_item_that_refers_to_the_first(
    world: World, samples: Path
) -> None:
    desk, poster = reception(world, same_bytes=SameBytes.REPEAT), samples / "poster.png"
    await taken(desk, submission(poster, sidecar=Sidecar(title="Satu")))

    second = await desk.consider(submission(poster, name="lagi.png"))
    await desk.put_away("lagi.png", digests(submission(poster)), None)
    third = await taken(desk, submission(poster, sidecar=Sidecar(title="Satu")))

    assert accepted(second) == "IP-2026-11-0002"
    assert isinstance(second, Accepted)
    assert "IP-2026-11-0001" in second.receipt
    repeats = [item.repeats for item in await world.database.read(items.all_items)]
    assert repeats == [None, "IP-2026-11-0001", "IP-2026-11-0001"]
    assert third == "IP-2026-11-0003"


async def test_repeating_without_a_sidecar_needs_what_the_approval_policy_asks_for(world: World, samples: Path) -> None:
    first = Sidecar(title="Satu", approval_number="1", approval_date=date(2026, 11, 1), approver="Kabid")
    desk = reception(world, ApprovalLevel.RECORD, SameBytes.REPEAT)
    await taken(desk, submission(samples / "poster.png", sidecar=first))

    assert "persetujuan" in refused(await desk.consider(submission(samples / "poster.png")))
    assert await taken(desk, submission(samples / "poster.png", sidecar=first)) == "IP-2026-11-0002"


async def test_a_withdrawn_item_never_comes_back_without_a_new_sidecar(world: World, samples: Path) -> None:
    desk, given = reception(world, same_bytes=SameBytes.REPEAT), submission(samples / "poster.png")
    first = await taken(desk, given)
    second = await taken(desk, given)
    await world.workflow.withdraw(second, "keliru", who="dini")

    refused(await desk.consider(given))  # although the first of them was never withdrawn
    await world.workflow.withdraw(first, "keliru", who="dini")
    assert "ditarik" in refused(await desk.consider(given))

    assert await taken(desk, replace(given, sidecar=Sidecar(title="Ralat"))) == "IP-2026-11-0003"
    assert await taken(desk, given) == "IP-2026-11-0004", "approved anew since then"


async def test_a_crash_between_accepting_and_moving_never_answers_duplicate(
    world: World, desk: Reception, samples: Path
) -> None:
    given = submission(samples / "poster.png")
    number = accepted(await desk.consider(given))

    after = reception(world)  # a new start; the files stand where they were dropped

    assert await after.open_arrivals() == [(given.name, digests(given))]
    begun = await after.begun(given.name, digests(given))
    assert begun is not None
    assert begun.number == number
    assert accepted(await after.consider(given)) == number
    await after.put_away(given.name, digests(given), None)
    await after.put_away(given.name, digests(given), None)
    assert await after.begun(given.name, digests(given)) is None
    assert len(await world.database.read(items.all_items)) == 1


async def test_a_plugin_that_objects_refuses(world: World, desk: Reception, samples: Path) -> None:
    world.places["screens"].objections = ["Layar tidak dikenal: gerbang"]

    assert refused(await desk.consider(submission(samples / "poster.png"))) == "Layar tidak dikenal: gerbang"

    assert await world.database.read(items.all_items) == []


async def test_a_plugin_that_cannot_check_holds_up_only_items_of_its_own_channel(
    world: World, desk: Reception, samples: Path
) -> None:
    asked = []

    async def crash(draft: Draft) -> None:
        asked.append(draft.title)
        raise KeyError("bug")

    own = Place("videotron")
    world.host.register(own, "videotron")
    own.on_check = world.places["screens"].on_check = crash

    postponed = await desk.consider(submission(samples / "poster.png"))
    heard = accepted(await desk.consider(submission(samples / "tone.wav")))

    assert isinstance(postponed, Postponed)
    assert postponed.reason.count("videotron") == 1
    assert "screens" not in postponed.reason
    assert heard == "IP-2026-11-0001"
    assert len(asked) == 2, "who failed is not asked again for every drop"
    assert "KeyError" in world.host.check_trouble("screens")


async def test_a_folder_with_a_bad_file_names_that_file(desk: Reception, samples: Path) -> None:
    verdict = await desk.consider(submission(samples / "poster.png", samples / "text.mp4", name="Paket"))

    assert refused(verdict).startswith("text.mp4: ")


async def test_silence_is_not_aired(desk: Reception, samples: Path) -> None:
    assert "senyap" in refused(await desk.consider(submission(samples / "silence.wav")))
    await taken(desk, submission(samples / "tone.wav"))


async def test_silence_that_is_only_filed_is_no_mistake(desk: Reception, samples: Path) -> None:
    sidecar = Sidecar(channels=frozenset({Channel.ARCHIVE}))

    await taken(desk, submission(samples / "silence.wav", sidecar=sidecar))


@pytest.mark.skipif(Path("/proc/self/uid_map").read_text().split()[0] != "0", reason="needs the machine's own users")
async def test_a_file_that_cannot_be_read_for_the_moment_is_postponed(
    desk: Reception, samples: Path, tmp_path: Path
) -> None:
    given = submission(samples / "poster.png")
    gone = replace(given, files=tuple(replace(one, vault_path=tmp_path / "gone") for one in given.files))

    assert isinstance(await desk.consider(gone), Postponed)


async def test_an_item_that_would_already_be_over_is_refused(desk: Reception, samples: Path) -> None:
    over = Sidecar(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))

    assert "Selesai" in refused(await desk.consider(submission(samples / "poster.png", sidecar=over)))


async def test_a_note_withdraws_and_an_unknown_number_is_refused(world: World, desk: Reception, samples: Path) -> None:
    number = await taken(desk, submission(samples / "poster.png"))
    note = WithdrawalNote(number=number, reason="keliru")

    assert accepted(await desk.withdraw(note, name="tarik.txt", who="dini")) == number
    assert accepted(await desk.withdraw(note, name="tarik.txt", who="dini")) == number
    unknown = replace(note, number=ItemNumber("IP-2020-01-0001"))
    assert "IP-2020-01-0001" in refused(await desk.withdraw(unknown, name="tarik.txt", who="dini"))

    assert await world.database.read(items.reason_of, await _item(world, number)) == "keliru"


async def test_a_refusal_is_told_once_a_day(world: World, desk: Reception) -> None:
    for _ in range(2):
        await desk.refused([RefusedDrop(name="a.mp4", reason="rusak", digests=frozenset())])
    world.clock.advance(timedelta(days=1))
    await desk.refused([RefusedDrop(name="a.mp4", reason="rusak", digests=frozenset())])

    assert await world.facts() == [Refused(name="a.mp4", reason="rusak")] * 2


def test_the_mark_of_a_sidecar_follows_from_what_it_says() -> None:
    one = Sidecar(channels=frozenset({Channel.RADIO, Channel.VIDEOTRON}), screens=("a", "b"))

    assert sidecar_mark(None) == ""
    assert sidecar_mark(one) == sidecar_mark(replace(one, channels=frozenset({Channel.VIDEOTRON, Channel.RADIO})))
    assert sidecar_mark(one) != sidecar_mark(replace(one, screens=("b", "a")))
    assert sidecar_mark(one) != sidecar_mark(replace(one, days=(1,)))


def test_the_mark_of_a_sidecar_is_that_of_older_hubs_when_it_says_no_more_than_they_knew() -> None:
    written_by_an_older_hub = "5b5312d8a0c7a5ee3dfe66d7bbe3017d10151ff59268ba86111d7e6051b779e8"

    assert sidecar_mark(Sidecar(title="Siaga")) == written_by_an_older_hub


async def _item(world: World, number: str) -> Any:
    return await world.database.read(items.get, number)
