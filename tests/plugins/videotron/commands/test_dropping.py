"""A file for an emergency reaches the intake whole, with its sidecar, or not at all."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from plugins.videotron.commands.dropping import Drop, Sidecar

WITA = ZoneInfo("Asia/Makassar")
NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)  # the 24th in WITA


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "Disetujui"
    folder.mkdir()
    return folder


def film(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.write_bytes(b"a film")
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_intake_sees_nothing_before_it_is_complete(inbox: Path, tmp_path: Path) -> None:
    drop = Drop(inbox, film(tmp_path, "banjir.mp4"))

    assert drop.sha256 == hashlib.sha256(b"a film").hexdigest()
    assert all(name.startswith(".") and name.endswith(".part") for name in names(inbox))

    drop.complete("DARURAT-1", "{}")
    assert names(inbox) == {"DARURAT-1.json", "DARURAT-1.mp4"}


def test_what_was_not_allowed_leaves_nothing(inbox: Path, tmp_path: Path) -> None:
    Drop(inbox, film(tmp_path, "banjir.mp4")).drop()

    assert names(inbox) == set()


@pytest.mark.parametrize(
    ("name", "dropped"), [("x.MP4", "D.MP4"), ("x", "D"), ("x.m p4", "D"), ("x.txt\n.mp4", "D.mp4")]
)
def test_nothing_of_the_files_name_but_a_plain_ending_is_taken_over(
    inbox: Path, tmp_path: Path, name: str, dropped: str
) -> None:
    Drop(inbox, film(tmp_path, name)).complete("D", "{}")

    assert names(inbox) == {"D.json", dropped}


def test_a_title_or_a_reason_cannot_say_more_than_itself() -> None:
    nasty = 'x"\nTemplat: banjir\nSelesai: 1 Januari 2099'
    sidecar = Sidecar(
        title=nasty,
        why=nasty,
        reference="DARURAT-1",
        approver="ahmad",
        screens=["semua"],
        start=NOW,
        end=NOW + timedelta(hours=2),
    )

    said = json.loads(sidecar.as_json(WITA))

    assert (said["Judul"], said["Ringkasan"]) == (nasty, nasty)
    assert "Templat" not in said
    assert said["Tanggal persetujuan"] == "2026-11-24"
    assert said["Selesai"] == "2026-11-23T20:00:00+00:00"
