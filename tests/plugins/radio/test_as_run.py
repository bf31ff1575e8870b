from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugins.radio.as_run import Position, parse, read_on


def line(number: int, event: str = "start", **more: str) -> bytes:
    said = {
        "ev": event,
        "n": str(number),
        "t": "1795380314.14",
        "boot": "b1",
        "out": "up",
        "downs": "0",
        "id": "a.1",
        "s": "0.2",
    }
    return json.dumps(said | more).encode() + b"\n"


def test_reads_on_from_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "as-run.jsonl"
    path.write_bytes(line(1))
    first = read_on(path, Position())
    with path.open("ab") as file:
        file.write(line(2))

    second = read_on(path, first.position)

    assert [one.n for one in first.lines] == [1]
    assert [one.n for one in second.lines] == [2]
    assert read_on(path, second.position).lines == ()


def test_a_line_without_its_end_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "as-run.jsonl"
    path.write_bytes(line(1) + line(2)[:20])
    first = read_on(path, Position())
    path.write_bytes(line(1) + line(2))

    assert [one.n for one in first.lines] == [1]
    assert [one.n for one in read_on(path, first.position).lines] == [2]


def test_a_rotated_file_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "as-run.jsonl"
    path.write_bytes(line(1))
    position = read_on(path, Position()).position
    with path.open("ab") as file:
        file.write(line(2))
    path.rename(tmp_path / "as-run.jsonl.1")
    path.write_bytes(line(3))

    old = read_on(path, position)
    new = read_on(path, old.position)

    assert [one.n for one in (*old.lines, *new.lines)] == [2, 3]


def test_a_file_cut_short_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "as-run.jsonl"
    path.write_bytes(line(1) * 3)
    position = read_on(path, Position()).position
    path.write_bytes(line(7))

    assert [one.n for one in read_on(path, position).lines] == [7]


def test_no_file_yet_is_no_error(tmp_path: Path) -> None:
    assert read_on(tmp_path / "none", Position()) == read_on(tmp_path / "none", Position())


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"null", b"3", b'"ev"', b"\xff\xfe", b"[" * 5000, b'{"ev":"start"}'),
        *(line(1, t=t) for t in ("nan", "inf", "1e300", "-5")),
        *(line(1, s="inf"), line(1, n="x")),
    ],
)
def test_what_is_not_a_line_of_ours_is_none(raw: bytes) -> None:
    assert parse(raw) is None


def test_a_megabyte_without_a_line_end_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "as-run.jsonl"
    path.write_bytes(b"x" * (1 << 20) + b"\n" + line(5))

    found, position = [], Position()
    while (reading := read_on(path, position)).position != position:
        found += [one.n for one in reading.lines]
        position = reading.position

    assert found == [5]
