from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.api.files import sha256_of
from plugins.archive.bag import Bag, BagDamaged
from plugins.archive.months import Month
from plugins.archive.payload import PayloadFile, SourceChanged
from plugins.archive.settings import ArchiveSettings
from plugins.archive.texts import tag_files
from plugins.archive.verify import verify
from tests.faults import archive_sweep, archive_worker

REPOSITORY = Path(__file__).parents[3]
TAGS = tag_files(ArchiveSettings(), Month(2026, 11), "2026-11-22")
CheckBag = Callable[[Path], None]


@pytest.fixture
def bag(tmp_path: Path) -> Bag:
    folder = tmp_path / "2026-11 November"
    folder.mkdir()
    made = Bag(folder)
    made.append("data", [PayloadFile(name="Keterangan.txt", source=b"x")], TAGS)
    return made


def test_is_whole_after_every_append(bag: Bag, check_bag: CheckBag) -> None:
    for number in range(3):
        bag.append(f"data/Video/{number}", [PayloadFile(name=f"{n}.txt", source=bytes([n])) for n in range(2)], TAGS)
        check_bag(bag.folder)

    assert len(bag.manifest()) == 7
    assert not bag.unfinished


def test_never_puts_an_item_over_another(bag: Bag) -> None:
    bag.append("data/Video/a", [PayloadFile(name="a.txt", source=b"first")], TAGS)

    with pytest.raises(BagDamaged, match="stands there already"):
        bag.append("data/Video/a", [PayloadFile(name="a.txt", source=b"second")], TAGS)

    assert (bag.folder / "data/Video/a/a.txt").read_bytes() == b"first"


def test_nothing_stays_of_an_item_whose_original_changed(bag: Bag, tmp_path: Path, check_bag: CheckBag) -> None:
    original = tmp_path / "o"
    original.write_bytes(b"now different")
    files = [
        PayloadFile(name="a", source=b"a"),
        PayloadFile(name="b", source=original, sha256="0" * 64),  # type: ignore[arg-type]
    ]

    with pytest.raises(SourceChanged):
        bag.append("data/Video/a", files, TAGS)

    assert not bag.unfinished
    check_bag(bag.folder)


def test_an_original_that_cannot_be_read_is_its_own_affair(bag: Bag, tmp_path: Path, check_bag: CheckBag) -> None:
    for original in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SourceChanged, match="cannot be read"):
            bag.append("data/Video/a", [PayloadFile(name="a", source=original)], TAGS)

    check_bag(bag.folder)


@pytest.mark.parametrize("name", ["tagmanifest-sha256.txt", "bag-info.txt"])
def test_a_bag_without_its_tag_files_is_left_alone(bag: Bag, name: str) -> None:
    (bag.folder / name).unlink()

    with pytest.raises(BagDamaged, match="missing"):
        bag.append("data/Video/a", [PayloadFile(name="a", source=b"a")], TAGS)


def test_a_manifest_that_somebody_edited_is_not_made_valid_again(bag: Bag) -> None:
    manifest = bag.folder / "manifest-sha256.txt"
    manifest.write_text(manifest.read_text().replace("Keterangan", "keterangan"))

    with pytest.raises(BagDamaged, match="tagmanifest"):
        bag.append("data/Video/a", [PayloadFile(name="a", source=b"a")], TAGS)

    assert verify(bag.folder) != []


def test_payload_torn_by_a_power_cut_before_it_was_listed_is_thrown_away(bag: Bag, check_bag: CheckBag) -> None:
    intent = '{"place":"data/Video/a","files":{"data/Video/a/a":"%s"},"before":"%s","tags":{}}'
    (bag.folder / ".kerja").mkdir()
    before = sha256_of(bag.folder / "manifest-sha256.txt")
    (bag.folder / ".kerja/niat.json").write_text(intent % ("1" * 64, before))
    (bag.folder / "data/Video/a").mkdir(parents=True)
    (bag.folder / "data/Video/a/a").write_bytes(b"torn")

    bag.recover()

    assert not (bag.folder / "data/Video/a").exists()
    check_bag(bag.folder)


def test_payload_in_place_but_not_yet_listed_is_completed_by_the_next_start(bag: Bag, check_bag: CheckBag) -> None:
    class Killed(BaseException):
        pass

    class KilledAfterTheRename(Bag):
        def _write_tags(self, intent: Any, listed: bytes) -> None:
            raise Killed

    with pytest.raises(Killed):
        KilledAfterTheRename(bag.folder).append("data/Video/a", [PayloadFile(name="a", source=b"A")], TAGS)

    bag.recover()

    assert "data/Video/a/a" in bag.manifest()
    assert not bag.unfinished
    check_bag(bag.folder)


