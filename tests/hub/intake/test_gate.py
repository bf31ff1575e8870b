"""Names of every kind, through the whole gate: seen, settled, claimed, kept under a name that is safe."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.intake.bundle import BundleKind
from hub.intake.claim import Vault
from hub.intake.desk import ClaimedFile
from hub.intake.lookout import Lookout, Ready
from hub.intake.names import archive_name, is_ignored, is_partial
from hub.intake.settings import IntakeSettings
from hub.intake.settle import Settler

AWFUL = [
    b"baris\nbaru\r\n.mp4",
    b"-rf.mp4",
    b"--help",
    b" depan.mp4",
    b"belakang .mp4 ",
    b"%03d.jpg",
    b"%s%n.mp4",
    b"concat:a.mp4|b.mp4",
    b"data:x.mp4",
    b"http:..example.mp4",
    "\u202egpj.exe\u202c.mp4".encode(),
    b"p" * 251 + b".mp4",
    b"\xff\xfe\x80.mp4",
    b"\xed\xa0\x80.mp4",  # a surrogate, which UTF-8 forbids
    b"CON",
    b"aux.mp4",
    b"LPT1.txt.mp4",
    b"titik.mp4.",
    "cafe\u0301 Jum'at.mp4".encode(),  # as a Mac writes it
    "🔥 kebakaran 👩‍🚒.mp4".encode(),
    b"\"kutip\" 'satu' `tiga`.mp4",
    b"$(reboot);&|<>*?\\.mp4",
    b"{nama!r}.mp4",
    b"...mp4x"[1:] and b"a...mp4",
    "\u2028\u200b\ufeff.mp4".encode(),
    b"\x01\x1b[31mmerah.mp4",
    b"~",
    b"#",
    b"=cmd|' 'A0.mp4",
]
any_name = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def through(folder: Path, name: bytes, data: bytes) -> Ready | ClaimedFile | None:
    """What becomes of one file of that name: claimed, ready (a text), or nobody's."""
    inbox, clock = folder / "masuk", SystemClock()
    inbox.mkdir()
    (inbox / os.fsdecode(name)).write_bytes(data)
    values = IntakeSettings(quiet_for_s=0.0, min_free_bytes=0)
    settler = Settler(inbox, values, clock, on_lease_unknown=lambda parts: None)
    found = Lookout(inbox, settler, values, clock).look_round()
    assert not found.arriving
    if not found.ready:
        return None
    (ready,) = found.ready
    if ready.bundle.kind is BundleKind.TEXT:
        return ready
    vault = Vault(folder / "vault", min_free_bytes=0)
    vault.prepare()
    return asyncio.run(vault.claim(inbox, ready.media[0]))


@settings(max_examples=80, deadline=None)
@given(any_name)
@example(b"a" * 255)
@example(b"\xff" * 255)
@example("\u202e".encode())
def test_any_name_is_claimed_or_is_nobodys(name: bytes) -> None:
    data = b"isi-isi-isi " + name
    with tempfile.TemporaryDirectory() as folder:
        found = through(Path(folder), name, data)

        if found is None:
            assert is_ignored(os.fsdecode(name))
        elif isinstance(found, ClaimedFile):
            assert found.sha256 == hashlib.sha256(data).hexdigest()
            assert found.vault_path.read_bytes() == data
            assert found.original_name.encode()
            assert found.original_name.isprintable()


@pytest.mark.parametrize("name", AWFUL, ids=lambda name: repr(name)[:40])
def test_an_awful_name_is_claimed_kept_for_eyes_and_stored_safely(name: bytes, tmp_path: Path) -> None:
    claimed = through(tmp_path, name, b"isi")

    assert isinstance(claimed, ClaimedFile)
    assert claimed.original_name.isprintable()
    assert claimed.vault_path.name == claimed.sha256  # no name from outside is ever a path of ours
    stored = archive_name(os.fsdecode(name))
    assert stored.isprintable()
    assert not set(stored) & set('%\\<>:"/|?*')
    assert not stored.startswith((" ", ".")) or stored == "_"
    assert len(stored.encode()) <= 120


async def test_awful_names_go_all_the_way_and_stay_as_they_are(place: Any, eventually: Any) -> None:
    names = [os.fsdecode(name) for name in AWFUL]
    for number, name in enumerate(names):
        place.drop(name, f"isi {number}")

    async with place.running(sidecar_wait_s=0.0):
        await eventually(lambda: place.desk.done == len(names))

    assert place.left() == set()
    assert set(names) <= place.accepted_names()
    assert len({file.sha256 for one in place.desk.submissions for file in one.files}) == len(names)


NOBODYS = [
    "a.part", "a.filepart", "a.tmp", "a.crdownload", "A.MP4.PART", "~$surat.docx", ".DS_Store", "._klip.mp4",
    "Thumbs.db", "desktop.ini", ".syncthing.klip.mp4.tmp", "~syncthing~klip.mp4.tmp", "@eaDir", ".tersembunyi",
    ".klip.mp4.Xy12Zq", ".siarhub-canary", "$RECYCLE.BIN", "System Volume Information", "lost+found",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_what_is_nobodys_stays_untouched(place: Any, eventually: Any, kind: str) -> None:
    for name in NOBODYS:
        if kind == "file":
            place.drop(name, b"isi")
        else:
            (place.inbox / name).mkdir()
            (place.inbox / name / "a.mp4").write_bytes(b"isi")
    async with place.running() as intake:
        place.drop("klip.mp4")
        await eventually(lambda: place.desk.placed)

        assert intake.status().waiting == ()

    assert place.desk.done == 1
    assert place.left() >= set(NOBODYS)


async def test_what_is_nobodys_in_a_folder_does_not_count_as_its_files(place: Any, eventually: Any) -> None:
    folder = place.inbox / "paket"
    folder.mkdir()
    for name in ("klip.mp4", "Thumbs.db", ".DS_Store", "._klip.mp4", "desktop.ini", "~$info.docx"):
        (folder / name).write_bytes(name.encode())
    async with place.running():
        await eventually(lambda: place.desk.placed)

    assert [file.original_name for file in place.desk.submissions[0].files] == ["klip.mp4"]


def test_thousands_of_names_are_judged_in_milliseconds() -> None:
    names = [f"Siaran Pagi {number:05}.mp4.part" for number in range(20_000)]
    began = time.process_time()

    assert all(is_ignored(name) and is_partial(name) for name in names)

    assert time.process_time() - began < 0.2  # about 0.01 on a quiet machine
