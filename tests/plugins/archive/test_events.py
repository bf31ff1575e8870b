from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugins.archive.events import append_lines


def line(seq: int, size: int = 10) -> tuple[int, str]:
    return seq, json.dumps({"seq": seq, "isi": "x" * size})


def numbers(path: Path) -> list[int]:
    return [json.loads(text)["seq"] for text in path.read_text().splitlines()]


def test_a_line_is_kept_once_however_often_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"

    for _ in range(2):
        append_lines(path, [line(1), line(2)])
    append_lines(path, [line(2), line(5)])

    assert numbers(path) == [1, 2, 5]


@pytest.mark.parametrize("torn", [b'{"seq": 3', b'{"seq": 3, "isi": "x"}', b"\xff\xfe", b"{"])
def test_a_line_torn_by_a_kill_is_written_again(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "e.jsonl"
    append_lines(path, [line(1), line(2)])
    with path.open("ab") as file:
        file.write(torn)

    append_lines(path, [line(2), line(3)])

    assert numbers(path) == [1, 2, 3]


def test_a_line_longer_than_the_window_is_still_found(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    append_lines(path, [line(1), line(7, size=300_000)])

    append_lines(path, [line(6), line(7), line(8)])

    assert numbers(path) == [1, 7, 8]