def test_an_intent_that_cannot_be_read_is_left_for_a_person(bag: Bag) -> None:
    (bag.folder / ".kerja").mkdir()
    (bag.folder / ".kerja/niat.json").write_text("[]")

    with pytest.raises(BagDamaged, match=r"niat\.json"):
        bag.recover()
    assert "start the hub" in "\n".join(verify(bag.folder))

    assert bag.unfinished


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "data/Video/a/a").write_bytes(b"B"), "its content was changed"),
        (lambda f: (f / "data/Video/a/a").unlink(), "missing"),
        (lambda f: (f / "data/Thumbs.db").write_bytes(b"x"), "not listed"),
        (lambda f: (f / "bag-info.txt").write_text("Payload-Oxum: 1.1\n"), "Payload-Oxum"),
        (lambda f: (f / "tagmanifest-sha256.txt").unlink(), "tagmanifest"),
    ],
    ids=["changed", "removed", "added", "info edited", "tag manifest removed"],
)
def test_verification_names_what_is_wrong(bag: Bag, damage: Callable[[Path], None], told: str) -> None:
    bag.append("data/Video/a", [PayloadFile(name="a", source=b"A")], TAGS)
    assert verify(bag.folder) == []

    damage(bag.folder)

    assert told in "\n".join(verify(bag.folder))


def test_a_full_disk_stops_an_append_before_the_first_byte_and_room_lets_it_go_on(
    small_disk: Path, tmp_path: Path, check_bag: CheckBag
) -> None:
    filler, original = small_disk / "filler", tmp_path / "original"
    original.write_bytes(os.urandom(700_000))
    filler.write_bytes(b"x" * 1_600_000)
    bag = Bag(small_disk / "month")
    bag.folder.mkdir()
    bag.append("data", [PayloadFile(name="Keterangan.txt", source=b"x")], TAGS)

    with pytest.raises(OSError, match="No space") as full:
        bag.append("data/Video/a", [PayloadFile(name="a", source=original)], TAGS)
    assert full.value.errno == errno.ENOSPC
    check_bag(bag.folder)
    filler.unlink()
    bag.append("data/Video/a", [PayloadFile(name="a", source=original)], TAGS)

    check_bag(bag.folder)


def test_a_disk_that_fills_up_anywhere_in_an_append_loses_nothing(small_disk: Path, check_bag: CheckBag) -> None:
    bag = Bag(small_disk / "month")
    bag.folder.mkdir()
    filler = small_disk / "filler"
    done = 0
    for room in range(0, 64_000, 4096):
        filler.write_bytes(b"")
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, _free(small_disk) - room))
        place = f"data/{room}" if bag.exists else "data"
        try:
            bag.append(place, [PayloadFile(name="a", source=b"a" * 5000)], TAGS)
            done += 1
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - both ways are right: it fits, or it says so
        filler.unlink()
        bag.recover()
        if bag.exists:
            assert verify(bag.folder) == []

    assert done > 0
    check_bag(bag.folder)


@pytest.mark.timeout(180)
def test_a_kill_at_any_system_call_loses_doubles_and_damages_nothing() -> None:
    row = archive_sweep.main(short=True)

    assert row.passed, str(row)


def test_random_kills_of_a_filing_loop_leave_every_bag_whole(tmp_path: Path, check_bag: CheckBag) -> None:
    dice = random.Random(7)
    told: set[str] = set()
    for _ in range(6):
        victim = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.archive_worker", str(tmp_path), "400"],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        with victim:
            assert victim.stdout is not None
            victim.stdout.readline()
            time.sleep(dice.random() * 0.3)  # the kill is to come at any moment
            victim.send_signal(signal.SIGKILL)
            told |= {line.strip() for line in victim.stdout if line.endswith("\n")}
        cabinet = archive_worker.open_cabinet(tmp_path)
        (month,) = (tmp_path / "Arsip" / "2026").iterdir()
        assert verify(month) == []
        assert all(cabinet.place_of(number) for number in told)  # type: ignore[arg-type]

    folders = [path.name.split()[1] for path in month.glob("data/*/*")]
    assert len(folders) == len(set(folders)) > 0
    check_bag(month)


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
