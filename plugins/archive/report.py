"""The month's list, "Daftar Informasi Publik yang telah Disebarkan", as CSV that Indonesian Excel opens as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from hub.api import Channel, Item, ItemNumber
from plugins.archive.months import NAMES, Month
from plugins.archive.record import KINDS, primary_kind
from plugins.archive.settings import ArchiveSettings
from plugins.archive.state import MonthTotals

COLUMNS = (
    "No", "Nomor registrasi", "Judul", "Ringkasan isi informasi", "Klasifikasi", "Bentuk", "Durasi (detik)",
    "Penanggung jawab / sumber", "Waktu diterima", "Nomor persetujuan", "Tanggal persetujuan", "Penyetuju",
    "Media", "Masa tayang mulai", "Masa tayang selesai", "Jumlah tayang videotron", "Detik tayang videotron",
    "Jumlah siar radio", "Detik siar radio", "Rincian per tujuan", "Tayang pertama", "Tayang terakhir",
    "Retensi", "Lokasi arsip", "Keterangan", "Unit penguasa", "SHA-256", "Ukuran (bita)", "Nama asli",
)  # fmt: skip

EMERGENCY = "DARURAT-"  # the approval number that `siarhub videotron emergency FILE` writes
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One item in a month's list."""

    number: ItemNumber
    item: Item | None  # None when the hub's records no longer have it
    totals: tuple[MonthTotals, ...]  # of this month
    place: str  # where it is filed, "" when not yet


def list_name(month: Month) -> str:
    """The name of the month's list in `berjalan/`."""
    return f"Daftar Informasi Publik yang telah Disebarkan {month}.csv"


def list_csv(lines: Sequence[Line], settings: ArchiveSettings, zone: tzinfo) -> bytes:
    """The list as UTF-8 with BOM, `;` between cells, and no cell that a spreadsheet could take for a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, line in enumerate(lines, start=1):
        writer.writerow([safe_cell(cell) for cell in _row(number, line, settings, zone)])
    return buffer.getvalue().encode("utf-8-sig")


def safe_cell(text: str) -> str:
    """One line of text, "-" when there is none, with `'` before what a spreadsheet would compute."""
    plain = " ".join(text.replace("\x00", "").encode(errors="replace").decode().split()) or "-"
    return f"'{plain}" if plain.startswith(_FORMULA) and plain != "-" else plain


def _row(number: int, line: Line, settings: ArchiveSettings, zone: tzinfo) -> list[str]:
    return [
        str(number),
        line.number,
        *_item_cells(line.item, zone),
        *_play_cells(line.totals),
        settings.retention,
        line.place,
        _remarks(line),
        settings.unit,
        *_file_cells(line.item),
    ]


def _item_cells(item: Item | None, zone: tzinfo) -> list[str]:
    if item is None:
        return [""] * 13
    approval = item.approval
    duration = max((asset.media.duration_s or 0.0 for asset in item.assets), default=0.0)
    return [
        item.title,
        item.summary,
        item.classification or "",
        ", ".join(dict.fromkeys(KINDS[asset.media.kind] for asset in item.assets)) or KINDS[primary_kind(item)],
        _decimal(duration) if duration else "",
        item.source,
        item.accepted_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        approval.number if approval else "",
        _long_date(approval.date.isoformat()) if approval else "",
        approval.approver if approval else "",
        ", ".join(sorted(channel.value for channel in item.channels if channel is not Channel.ARCHIVE)),
        item.start.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        item.end.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
    ]


def _play_cells(totals: Sequence[MonthTotals]) -> list[str]:
    cells = []
    for channel in (Channel.VIDEOTRON, Channel.RADIO):
        known = [total.destination for total in totals if total.destination.channel == channel.value]
        cells += [str(sum(d.plays for d in known)), _decimal(sum(d.seconds for d in known))]
    return [
        *cells,
        "; ".join(_detail(total) for total in totals),
        _clock(min((total.destination.first for total in totals), default="")),
        _clock(max((total.last for total in totals), default="")),
    ]


def _detail(total: MonthTotals) -> str:
    known = total.destination
    partial = f" + {known.partial} kali tidak penuh" if known.partial else ""
    return f"{known.channel} {known.name}: {known.plays} kali{partial}, {_decimal(known.seconds)} detik"


def _remarks(line: Line) -> str:
    remarks = []
    if not any(total.destination.plays + total.destination.partial for total in line.totals):
        only_archive = line.item is not None and line.item.channels <= {Channel.ARCHIVE}
        remarks.append("hanya diarsipkan" if only_archive else "belum tersiarkan")
    if line.item is not None and line.item.repeats:
        remarks.append(f"siarkan ulang dari {line.item.repeats}")
    if line.item is not None and line.item.approval and line.item.approval.number.startswith(EMERGENCY):
        remarks.append("penyimpangan: siaran darurat")
    if not line.place:
        remarks.append("belum diarsipkan")
    return ", ".join(remarks)


def _file_cells(item: Item | None) -> list[str]:
    if item is None:
        return [""] * 3
    assets = item.assets
    return [
        ", ".join(asset.sha256 for asset in assets),
        ", ".join(str(asset.media.size_bytes) for asset in assets),
        ", ".join(asset.original_name for asset in assets),
    ]


def _decimal(value: float) -> str:
    return f"{value:.1f}".replace(".", ",").removesuffix(",0")


def _clock(iso: str) -> str:
    return iso[:16].replace("T", " ")


def _long_date(iso: str) -> str:
    year, month, day = iso.split("-")
    return f"{int(day)} {NAMES[int(month) - 1]} {year}"


def group(totals: Sequence[MonthTotals]) -> Mapping[ItemNumber, tuple[MonthTotals, ...]]:
    """The totals of a month by item."""
    grouped: dict[ItemNumber, list[MonthTotals]] = {}
    for total in totals:
        grouped.setdefault(total.item, []).append(total)
    return {number: tuple(of_item) for number, of_item in grouped.items()}
