"""Sidecars as people write them, and as an attacker would."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.api import Channel, Classification, Priority
from hub.intake.sidecar import Sidecar, WithdrawalNote, parse_note, parse_sidecar
from hub.intake.welcome import EXAMPLE
from hub.messages import Refusal, catalogue

WITA = ZoneInfo("Asia/Makassar")

WHOLE = """Judul: Imbauan Siaga Karhutla
RINGKASAN = Warga diminta tidak membakar lahan,
  terutama di musim kemarau.
# sebuah catatan
Klasifikasi: Serta-Merta
sumber: Dinas Kehutanan
Nomor  persetujuan: 0041/KUM/2020
tgl. persetujuan: Selasa, 3 November 2026
Penyetuju: “Kepala Dinas”
Saluran: Videotron dan radio
Layar: gerbang-1, pasar
Mulai: 05-11-2026 08.00 WITA
Selesai: 30 Nopember 2026
Hari: Senin-Jumat, Minggu
Jam: 06.00 - 09.00; 16:00–21:00
Porsi: 3 kali
Templat: Banjir Besar
Prioritas: segera
"""


def text(data: str | bytes) -> Sidecar:
    return parse_sidecar(data.encode() if isinstance(data, str) else data, is_json=False, zone=WITA)


def as_json(data: str) -> Sidecar:
    return parse_sidecar(data.encode(), is_json=True, zone=WITA)


def test_a_sidecar_in_indonesian_says_everything() -> None:
    assert text(WHOLE) == Sidecar(
        title="Imbauan Siaga Karhutla",
        summary="Warga diminta tidak membakar lahan, terutama di musim kemarau.",
        classification=Classification.IMMEDIATE,
        source="Dinas Kehutanan",
        approval_number="0041/KUM/2020",
        approval_date=date(2026, 11, 3),
        approver="Kepala Dinas",
        channels=frozenset(Channel),
        screens=("gerbang-1", "pasar"),
        start=datetime(2026, 11, 5, 0, 0, tzinfo=UTC),
        end=datetime(2026, 11, 30, 16, 0, tzinfo=UTC),
        days=(1, 2, 3, 4, 5, 7),
        dayparts="06:00-09:00, 16:00-21:00",
        share=3,
        template="banjir-besar",
        priority=Priority.URGENT,
    )


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: t.encode("utf-8-sig"),
        lambda t: t.encode("utf-16"),
        lambda t: t.encode("utf-16-le"),
        lambda t: b"\xfe\xff" + t.encode("utf-16-be"),
        lambda t: t.encode("cp1252"),
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: t.replace("\n", "\r").encode(),
    ],
    ids=["BOM", "UTF-16", "UTF-16 without BOM", "UTF-16 BE", "cp1252", "CRLF", "CR"],
)
def test_every_editor_of_the_office_will_do(encode: object) -> None:
    assert text(encode(WHOLE)) == text(WHOLE)  # type: ignore[operator]


def test_json_says_the_same() -> None:
    document = {
        "title": "Imbauan",
        "approval": {"number": "0041", "date": "2026-11-03", "approver": "Kadis"},
        "channels": ["radio"],
        "start": "2026-11-05T08:00:00+08:00",
        "end": "2026-11-05T10:00Z",
        "source": None,
        "days": ["Monday", "Sunday"],
        "dayparts": ["22:00-05:00"],
        "share": 2,
        "template": "banjir",
    }

    sidecar = as_json(json.dumps(document))

    assert sidecar.approval_number == "0041"
    assert sidecar.channels == {Channel.RADIO, Channel.ARCHIVE}
    assert sidecar.start == datetime(2026, 11, 5, 0, 0, tzinfo=UTC)
    assert sidecar.end == datetime(2026, 11, 5, 10, 0, tzinfo=UTC)
    assert (sidecar.days, sidecar.dayparts) == ((1, 7), "22:00-05:00")
    assert (sidecar.share, sidecar.template) == (2, "banjir")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("3 November 2026", "2026-11-03T16:00"),
        ("03-11-2026", "2026-11-03T16:00"),
        ("3/11/2026", "2026-11-03T16:00"),
        ("2026-11-03", "2026-11-03T16:00"),
        ("3 Nov 2026 pukul 17.30", "2026-11-03T09:30"),
        ("2026-11-03 17:30 WIB", "2026-11-03T10:30"),
        ("Jum'at, 6 November 2026 24:00", "2026-11-06T16:00"),
    ],
)
def test_an_end_is_the_first_instant_outside_and_a_day_alone_is_whole(written: str, meant: str) -> None:
    assert text(f"Selesai: {written}").end == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Judull: X", "Judul"),
        ("titel: X", "Title"),
        ("zzz: X", "Known keys"),
        ("Selesai: 31 Februari 2026", "31 Februari 2026"),
        ("Selesai: besok", "besok"),
        ("Selesai: 9999-12-31", "9999"),
        ("Jam: 25:00-26:00", "25:00"),
        ("Jam: pagi", "pagi"),
        ("Hari: Jumaat", "Jumat"),
        ("Porsi: banyak", "banyak"),
        ("Templat: ../x", "../x"),
        ("Porsii: 2", "Porsi"),
        ("Saluran: televisi", "televisi"),
        ("Klasifikasi: rahasia", "rahasia"),
        ("Prioritas: tinggi sekali", "tinggi"),
        ("Judul: A\nJudul: B", "twice"),
        ("hanya kata", "Line 1"),
        ("Tarik: IP-2026-11-0001", "withdraw"),
        ("Judul: " + "x" * 201, "200"),
        ("Judul: x\0y", "plain text"),
        ("x" * 70_000, "64 kB"),
    ],
)
def test_what_is_wrong_is_named(written: str, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        text(written)

    assert said in str(caught.value)
    assert caught.value.say(catalogue("id")) != str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        '{"a":' * 5000,
        "[" * 60_000,
        '{"title": "a", "title": "b"}',
        '{"title": NaN}',
        '{"title": 1e400}',
        '{"title": ' + "9" * 5000 + "}",
        '{"nomor": 41}',
        '{"share": true}',
        '{"share": 2.0}',
        '{"share": 999999999999999999999}',
        '{"days": [1, 2]}',
        '{"title": {"a": "b"}}',
        '{"approval": {}, "title": ["a"]}',
        '{"../../x": "a"}',
        '["title"]',
        "{",
        "",
    ],
)
def test_hostile_json_is_refused(written: str) -> None:
    with pytest.raises(Refusal):
        as_json(written)


def test_json_with_lone_surrogates_and_controls_becomes_safe_text() -> None:
    assert as_json('{"title": "a\\ud800b\\u202ec\\nd\\u0000e"}').title == "abc de"


def test_a_filled_in_template_with_empty_lines_says_only_what_is_filled_in() -> None:
    assert text("Judul: X\nLayar:\nMulai:\nSelesai:\n") == Sidecar(title="X")


def test_the_shipped_example_says_only_what_is_filled_in_there() -> None:
    example = text(EXAMPLE)

    assert example.title == "Imbauan Siaga Karhutla"
    assert (example.days, example.dayparts, example.share, example.template) == ((), "", 1, "")
    assert example.priority is Priority.NORMAL


def test_a_note_names_the_item_and_the_reason() -> None:
    assert parse_note(b"Tarik: ip-2026-11-0007\nAlasan: keliru\n", is_json=False) == WithdrawalNote(
        number="IP-2026-11-0007",  # type: ignore[arg-type]
        reason="keliru",
    )
    assert parse_note(b'{"withdraw": "IP-2026-11-0007", "reason": "x"}', is_json=True) is not None
    assert parse_note(b"Judul: X\n", is_json=False) is None
    assert parse_note(b"belanja\n", is_json=False) is None


@pytest.mark.parametrize(
    "written",
    ["Tarik: IP-2026-11-0007", "Tarik: 7\nAlasan: x", "Tarik: IP-2026-11-0007\nAlasan: x\nJudul: y", "tarik dong"],
)
def test_a_wrong_note_is_refused_with_the_reason(written: str) -> None:
    with pytest.raises(Refusal):
        parse_note(written.encode(), is_json=False)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_parsed_or_refused(data: bytes, is_json: bool) -> None:
    for parse in (lambda: parse_sidecar(data, is_json=is_json, zone=WITA), lambda: parse_note(data, is_json=is_json)):
        with suppress(Refusal):
            parse()


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2090, 12, 31)))
def test_every_day_reads_the_same_in_every_spelling(day: date) -> None:
    spellings = (f"{day:%d-%m-%Y}", format_date(day, "EEEE, d MMMM yyyy", locale="id"), day.isoformat())

    assert {text(f"Tanggal persetujuan: {spelling}").approval_date for spelling in spellings} == {day}
