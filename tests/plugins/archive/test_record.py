from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import Approval, Classification, ItemNumber, MediaKind
from hub.testing import NOON, make_asset, make_item, make_media
from plugins.archive.record import Cause, Destination, Filing, primary_kind, record_json, record_text
from plugins.archive.settings import ArchiveSettings

WITA = ZoneInfo("Asia/Makassar")
SETTINGS = ArchiveSettings()


def filing(**changes: Any) -> Filing:
    known = Destination(channel="videotron", name="gerbang", delivered=True, plays=3, seconds=18.04)
    base = Filing(item=make_item(), at=NOON, now=NOON, cause=Cause.PLAYED, names=("contoh.mp4",), destinations=(known,))
    return replace(base, **changes)


def text_of(of: Filing) -> dict[str, str]:
    lines = record_text(of, SETTINGS, WITA).decode("utf-8-sig").splitlines()
    return dict(line.split(": ", 1) for line in lines)


def test_the_record_names_the_file_its_hash_and_the_approval() -> None:
    approval = Approval(number="0041/KUM", date=date(2026, 11, 3), approver="Kepala Dinas")
    item = make_item(approval=approval, repeats=ItemNumber("IP-2026-10-0003"), classification=Classification.PERIODIC)

    record = json.loads(record_json(filing(item=item), SETTINGS, WITA))

    assert record["nomor"] == "IP-2026-11-0001"
    assert record["berkas"][0]["sha256"] == "a" * 64
    assert record["persetujuan"] == {"nomor": "0041/KUM", "tanggal": "2026-11-03", "penyetuju": "Kepala Dinas"}
    assert (record["jalur"], record["mengulang"]) == ("ulang", "IP-2026-10-0003")
    assert record["masa_tayang"]["mulai"] == "2026-11-22T12:00:00+08:00"


def test_the_record_says_how_it_came_round() -> None:
    item = make_item(days=(1, 7), dayparts="22:00-05:00", share=3, template="banjir")

    record = json.loads(record_json(filing(item=item), SETTINGS, WITA))

    window = record["masa_tayang"]
    assert (window["hari"], window["jam"], window["porsi"]) == ([1, 7], "22:00-05:00", 3)
    assert record["templat"] == "banjir"
    assert text_of(filing(item=item))["Masa tayang, hari"] == "1, 7"


def test_scheduled_delivered_and_proved_stay_three_facts_and_the_unknown_stays_unknown() -> None:
    (known,) = json.loads(record_json(filing(), SETTINGS, WITA))["tayang"]

    assert (known["dijadwalkan"], known["dikirim"], known["terbukti"]) == (None, True, True)
    lines = text_of(filing())
    assert lines["Tayang 1, dijadwalkan"] == "-"
    assert lines["Ringkasan"] == "-"
    assert lines["Persetujuan, nomor"] == "-"


def test_no_text_of_an_item_can_add_a_line_to_the_record() -> None:
    lines = text_of(filing(item=make_item(title="a\nNomor: IP-0000-00-0000\r\nx", summary="b\u2028c")))

    assert lines["Judul"] == "a Nomor: IP-0000-00-0000 x"
    assert lines["Nomor"] == "IP-2026-11-0001"
    assert lines["Ringkasan"] == "b c"


def test_an_item_of_several_files_stands_in_the_folder_of_its_foremost_kind() -> None:
    kinds = (MediaKind.DOCUMENT, MediaKind.AUDIO, MediaKind.VIDEO)
    assets = tuple(make_asset(media=make_media(kind)) for kind in kinds)

    assert primary_kind(make_item(assets=assets)) is MediaKind.VIDEO
    assert primary_kind(make_item(assets=assets[:2])) is MediaKind.AUDIO
    assert primary_kind(make_item(assets=())) is MediaKind.DOCUMENT
