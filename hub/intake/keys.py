"""The keys of a sidecar: Indonesian or English, in any case, and the nearest known one for a mistyped key."""

from __future__ import annotations

import difflib
import re
from enum import StrEnum

from hub.messages import Refusal


class Field(StrEnum):
    """What a sidecar can say; the value is the key that answers name."""

    TITLE = "Judul"
    SUMMARY = "Ringkasan"
    CLASSIFICATION = "Klasifikasi"
    SOURCE = "Sumber"
    APPROVAL_NUMBER = "Nomor persetujuan"
    APPROVAL_DATE = "Tanggal persetujuan"
    APPROVER = "Penyetuju"
    CHANNELS = "Saluran"
    SCREENS = "Layar"
    START = "Mulai"
    END = "Selesai"
    DAYS = "Hari"
    DAYPARTS = "Jam"
    SHARE = "Porsi"
    TEMPLATE = "Templat"
    PRIORITY = "Prioritas"
    WITHDRAW = "Tarik"
    REASON = "Alasan"


_SYNONYMS = {
    Field.TITLE: "title, nama informasi",
    Field.SUMMARY: "summary, deskripsi, description, isi ringkas",
    Field.CLASSIFICATION: "classification, klasifikasi informasi",
    Field.SOURCE: "source, sumber informasi, skpd",
    Field.APPROVAL_NUMBER: "nomor, no persetujuan, no, nomor surat, persetujuan, approval, approval number",
    Field.APPROVAL_DATE: "tanggal, tgl persetujuan, tgl, approval date",
    Field.APPROVER: "approver, disetujui oleh, approved by, pejabat penyetuju, approval approver",
    Field.CHANNELS: "channels, channel, media",
    Field.SCREENS: "screens, screen, kelompok, grup, groups, group, kelompok layar",
    Field.START: "start, mulai tayang, tanggal mulai",
    Field.END: "end, selesai tayang, tanggal selesai, sampai, berakhir",
    Field.DAYS: "days, day, weekdays, hari tayang",
    Field.DAYPARTS: "dayparts, daypart, hours, jam tayang, waktu tayang",
    Field.SHARE: "share, bagian, porsi tayang, jatah",
    Field.TEMPLATE: "template, template darurat, templat darurat",
    Field.PRIORITY: "priority",
    Field.WITHDRAW: "withdraw, tarik informasi",
    Field.REASON: "reason",
}
_KEYS = {field.value.casefold(): field for field in Field} | {
    key: field for field, keys in _SYNONYMS.items() for key in keys.split(", ")
}


def field_of(key: str) -> Field:
    """The field that a key names. Raises: Refusal with the nearest known key."""
    plain = " ".join(re.sub(r"[\s_.\-*#]+", " ", key.casefold()).split())
    if plain in _KEYS:
        return _KEYS[plain]
    near = difflib.get_close_matches(plain, _KEYS, n=1, cutoff=0.6)
    if near:
        raise Refusal(
            'The sidecar has an unknown key "{key}". Did you mean "{nearest}"? Please correct it and drop it again.',
            key=key[:80],
            nearest=_shown(near[0]),
        )
    raise Refusal(
        'The sidecar has an unknown key "{key}". Known keys: {known}. Please correct it and drop it again.',
        key=key[:80],
        known=", ".join(field.value for field in Field),
    )


def _shown(key: str) -> str:
    """The key as a person would write it: an English one stays English."""
    return key.capitalize()
