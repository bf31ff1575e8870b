"""The hub's disk holds the newest screenshots and a long thin trail, and no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from plugins.videotron.screenshots.album import DAYS, NEWEST, Album

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_wrong_picture_stands_beside_the_one_that_was_approved(tmp_path):
    picture, approved = Album(tmp_path).put("gate-1", START, b"wrong", b"right")

    assert (picture.read_bytes(), approved.read_bytes()) == (b"wrong", b"right")
    assert picture == tmp_path / "gate-1" / "20260101T000000Z.jpg"


def test_what_is_kept_does_not_grow(tmp_path):
    album, now = Album(tmp_path), START
    for hours in [8] * (3 * 68) + [1] * NEWEST:
        now += timedelta(hours=hours)
        album.put("gate-1", now, b"x", b"y" if now.hour == 8 else None)

    kept = sorted(path.name for path in (tmp_path / "gate-1").glob("*Z.jpg"))
    days = {name[:8] for name in kept}

    assert len(kept) <= NEWEST + DAYS
    assert kept[-NEWEST:] == [f"{now - timedelta(hours=n):%Y%m%dT%H%M%SZ}.jpg" for n in reversed(range(NEWEST))]
    assert {f"{now - timedelta(days=n):%Y%m%d}" for n in range(DAYS)} <= days
    beside = {path.name.partition(".")[0] for path in (tmp_path / "gate-1").glob("*.approved.jpg")}
    assert beside <= {name.partition(".")[0] for name in kept}


def test_screens_do_not_push_out_each_others_pictures(tmp_path):
    album = Album(tmp_path)
    album.put("hall-1", START, b"x", None)
    for n in range(NEWEST + 5):
        album.put("gate-1", START + timedelta(minutes=n), b"x", None)

    assert len(list((tmp_path / "hall-1").iterdir())) == 1
