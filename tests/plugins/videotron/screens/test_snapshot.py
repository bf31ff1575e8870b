"""What the hub writes down of its players for others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.testing import NOON
from plugins.videotron.screens.snapshot import STALE_AFTER, SnapshotFile, read_snapshot, write_snapshot

ROWS = [{"player": "gate-1", "online": True}]


def test_what_was_written_lately_is_read_as_it_is(tmp_path):
    write_snapshot(tmp_path, NOON, ROWS)

    assert read_snapshot(tmp_path, NOON + STALE_AFTER) == ROWS


def test_nobody_is_online_in_a_snapshot_that_the_hub_no_longer_writes(tmp_path):
    write_snapshot(tmp_path, NOON, ROWS)

    assert read_snapshot(tmp_path, NOON + STALE_AFTER + timedelta(seconds=1)) == [{"player": "gate-1", "online": False}]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"players": []}', '{"players": [], "written_at": 5}'])
def test_a_damaged_snapshot_is_as_good_as_none(tmp_path, text):
    (tmp_path / "players.json").write_text(text)

    assert read_snapshot(tmp_path, NOON) == []


def test_nobody_comes_back_online_through_a_write_that_was_late(tmp_path):
    file = SnapshotFile(tmp_path)

    file.end(NOON, ROWS)
    file.write(NOON, ROWS)

    assert [row["online"] for row in read_snapshot(tmp_path, NOON)] == [False]
