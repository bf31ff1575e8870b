"""Bad input to the running chain: a clear reason in Indonesian, the hub stays up, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.media.samples import make_concat_list, make_half_copied, make_playlist, make_poster, make_text
from tests.system.chain import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

ENGLISH = re.compile(r"\b(the|please|file is|cannot|not|error|invalid|must|unknown)\b", re.IGNORECASE)
REMEDY = re.compile(r"\b(mohon|silakan|tolong|harap|salin|tulis|perbaiki|pilih|periksa|gunakan|taruh|masukkan)", re.I)
SAMPLE_NAMES = (
    b"-i.png", b"%d.jpg", b" spasi.png", b"baris\nbaru.png", b"n" * 251 + b".png", "🎉 pesta 🎊.png".encode(),
    b"rusak\xff\xfe.png", b"$(reboot);`id`.png", b"a'b\"c&d|e>f.png", "\u202egnp.exe.png".encode(), b"con.png",
)  # fmt: skip


async def test_every_odd_drop_ends_accepted_or_refused_with_a_reason_that_helps(chain: Chain, tmp_path: Path) -> None:
    bad = sorted(_drop_bad(chain, tmp_path))
    good = list(_drop_absurd_names(chain, tmp_path))
    upload = chain.inbox / "sedang disalin.png"
    whole = make_poster(tmp_path / "sedang.png", (90, 40)).read_bytes()

    with upload.open("wb") as writer:
        writer.write(whole[:100])
        writer.flush()
        await chain.until("all good ones accepted", lambda: len(chain.items()) >= len(good))
        await chain.until("all bad ones refused", lambda: len(chain.reasons()) >= len(bad))
        assert upload.exists()
        assert len(chain.items()) == len(good)
        writer.write(whole[100:])
    await chain.until("the upload too, once it was whole", lambda: len(chain.items()) == len(good) + 1)
    await chain.until("nothing waits", lambda: not _waiting(chain))

    reasons = {one.name.removesuffix(".alasan.txt"): one.read_text() for one in chain.reasons()}
    assert sorted(reasons) == bad
    refused = await asyncio.to_thread(os.listdir, chain.stage.root / "Ditolak")
    for name, text in reasons.items():
        _assert_helps(name, text)
        assert name in refused
    assert "Judul" in reasons["kunci.png"]
    assert "gerbang" in reasons["layar.png"]
    assert _contents(chain.stage.root / "Diterima") >= _contents(tmp_path / "good")
    assert not chain.stage.hub.ended
    _assert_no_traceback(chain)


def _drop_bad(chain: Chain, folder: Path) -> Iterator[str]:
    """Everything that must be refused; yields the name of each anchor."""
    (chain.inbox / "kosong.mp4").touch()
    make_half_copied(folder / "terpotong.mp4")
    make_playlist(folder / "daftar.mp4", "/etc/passwd")
    make_concat_list(folder / "sambungan.mp4", "/etc/passwd")
    make_text(folder / "teks.mp4")
    for name in ("terpotong.mp4", "daftar.mp4", "sambungan.mp4", "teks.mp4"):
        chain.drop(folder / name)
    (chain.inbox / "tautan.mp4").symlink_to("/etc/passwd")
    os.mkfifo(chain.inbox / "pipa.mp4")
    yield from ("kosong.mp4", "terpotong.mp4", "daftar.mp4", "sambungan.mp4", "teks.mp4", "tautan.mp4", "pipa.mp4")
    yield from _drop_bad_sidecars(chain, folder)


def _drop_bad_sidecars(chain: Chain, folder: Path) -> Iterator[str]:
    sidecars = {
        "kunci.png": b"Judull: Imbauan\n",
        "layar.png": b"Layar: gerbnag\n",
        "terbalik.png": b"Mulai: 5 November 2026\nSelesai: 1 November 2026\n",
        "tanggal.png": b"Selesai: 32 November 2026\n",
        "lampau.png": b"Selesai: 1 Januari 2020\n",
        "panjang.png": b"Ringkasan: " + b"a" * 70_000,
        "sejuta.png": b"x\n" * 1_000_000,
        "biner.png": bytes(range(256)),
    }
    for width, (name, text) in enumerate(sidecars.items(), start=60):
        (chain.inbox / name).with_suffix(".txt").write_bytes(text)
        chain.drop(make_poster(folder / name, (width, 40)))
        yield name
    (chain.inbox / "dalam.json").write_text("[" * 30_000)
    chain.drop(make_poster(folder / "dalam.png", (80, 40)))
    yield "dalam.png"


def _drop_absurd_names(chain: Chain, folder: Path) -> Iterator[Path]:
    """Harmless posters, each with other bytes, under names that break careless programs."""
    (folder / "good").mkdir()
    for height, name in enumerate(SAMPLE_NAMES, start=50):
        poster = make_poster(folder / "good" / f"{height}.png", (100, height))
        yield chain.drop(poster, os.fsdecode(name))


def _contents(folder: Path) -> set[bytes]:
    return {one.read_bytes() for one in folder.rglob("*") if one.suffix in (".png", ".jpg")}


def _assert_helps(name: str, text: str) -> None:
    reason = text.partition("Alasan:")[2].partition("\n\n")[0]
    assert reason.strip(), (name, text)
    assert not ENGLISH.search(reason), (name, reason)
    assert REMEDY.search(reason), (name, reason)


def _waiting(chain: Chain) -> list[str]:
    return [one.name for one in chain.inbox.iterdir() if one.name not in ("BACA-SAYA.txt", "contoh-info.txt")]


def _assert_no_traceback(chain: Chain) -> None:
    log = chain.stage.hub.log.read_text(errors="replace")
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]
