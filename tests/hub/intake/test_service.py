"""What happens to a drop, seen from people's folders and from the desk."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from asyncio.subprocess import create_subprocess_exec
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.api import Sha256
from hub.api.files import sha256_of
from hub.intake.desk import Postponed, Refused, Submission, Verdict
from hub.intake.names import receipt_name
from hub.intake.settings import ApprovalLevel

SIDECAR = "Judul: Imbauan\nNomor persetujuan: 188/0041\nTanggal persetujuan: 3 November 2026\nPenyetuju: Kepala Dinas\n"


async def test_a_file_with_its_sidecar_is_accepted_and_moves_with_a_receipt(place: Any, eventually: Any) -> None:
    place.drop("klip.mp4", b"gambar", sidecar=SIDECAR)

    async with place.running(ApprovalLevel.RECORD):
        await eventually(lambda: place.desk.placed)

    assert place.accepted_names() == {"klip.mp4", "klip.txt", "klip.mp4.tanda-terima.txt"}
    assert place.left() == set()
    (submission,) = place.desk.submissions
    assert submission.sidecar.approval_number == "188/0041"
    (file,) = submission.files
    assert file.vault_path.read_bytes() == b"gambar"
    assert file.vault_path.name == file.sha256 == sha256_of(file.vault_path)
    assert stat.S_IMODE(file.vault_path.stat().st_mode) == 0o444
    assert place.desk.placed[0][1].read_bytes() == b"gambar"


async def test_a_file_dropped_while_running_is_taken_without_waiting_for_the_rescan(
    place: Any, eventually: Any, tmp_path: Path
) -> None:
    outside = tmp_path / "dari-luar.mp4"
    outside.write_bytes(b"luar")
    async with place.running(rescan_every_s=600.0) as intake:
        await eventually(lambda: intake.status().watch == "events")

        outside.rename(place.inbox / "pindahan.mp4")
        (place.inbox / "unggahan.mp4.part").write_bytes(b"unggah")
        (place.inbox / "unggahan.mp4.part").rename(place.inbox / "unggahan.mp4")

        await eventually(lambda: len(place.desk.placed) == 2)
    assert place.left() == set()


async def test_without_a_sidecar_a_file_waits_for_it_and_is_then_refused(place: Any, eventually: Any) -> None:
    place.desk.answer = lambda s: Refused(reason="tanpa bukti") if s.sidecar is None else None
    place.drop("telat.mp4", b"satu")
    place.drop("sendiri.mp4", b"dua")

    async with place.running(ApprovalLevel.RECORD, sidecar_wait_s=1.0) as intake:
        await eventually(lambda: any("keterangan" in w.why for w in intake.status().waiting))
        (place.inbox / "telat.txt").write_text(SIDECAR)
        await eventually(lambda: place.desk.done == 2)

    assert place.refused_names() == {"sendiri.mp4", "sendiri.mp4.alasan.txt"}
    assert "tanpa bukti" in (place.refused / "sendiri.mp4.alasan.txt").read_text()
    assert {"telat.mp4", "telat.txt"} <= place.accepted_names()


async def test_a_refused_file_can_be_dragged_back_with_its_reason(place: Any, eventually: Any) -> None:
    verdicts: list[Verdict | None] = [Refused(reason="belum"), None]
    place.desk.answer = lambda s: verdicts.pop(0)
    place.drop("klip.mp4")
    async with place.running():
        await eventually(lambda: place.desk.refusals)

        for name in ("klip.mp4.alasan.txt", "klip.mp4"):
            (place.refused / name).rename(place.inbox / name)

        await eventually(lambda: place.desk.placed)
    assert place.left() == set()
    assert place.refused_names() == set()


async def test_people_may_tidy_away_the_folders_of_what_is_done(place: Any, eventually: Any) -> None:
    async with place.running() as intake:
        await eventually(lambda: place.refused.is_dir() and intake.status().watch.value != "starting")
        shutil.rmtree(place.refused)
        shutil.rmtree(place.root / "Diterima")

        place.drop("kosong.mp4", b"")
        place.drop("klip.mp4")

        await eventually(lambda: place.desk.refusals and place.desk.placed)
    assert place.refused_names() == {"kosong.mp4", "kosong.mp4.alasan.txt"}
    assert "klip.mp4" in place.accepted_names()


async def test_a_bad_sidecar_is_refused_together_with_its_media(place: Any, eventually: Any) -> None:
    place.drop("klip.mp4", sidecar="Judull: X\n")

    async with place.running():
        await eventually(lambda: place.desk.refusals)

    assert place.refused_names() == {"klip.mp4", "klip.txt", "klip.mp4.alasan.txt"}
    assert "Judul" in place.desk.refusals[0][1]


async def test_a_folder_is_one_item_and_moves_as_a_whole(place: Any, eventually: Any, tmp_path: Path) -> None:
    folder = tmp_path / "Siaga Karhutla"
    folder.mkdir()
    (folder / "video.mp4").write_bytes(b"v")
    (folder / "suara.mp3").write_bytes(b"s")
    (folder / "info.txt").write_text(SIDECAR)
    (folder / "Thumbs.db").write_bytes(b"x")
    async with place.running(ApprovalLevel.RECORD):
        folder.rename(place.inbox / folder.name)
        await eventually(lambda: place.desk.placed)

    (submission,) = place.desk.submissions
    assert submission.folder
    assert submission.name == "Siaga Karhutla"
    assert [file.original_name for file in submission.files] == ["suara.mp3", "video.mp4"]
    assert submission.sidecar.approver == "Kepala Dinas"
    assert {p.name for p in place.desk.placed[0][1].iterdir()} == {"video.mp4", "suara.mp3", "info.txt", "Thumbs.db"}
    assert "Siaga Karhutla.tanda-terima.txt" in place.accepted_names()


async def test_an_empty_folder_and_a_folder_in_a_folder_are_refused(place: Any, eventually: Any) -> None:
    (place.inbox / "kosong").mkdir()
    (place.inbox / "luar" / "dalam").mkdir(parents=True)

    async with place.running():
        await eventually(lambda: len(place.desk.refusals) == 2)

    assert {name for name, _ in place.desk.refusals} == {"kosong", "luar"}
    assert (place.refused / "luar" / "dalam").is_dir()


async def test_a_withdrawal_note_reaches_the_desk_with_its_owner(place: Any, eventually: Any) -> None:
    place.drop("tarik.txt", "Tarik: ip-2026-11-0007\r\nAlasan: salah tanggal\r\n")
    place.drop("tarik lain.txt", "Tarik: IP-2026-11-9999\nAlasan: x\n")

    async with place.running():
        await eventually(lambda: place.desk.refusals and "tarik.txt" in place.accepted_names())

    assert {(note.number, note.reason) for note, _ in place.desk.notes} >= {("IP-2026-11-0007", "salah tanggal")}
    assert place.desk.notes[0][1] == __import__("pwd").getpwuid(os.geteuid()).pw_name
    assert "tarik lain.txt" in place.refused_names()
    assert place.left() == set()


async def test_a_lone_sidecar_waits_then_is_refused(place: Any, eventually: Any) -> None:
    place.drop("sendiri.txt", SIDECAR)

    async with place.running():
        await eventually(lambda: place.desk.refusals)

    assert place.refused_names() == {"sendiri.txt", "sendiri.txt.alasan.txt"}


async def test_a_lone_sidecar_waits_as_long_as_its_media_is_uploading(place: Any, eventually: Any) -> None:
    place.drop("klip.txt", SIDECAR)
    upload = place.drop("klip.mp4.part", b"setengah")

    async with place.running(sidecar_wait_s=0.0) as intake:
        await eventually(lambda: any(w.name == "klip.txt" for w in intake.status().waiting))
        upload.rename(place.inbox / "klip.mp4")
        await eventually(lambda: place.desk.placed)

    assert place.desk.submissions[0].sidecar is not None
    assert place.desk.refusals == []


async def test_the_same_bytes_at_once_reach_the_desk_one_after_the_other(place: Any, eventually: Any) -> None:
    place.drop("a.mp4", b"sama")
    place.drop("b.mp4", b"sama")

    async with place.running():
        await eventually(lambda: place.desk.done == 2)

    assert len(place.desk.placed) == len(place.desk.refusals) == 1
    assert place.desk.most_at_once == 1


async def test_odd_kinds_are_refused_with_the_reason_and_never_opened(
    place: Any, eventually: Any, tmp_path: Path
) -> None:
    secret = tmp_path / "rahasia.mp4"
    secret.write_bytes(b"rahasia")
    (place.inbox / "tautan.mp4").symlink_to(secret)
    os.mkfifo(place.inbox / "pipa.mp4")
    os.link(secret, place.inbox / "keras.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.inbox / "soket.mp4"))
    place.drop("kosong.mp4", b"")
    place.drop("baik.mp4", b"baik")

    async with place.running():
        await eventually(lambda: place.desk.done == 6)

    names = {"tautan.mp4", "pipa.mp4", "keras.mp4", "soket.mp4", "kosong.mp4"}
    assert {name for name, _ in place.desk.refusals} == names
    assert names <= place.refused_names()
    assert secret.read_bytes() == b"rahasia"
    assert [name for name, _ in place.desk.placed] == ["baik.mp4"]


AWFUL = [
    "-i.mp4",
    "%d.jpg",
    " spasi depan.mp4",
    "baris\nbaru.mp4",
    "a" * 251 + ".mp4",
    "é" * 125 + ".mp4",
    "🔥🔥 hutan.mp4",
    "\u202egpj.exe.mp4",
    "titik.",
    "CON.mp4",
    "'; rm -rf.mp4",
    "tanpa-akhiran",
    os.fsdecode(b"rusak\xff\xfe.mp4"),
    "{nama}.mp4",
]


@pytest.mark.parametrize("level", [None, Refused(reason="ditolak {x}")], ids=["accepted", "refused"])
async def test_names_of_every_awful_kind_survive(place: Any, eventually: Any, level: Verdict | None) -> None:
    place.desk.answer = lambda s: level
    for number, name in enumerate(AWFUL):
        place.drop(name, f"isi {number}")

    async with place.running():
        await eventually(lambda: place.desk.done == len(AWFUL))

    assert place.left() == set()
    if level is None:
        assert place.accepted_names() == {*AWFUL, *map(receipt_name, AWFUL)}
        assert all(s.name.isprintable() and s.name.encode() for s in place.desk.submissions)
    else:
        assert set(AWFUL) <= place.refused_names()


async def test_nothing_is_overwritten_when_names_come_again(place: Any, eventually: Any) -> None:
    async with place.running():
        for data in (b"satu", b"dua", b"tiga"):
            place.drop("klip.mp4", data, sidecar=SIDECAR)
            count = place.desk.done + 1
            await eventually(lambda count=count: place.desk.done == count)

    assert {"klip.mp4", "klip (2).mp4", "klip (2).txt", "klip (3).mp4", "klip (3).mp4.tanda-terima.txt"} <= (
        place.accepted_names()
    )


async def test_what_is_postponed_stays_and_is_tried_again(place: Any, eventually: Any) -> None:
    verdicts: list[Verdict | None] = [Postponed(reason="pemutar sibuk"), None]
    place.desk.answer = lambda s: verdicts.pop(0)
    place.drop("klip.mp4")

    async with place.running() as intake:
        await eventually(lambda: any(w.why == "pemutar sibuk" for w in intake.status().waiting))
        assert place.left() == {"klip.mp4"}
        await eventually(lambda: place.desk.placed)


async def test_a_desk_that_crashes_on_one_file_does_not_stop_the_others(place: Any, eventually: Any) -> None:
    def answer(submission: Submission) -> Verdict | None:
        if submission.name == "racun.mp4":
            raise ZeroDivisionError
        return None

    place.desk.answer = answer
    place.drop("racun.mp4", b"r")
    place.drop("zaitun.mp4", b"z")

    async with place.running() as intake:
        await eventually(lambda: place.desk.placed)
        await eventually(lambda: any(w.name == "racun.mp4" for w in intake.status().waiting))

    assert [name for name, _ in place.desk.placed] == ["zaitun.mp4"]


async def test_a_pause_for_want_of_space_keeps_files_and_ends_by_itself(place: Any, eventually: Any) -> None:
    place.drop("klip.mp4")

    async with place.running(min_free_bytes=1 << 60) as intake:
        await eventually(lambda: intake.status().paused)
        assert "penuh" in intake.status().paused
        assert place.left() == {"klip.mp4"}
    async with place.running():
        await eventually(lambda: place.desk.placed)


async def test_a_burst_of_files_is_taken_whole_and_in_order(place: Any, eventually: Any) -> None:
    names = [f"{number:03}.mp4" for number in range(300)]
    for name in names:
        place.drop(name, name)

    async with place.running():
        await eventually(lambda: place.desk.done == len(names), within_s=40)

    assert sorted(name for name, _ in place.desk.placed) == names
    first_hundred = {submission.name for submission in place.desk.submissions[:100]}
    assert len(first_hundred & set(names[:110])) == 100
    assert place.left() == set()


async def test_an_accepted_file_that_is_gone_is_closed_at_start_and_found_where_it_was_moved(
    place: Any, eventually: Any
) -> None:
    moved = place.root / "Diterima" / "2026-11" / "klip (2).mp4"
    moved.parent.mkdir(parents=True)
    moved.write_bytes(b"isi")
    place.desk.open = {("klip.mp4", frozenset({sha256_of(moved)})), ("hilang.mp4", frozenset({Sha256("0" * 64)}))}

    async with place.running():
        await eventually(lambda: len(place.desk.placed) == 2)

    assert dict(place.desk.placed) == {"klip.mp4": moved, "hilang.mp4": None}


async def test_the_welcome_texts_stand_there_and_are_not_taken(place: Any, eventually: Any) -> None:
    place.drop("klip.mp4")

    async with place.running():
        await eventually(lambda: place.desk.placed)

    assert "Ditolak" in (place.inbox / "BACA-SAYA.txt").read_text()
    assert "Nomor persetujuan" in (place.inbox / "contoh-info.txt").read_text()
    assert place.desk.done == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other people")
async def test_the_file_that_the_hub_may_not_read_stays_with_the_reason_beside_it(
    place: Any, open_folder: Path
) -> None:
    place = replace(place, root=open_folder / "root", vault=open_folder / "vault")
    for folder in (place.inbox, place.root / "Diterima", place.root / "Ditolak", place.vault):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    place.drop("milik-root.mp4").chmod(0o600)
    place.drop("terbuka.mp4", b"terbuka").chmod(0o644)
    closed = place.inbox / "folder-root"
    closed.mkdir(mode=0o700)

    program = Path(__file__).with_name("as_another_user.py")
    process = await create_subprocess_exec(sys.executable, str(program), str(place.root), str(place.vault))
    try:
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()

    assert "terbuka.mp4" in place.accepted_names()
    assert {"milik-root.mp4", "milik-root.mp4.alasan.txt", "folder-root", "folder-root.alasan.txt"} <= place.left()
