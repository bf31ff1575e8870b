"""The two texts that wait in the watched folder for whoever opens it first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hub.api.files import write_atomically
from hub.intake.names import EXAMPLE_NAME, README_NAME
from hub.intake.settings import ApprovalLevel, FolderNames

_README = """\
CARA MENYIARKAN INFORMASI LEWAT FOLDER INI
==========================================

1. Salin berkas yang SUDAH DISETUJUI ke folder ini ({approved}):
   video, audio, gambar, atau poster PDF.

2. {proof}
   Contoh isinya ada di contoh-info.txt.
   Cara memberi nama teks keterangan:
       Imbauan Karhutla.mp4   ->   Imbauan Karhutla.txt

3. Satu informasi dengan beberapa berkas (video + audio + foto):
   buat satu folder, isi dengan semua berkasnya dan teks info.txt, lalu pindahkan folder itu ke sini.

4. Tunggu sebentar. Berkas Anda akan berpindah sendiri:
   - ke folder {accepted}: diterima. Nomornya (misalnya IP-2026-11-0007) ada di teks berakhiran .tanda-terima.txt;
     teks itu diperbarui saat informasi mulai tayang, mengudara, dan diarsipkan.
   - ke folder {refused}: ditolak. Alasannya ada di teks berakhiran .alasan.txt.
     Perbaiki, lalu seret kembali ke folder ini.

   Jika berkas belum juga berpindah, lihat apakah di sebelahnya ada teks berakhiran .alasan.txt.

5. Menarik kembali informasi yang sudah diterima: buat teks (.txt) berisi dua baris ini, lalu simpan di sini:
       Tarik: IP-2026-11-0007
       Alasan: (tulis alasannya)

Berkas yang masih disalin tidak akan diambil. Tidak ada berkas yang dihapus.
Berkas BACA-SAYA.txt dan contoh-info.txt tidak ikut disiarkan.
"""
_PROOF = {
    ApprovalLevel.RECORD: (
        "Sertakan teks keterangan (.txt) dengan nama yang sama.\n"
        "   Nomor persetujuan, Tanggal persetujuan, dan Penyetuju WAJIB diisi."
    ),
    ApprovalLevel.NONE: "Bila perlu, sertakan teks keterangan (.txt) dengan nama yang sama.",
}
EXAMPLE = """\
# Salin teks ini, beri nama yang sama dengan berkas medianya (untuk folder: info.txt), lalu isi.
# Baris yang diawali tanda # dan baris yang nilainya kosong tidak dibaca.

Judul: Imbauan Siaga Karhutla
Ringkasan: Imbauan kepada warga untuk tidak membakar lahan.
Klasifikasi: berkala
# Klasifikasi: berkala, serta-merta, atau setiap saat
Sumber: Dinas Kehutanan

Nomor persetujuan: 188/0041/KOMINFO
Tanggal persetujuan: 3 November 2026
Penyetuju: Kepala Dinas Kominfo

Saluran: videotron, radio
# Saluran: videotron, radio, arsip. Kosong = menurut jenis berkasnya.
Layar:
# Layar: nama layar atau kelompok, dipisah koma. Kosong = semua layar.
Mulai:
# Mulai: kosong = segera. Contoh: 5 November 2026, atau 5 November 2026 08.00
Selesai:
# Selesai: kosong = 30 hari sejak diterima. Tanggal tanpa jam berarti sampai akhir hari itu (WITA).
Hari:
# Hari tayang di layar, misalnya: Senin-Jumat, Minggu. Kosong = setiap hari.
Jam:
# Jam tayang di layar, misalnya: 06.00-09.00, 22.00-05.00 (lewat tengah malam). Kosong = sepanjang hari.
Porsi:
# Porsi: berapa kali tayang dalam satu putaran layar, 1 sampai 10. Kosong = 1.
Prioritas: biasa
# Prioritas: biasa atau segera
Templat:
# Hanya untuk tayangan darurat yang disiapkan lebih dulu, misalnya: banjir. Tidak tayang sebelum diperintahkan.
# Templat: cadangan = tayangan bila layar tidak punya tayangan lain. Kosong = informasi biasa.
"""


def ship_welcome(inbox: Path, folders: FolderNames, level: ApprovalLevel) -> None:
    """Put the two texts there when they are missing or out of date. Blocks. Raises: OSError."""
    names = {"approved": inbox.name, "accepted": folders.accepted, "refused": folders.refused}
    for name, text in (
        (README_NAME, _README.format(proof=_PROOF[level], **names)),
        (EXAMPLE_NAME, EXAMPLE),
    ):
        path = inbox / name
        data = text.replace("\n", "\r\n").encode()  # an old Notepad shows bare newlines as one line
        with suppress(FileNotFoundError):
            if not path.is_symlink() and path.read_bytes() == data:
                continue
        write_atomically(path, data, mode=0o644)
