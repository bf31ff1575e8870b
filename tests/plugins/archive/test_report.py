from __future__ import annotations

import csv
import io
from zoneinfo import ZoneInfo

import pytest

from hub.testing import make_item
from plugins.archive.report import COLUMNS, Line, list_csv, safe_cell
from plugins.archive.settings import ArchiveSettings


@pytest.mark.parametrize(
    "text", ['=cmd|"/c calc"!A1', "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "\x00=1"]
)
def test_no_cell_can_be_taken_for_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")


def test_a_cell_is_one_line_and_never_empty() -> None:
    assert safe_cell("a\r\nb\x00;c") == "a b;c"
    assert safe_cell("") == "-"


def test_the_list_opens_in_indonesian_excel() -> None:
    line = Line(number=make_item().number, item=make_item(title='a;"b"'), totals=(), place="x")

    content = list_csv([line], ArchiveSettings(), ZoneInfo("Asia/Makassar"))

    assert content.startswith(b"\xef\xbb\xbfNo;Nomor registrasi;Judul")
    (header, row) = csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";")
    assert tuple(header) == COLUMNS
    assert len(row) == len(COLUMNS)
    assert row[2] == 'a;"b"'
