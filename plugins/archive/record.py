"""The first record of an item: rekam.json for machines, rekam.txt with the same for a clerk with Notepad.

What is not known stays empty (null) and is printed "-"; nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from hub.api import Asset, Item, MediaKind
from plugins.archive.months import local_iso
from plugins.archive.settings import ArchiveSettings

JSON_NAME = "rekam.json"
TEXT_NAME = "rekam.txt"

KINDS = {
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio",
    MediaKind.IMAGE: "foto",
    MediaKind.DOCUMENT: "dokumen",
}


class Cause(StrEnum):
    """Why an item is filed, and thereby in which month."""

    PLAYED = "terbukti tayang"
    ACCEPTED = "diterima untuk arsip saja"
    ENDED = "belum tersiarkan sampai masa tayang berakhir"
    WITHDRAWN = "belum tersiarkan sampai ditarik"

    @property
    def never_played(self) -> bool:
        return self in (Cause.ENDED, Cause.WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What is known of an item at one destination: scheduled, delivered and played are three different facts."""

    channel: str  # the plugin that serves it
    name: str
    planned: bool | None = None  # None: not known
    delivered: bool | None = None
    plays: int = 0  # proved, to their end
    partial: int = 0  # proved, not to their end
    seconds: float = 0.0
    first: str = ""  # ISO 8601 of the first proven play


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """An item to be filed: when and why, with the names of its files in the archive and what is known by then."""

    item: Item
    at: datetime
    cause: Cause
    now: datetime
    names: tuple[str, ...]  # of item.assets, in the archive
    destinations: tuple[Destination, ...] = ()


def primary_kind(item: Item) -> MediaKind:
    """The kind that decides the media folder: video before audio before image before document."""
    present = {asset.media.kind for asset in item.assets}
    return next((kind for kind in KINDS if kind in present), MediaKind.DOCUMENT)


def size_of(asset: Asset) -> int:
    """Bytes of an original, as it stands; as it was measured when it cannot be looked at."""
    try:
        return asset.path.stat().st_size
    except OSError:
        return asset.media.size_bytes


def record_json(filing: Filing, settings: ArchiveSettings, zone: tzinfo) -> bytes:
    """The content of rekam.json."""
    return (json.dumps(record(filing, settings, zone), ensure_ascii=False, indent=2) + "\n").encode()


def record_text(filing: Filing, settings: ArchiveSettings, zone: tzinfo) -> bytes:
    """The content of rekam.txt: the same facts as `Kunci: nilai` lines."""
    lines = _flatten(record(filing, settings, zone))
    return "".join(f"{key}: {value}\r\n" for key, value in lines).encode("utf-8-sig")


def record(filing: Filing, settings: ArchiveSettings, zone: tzinfo) -> Mapping[str, Any]:
    """The record as plain values; times carry the offset of the people's zone."""
    item = filing.item
    return {
        "versi": 1,
        "nomor": item.number,
        "judul": item.title,
        "ringkasan": item.summary or None,
        "klasifikasi": item.classification,
        "jenis": KINDS[primary_kind(item)],
        "sumber": item.source or None,
        "unit_penguasa": settings.unit,
        "lembaga": settings.organization,
        "diterima": local_iso(item.accepted_at, zone),
        "jalur": "ulang" if item.repeats else "serta-merta" if item.classification == "serta-merta" else "biasa",
        "mengulang": item.repeats,
        "saluran": sorted(item.channels),
        "layar": list(item.screens),
        "masa_tayang": {
            "mulai": local_iso(item.start, zone),
            "selesai": local_iso(item.end, zone),
            "hari": list(item.days),
            "jam": item.dayparts or None,
            "porsi": item.share,
        },
        "templat": item.template or None,
        "persetujuan": _approval(item),
        "berkas": [_file(asset, name) for asset, name in zip(item.assets, filing.names, strict=True)],
        "diarsipkan": {
            "waktu": local_iso(filing.now, zone),
            "sebab": filing.cause,
            "waktu_sebab": local_iso(filing.at, zone),
            "belum_tersiarkan": filing.cause.never_played,
        },
        "tayang": [_destination(destination) for destination in filing.destinations],
        "retensi": {"jra": None, "keterangan": settings.retention},
    }


def _approval(item: Item) -> Mapping[str, Any]:
    approval = item.approval
    if approval is None:
        return {"nomor": None, "tanggal": None, "penyetuju": None}
    return {"nomor": approval.number, "tanggal": approval.date.isoformat(), "penyetuju": approval.approver}


def _file(asset: Asset, name: str) -> Mapping[str, Any]:
    media = asset.media
    return {
        "nama": name,
        "nama_asli": asset.original_name.encode(errors="backslashreplace").decode(),
        "bita": size_of(asset),
        "sha256": asset.sha256,
        "format": media.container,
        "jenis": KINDS[media.kind],
        "durasi_detik": media.duration_s,
        "lebar": media.width,
        "tinggi": media.height,
        "kodek_gambar": media.video_codec or None,
        "kodek_suara": media.audio_codec or None,
        "halaman": media.pages,
    }


def _destination(known: Destination) -> Mapping[str, Any]:
    return {
        "saluran": known.channel,
        "tujuan": known.name,
        "dijadwalkan": known.planned,
        "dikirim": known.delivered,
        "terbukti": known.plays + known.partial > 0,
        "jumlah_penuh": known.plays,
        "jumlah_tidak_penuh": known.partial,
        "detik": round(known.seconds, 1),
        "pertama": known.first or None,
    }


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        word = key.replace("_", " ")
        name = f"{prefix}{word}" if prefix else word.capitalize()
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{name}, ")
        elif isinstance(inner, Sequence) and not isinstance(inner, str):
            yield from _flatten_list(name, inner)
        else:
            yield name, _plain(inner)


def _flatten_list(name: str, values: Sequence[Any]) -> Iterator[tuple[str, str]]:
    if not values or not isinstance(values[0], Mapping):
        yield name, ", ".join(_plain(value) for value in values) or "-"
        return
    for number, value in enumerate(values, start=1):
        yield from _flatten(value, f"{name} {number}, ")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "ya" if value else "tidak"
    return " ".join(str(value).split()) if value not in (None, "") else "-"
