"""The radio's file, read by persons who may not write beside it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from plugins.radio.database import Database, open_read_only

PROGRAMME = "INSERT INTO programmes VALUES ('d', 'i', 'radio', 'aa', 1.0, '', '', NULL, 1, '')"


def count(path: Path) -> int:
    with closing(open_read_only(path)) as db:
        return db.execute("SELECT count(*) FROM programmes").fetchone()[0]


def test_reading_while_the_hub_is_down_puts_nothing_into_the_folder(tmp_path: Path) -> None:
    database = Database(tmp_path / "airings.sqlite")
    with database.writing() as db:
        db.execute(PROGRAMME)
    database.close()

    with closing(open_read_only(tmp_path / "airings.sqlite")) as reader:
        rows = reader.execute("SELECT count(*) FROM programmes").fetchone()[0]
        beside = [path.name for path in tmp_path.iterdir()]

    assert rows == 1
    assert beside == ["airings.sqlite"]


def test_reading_while_the_hub_is_up_sees_what_it_has_just_written(tmp_path: Path) -> None:
    database = Database(tmp_path / "airings.sqlite")
    with database.writing() as db:
        db.execute(PROGRAMME)

    seen = count(tmp_path / "airings.sqlite")

    assert seen == 1
    database.close()
