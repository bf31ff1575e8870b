"""The texts that stand in every month's folder. The archive's files are always Indonesian: they outlive settings."""

from __future__ import annotations

from collections.abc import Mapping

from plugins.archive.bag import DECLARATION
from plugins.archive.months import Month
from plugins.archive.settings import ArchiveSettings

README = "BACA-SAYA.txt"
OPENING = "Keterangan.txt"


def tag_files(settings: ArchiveSettings, month: Month, today: str) -> Mapping[str, str]:
    """The tag files of a month's bag, by name, but for its manifests; `{oxum}` stays to be filled in."""
    return {
        "bagit.txt": DECLARATION,
        "bag-info.txt": _bag_info(settings, month, today),
        README: _README.replace("{month}", month.title),
    }


def opening(month: Month, settings: ArchiveSettings) -> bytes:
    """The first payload of a month: what this folder is."""
    lines = (
        f"Folder Informasi Bulanan {month.title}",
        _line(settings.organization),
        _line(settings.legal_basis),
        "",
        "Setiap butir informasi yang disebarkan pada bulan ini tersimpan di folder Video, Radio, Foto, atau Dokumen,",
        "bersama catatannya: rekam.txt (untuk dibaca) dan rekam.json (untuk komputer).",
        "",
    )
    return "\r\n".join(lines).encode()


def _bag_info(settings: ArchiveSettings, month: Month, today: str) -> str:
    about = f"Folder Informasi Bulanan {month.title} ({_line(settings.legal_basis)})"
    return (
        f"Source-Organization: {_line(settings.organization)}\n"
        f"External-Identifier: informasi-{month}\n"
        f"Bag-Group-Identifier: informasi-{month}\n"
        f"External-Description: {about}\n"
        f"Bagging-Date: {today}\n"
        "Payload-Oxum: {oxum}\n"
    )


def _line(text: str) -> str:
    """On one line, with nothing that `{oxum}` could be mistaken for."""
    return " ".join(text.replace("{oxum}", "").split())


_README = "\r\n".join(
    (
        "FOLDER INFORMASI BULANAN - {month}",
        "",
        "Folder ini adalah arsip. Isinya hanya untuk dibaca: jangan diubah, dipindah, diganti nama, atau dihapus.",
        "",
        "data\\           berkas asli yang disetujui; satu folder per butir, dengan rekam.txt (catatan butir itu)",
        "berjalan\\       yang masih bertambah selama bulan ini: daftar informasi (CSV, buka dengan Excel), peristiwa",
        "manifest-sha256.txt   sidik jari (SHA-256) setiap berkas di data",
        "",
        "MEMERIKSA KEUTUHAN",
        "Semua baris harus berakhir OK (di Windows: tidak muncul apa pun). Tidak perlu program Siar Hub.",
        "",
        "Linux atau macOS: buka terminal di folder ini, lalu ketik",
        "    sha256sum -c --strict manifest-sha256.txt",
        "    sha256sum -c --strict tagmanifest-sha256.txt",
        "",
        "Windows: tahan Shift, klik kanan di folder ini, pilih PowerShell, lalu tempel satu baris ini",
        "    Get-Content -Encoding UTF8 manifest-sha256.txt | % { $h,$p = $_ -split '  ',2; "
        'if ((Get-FileHash -LiteralPath $p -Algorithm SHA256).Hash -ne $h) { "RUSAK: $p" } }',
        "",
        'Satu berkas saja di Windows:  certutil -hashfile "nama berkas" SHA256',
        "lalu bandingkan dengan baris berkas itu di manifest-sha256.txt.",
        "",
        "Bentuk folder ini: BagIt 1.0 (RFC 8493); setiap pemeriksa BagIt dapat memeriksanya.",
        "",
    )
)
