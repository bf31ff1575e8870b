"""Several watched folders, one of them perhaps on another file system: the reader still sees one intake."""

from __future__ import annotations

import os
import sys
import threading
from asyncio.subprocess import DEVNULL, create_subprocess_exec
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import ValidationError

from hub.intake.claim import Vault
from hub.intake.desk import ClaimedFile, Refused
from hub.intake.settings import FolderNames, FolderTimes
from hub.intake.settle import Settled
from hub.intake.watcher import Watcher

SFTP = "Unggahan SFTP"
SIDECAR = "Nomor persetujuan: 188\nTanggal persetujuan: 3 November 2026\nPenyetuju: Kadis\n"


def also(place: Any, **times: float) -> Path:
    """A further watched folder."""
    place.folders = FolderNames(also={SFTP: FolderTimes(**times)})
    return Path(place.root / SFTP)


@pytest.fixture
def elsewhere(place: Any, tmp_path: Path) -> Iterator[Path]:
    """A further watched folder on another file system."""
    memory = Path("/dev/shm")  # the one other file system that every Linux has
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with TemporaryDirectory(dir=memory, prefix="siarhub-test-") as folder:
        path = also(place)
        path.symlink_to(folder)
        yield path


async def test_each_watched_folder_is_taken_from_and_filed_in_one_place(place: Any, eventually: Any) -> None:
    second = also(place)
    async with place.running() as intake:
        await eventually(lambda: intake.status().canary.at and second.is_dir())
        place.drop("a.mp4", b"a")
        (second / "b.mp4").write_bytes(b"b")
        (second / "c.mp4").write_bytes(b"SAMPAH")

        await eventually(lambda: place.desk.done == 3)

        assert [folder.name for folder in intake.status().folders] == ["Disetujui", SFTP]
    assert {"a.mp4", "b.mp4"} <= place.accepted_names()
    assert "c.mp4" in place.refused_names()
    assert SFTP in (place.refused / "c.mp4.alasan.txt").read_text()
    assert SFTP in (second / "BACA-SAYA.txt").read_text()


async def test_each_folder_has_its_own_quiet_time(place: Any, eventually: Any) -> None:
    second = also(place, quiet_for_s=600.0)
    async with place.running() as intake:
        await eventually(second.is_dir)
        (second / "lama.mp4").write_bytes(b"l")
        place.drop("cepat.mp4", b"c")
        await eventually(lambda: place.desk.placed)

        (waiting,) = intake.status().waiting
    assert waiting.name == "lama.mp4"
    assert [name for name, _ in place.desk.placed] == ["cepat.mp4"]


async def test_a_folder_that_is_away_stops_only_itself(place: Any, eventually: Any, tmp_path: Path) -> None:
    second = also(place)
    second.symlink_to(tmp_path / "mount" / "away")
    async with place.running() as intake:
        place.drop("klip.mp4")
        await eventually(lambda: place.desk.placed)
        assert SFTP in intake.status().paused

        (tmp_path / "mount" / "away").mkdir(parents=True)
        (second / "luar.mp4").write_bytes(b"luar")

        await eventually(lambda: len(place.desk.placed) == 2)


async def test_an_accepted_drop_is_not_closed_while_another_folder_may_hold_it(
    place: Any, eventually: Any, tmp_path: Path
) -> None:
    second = also(place)
    second.symlink_to(tmp_path / "mount" / "away")
    place.desk.open = {("klip.mp4", frozenset({"0" * 64}))}
    async with place.running() as intake:
        place.drop("lain.mp4", b"lain")
        await eventually(lambda: ("lain.mp4", place.root) and place.desk.placed)
        assert [name for name, _ in place.desk.placed] == ["lain.mp4"]
        assert intake.status().paused

        (tmp_path / "mount" / "away").mkdir(parents=True)

        await eventually(lambda: ("klip.mp4", None) in place.desk.placed)


async def test_what_stands_on_another_file_system_is_brought_over_whole(
    place: Any, elsewhere: Path, eventually: Any
) -> None:
    place.desk.answer = lambda s: Refused(reason="tidak") if s.name.startswith("tolak") else None
    (elsewhere / "klip.mp4").write_bytes(b"klip")
    (elsewhere / "klip.txt").write_text(SIDECAR)
    (elsewhere / "tolak.mp4").write_bytes(b"tolak")
    for name in ("paket", "tolak paket"):
        (elsewhere / name).mkdir()
        (elsewhere / name / "a.mp4").write_bytes(name.encode())
        (elsewhere / name / "Thumbs.db").write_bytes(b"x")
    (elsewhere / "tautan.mp4").symlink_to("/etc/hostname")

    async with place.running():
        await eventually(lambda: place.desk.done == 5)
        await eventually(lambda: not [path for path in elsewhere.iterdir() if path.suffix in (".mp4", "")])

    placed = dict(place.desk.placed)
    assert placed["klip.mp4"].read_bytes() == b"klip"
    assert {"klip.txt", "klip.mp4.tanda-terima.txt"} <= place.accepted_names()
    assert (placed["paket"] / "Thumbs.db").read_bytes() == b"x"
    assert {"tolak.mp4", "tolak.mp4.alasan.txt", "tolak paket", "tautan.mp4"} <= place.refused_names()
    assert (place.refused / "tautan.mp4").is_symlink()
    assert nothing_hidden(place)


async def test_what_cannot_be_copied_from_another_file_system_stays_with_the_reason(
    place: Any, elsewhere: Path, eventually: Any
) -> None:
    os.mkfifo(elsewhere / "pipa.mp4")

    async with place.running():
        await eventually((elsewhere / "pipa.mp4.alasan.txt").exists)

    assert (elsewhere / "pipa.mp4").exists()
    assert nothing_hidden(place)


async def test_bringing_over_survives_kills_at_any_line(
    place: Any, elsewhere: Path, eventually: Any, tmp_path: Path
) -> None:
    place.vault = tmp_path / "vault"
    for number in range(3):
        (elsewhere / f"klip {number}.mp4").write_bytes(b"klip %d" % number)
        (elsewhere / f"klip {number}.txt").write_text(SIDECAR)
        (elsewhere / f"tolak {number}.mp4").write_bytes(b"tolak %d" % number)
    kills = 0
    for seed in range(40, 52):
        kills += await run_until_killed(tmp_path, elsewhere, eventually, str(seed))
    assert kills >= 3

    await run_until_killed(tmp_path, elsewhere, eventually)

    files = {path.read_bytes() for path in (place.root / "Diterima").glob("*/*.mp4")}
    assert files == {b"klip 0", b"klip 1", b"klip 2"}
    assert {f"klip {n}.txt" for n in range(3)} <= place.accepted_names()
    refused = {path.read_bytes() for path in place.refused.glob("*.mp4")}
    assert refused == {b"tolak 0", b"tolak 1", b"tolak 2"}
    assert nothing_hidden(place)
    assert not list(place.vault.glob(".moves/*"))


async def run_until_killed(folder: Path, elsewhere: Path, eventually: Any, *seed: str) -> bool:
    """Whether it was; else it had brought everything over."""
    program = Path(__file__).with_name("killable.py")
    arguments = [sys.executable, str(program), str(folder), *seed]
    process = await create_subprocess_exec(
        *arguments, stderr=DEVNULL, stdout=DEVNULL, env={**os.environ, "ALSO": elsewhere.name}
    )
    drops = lambda: [path for path in elsewhere.iterdir() if path.suffix == ".mp4"]  # noqa: E731 - asked twice
    under_way = lambda: [*folder.glob("root/*/.siarhub-pindahan/*"), *folder.glob("vault/.moves/*")]  # noqa: E731
    await eventually(lambda: process.returncode is not None or not (drops() or under_way()))
    if process.returncode is None:
        process.kill()
        await process.wait()
        return False
    return process.returncode == -SIGKILL


def nothing_hidden(place: Any) -> bool:
    return not list(place.root.glob("*/.siarhub-pindahan"))


@pytest.mark.parametrize("name", ["Diterima", "disetujui", "a/b", ".tersembunyi", ""])
def test_a_further_folder_needs_a_plain_name_of_its_own(name: str) -> None:
    with pytest.raises(ValidationError):
        FolderNames.model_validate({"also": {name: {}}})


def test_only_the_keys_that_make_sense_for_one_folder_are_taken() -> None:
    with pytest.raises(ValidationError):
        FolderNames.model_validate({"also": {SFTP: {"min_free_bytes": 1}}})


async def test_a_folder_whose_mount_hangs_holds_up_no_other(
    place: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, answers, asked = also(place), threading.Event(), threading.Event()
    ensure = Watcher.ensure

    def hanging(watcher: Watcher) -> None:  # no mount can be made to hang here
        if watcher._inbox == second:
            asked.set()
            assert answers.wait(30)
        ensure(watcher)

    monkeypatch.setattr(Watcher, "ensure", hanging)
    async with place.running():
        await eventually(asked.is_set)
        place.drop("klip.mp4")
        await eventually(lambda: place.accepted_names())

        answers.set()
        (second / "luar.mp4").write_bytes(b"luar")

        await eventually(lambda: len(place.desk.placed) == 2)


async def test_drops_that_a_mount_holds_in_hand_hold_up_no_other_folder(
    place: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, answers, held = also(place), threading.Event(), list[Path]()
    claim = Vault._claim

    def hanging(vault: Vault, inbox: Path, settled: Settled, stop: threading.Event) -> ClaimedFile:
        if inbox == second:  # no mount can be made to hang here
            held.append(inbox)
            assert answers.wait(30)
        return claim(vault, inbox, settled, stop)

    monkeypatch.setattr(Vault, "_claim", hanging)
    async with place.running(at_once=2) as intake:
        await eventually(lambda: intake.status().canary.at and second.is_dir())
        for number in range(4):
            (second / f"luar {number}.mp4").write_text(f"luar {number}")
        await eventually(lambda: len(held) == 2)

        place.drop("klip.mp4")

        await eventually(lambda: "klip.mp4" in place.accepted_names())
        answers.set()
        await eventually(lambda: place.desk.done == 5)
