"""The hub's record of whose key is whose."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.api import Order
from plugins.videotron.enrolment.enrolments import FILE, Enrolments, NotEnrolled, carry_out, read_enrolments

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.fixture
def record(tmp_path: Path):
    opened = Enrolments(tmp_path / FILE)
    yield opened
    opened.close()


def order(name: str, **args: str) -> Order:
    return Order(id=1, name=name, args=args, who="budi", why="dicuri", given_at=NOW)


def test_a_key_is_known_from_its_enrolment_to_its_revocation_and_after_a_restart(tmp_path, record):
    assert record.key_of("gate-1") is None

    record.enrol("gate-1", KEY, at=NOW, who="budi")
    assert record.key_of("gate-1") == KEY

    assert record.revoke("gate-1", at=NOW + timedelta(days=1), why="dicuri")
    assert record.key_of("gate-1") is None
    record.close()

    again = Enrolments(tmp_path / FILE)
    assert again.key_of("gate-1") is None
    [row] = again.rows()
    assert (row.player, row.who, row.why, row.revoked_at) == ("gate-1", "budi", "dicuri", NOW + timedelta(days=1))
    again.close()


def test_enrolling_twice_changes_nothing(record):
    record.enrol("gate-1", KEY, at=NOW, who="budi")
    record.enrol("gate-1", KEY, at=NOW + timedelta(days=1), who="tini")

    assert [(row.who, row.since) for row in record.rows()] == [("budi", NOW)]


def test_a_new_machine_takes_the_place_of_the_old_one(record):
    record.enrol("gate-1", KEY, at=NOW, who="budi")
    record.enrol("gate-1", OTHER, at=NOW + timedelta(days=1), who="budi")

    assert record.key_of("gate-1") == OTHER
    with pytest.raises(NotEnrolled, match="revoked"):
        record.enrol("gate-1", KEY, at=NOW + timedelta(days=2), who="budi")


def test_a_revoked_key_is_never_enrolled_again_but_a_new_one_is(record):
    record.enrol("gate-1", KEY, at=NOW, who="budi")
    record.revoke("gate-1", at=NOW, why="dicuri")

    for screen in ("gate-1", "gate-2"):
        with pytest.raises(NotEnrolled, match="siarhub-player forget"):
            record.enrol(screen, KEY, at=NOW, who="budi")
    record.enrol("gate-1", OTHER, at=NOW, who="budi")

    assert record.key_of("gate-1") == OTHER


def test_one_machine_is_the_player_of_one_screen(record):
    record.enrol("gate-1", KEY, at=NOW, who="budi")

    with pytest.raises(NotEnrolled, match="gate-1"):
        record.enrol("gate-2", KEY, at=NOW, who="budi")

    assert record.key_of("gate-2") is None


def test_a_damaged_record_is_set_aside_and_told(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database" * 100)

    record = Enrolments(tmp_path / FILE)

    assert record.rows() == []
    assert record.damaged is not None
    assert record.damaged.read_bytes().startswith(b"no database")
    record.close()


async def test_orders_are_carried_out_once_and_again(record, tmp_path):
    key = base64.b64encode(KEY).decode()

    for _ in range(2):
        assert (await carry_out(order("videotron.enrolled", player="gate-1", key=key), record, {"gate-1"})).done
    assert [row.key for row in read_enrolments(tmp_path)] == [KEY]

    assert (await carry_out(order("videotron.revoked", player="gate-1"), record, {"gate-1"})).done
    assert (await carry_out(order("videotron.revoked", player="gate-1"), record, ())).done
    assert read_enrolments(tmp_path)[0].why == "dicuri"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"player": "nobody", "key": "x"}, "no screen nobody"),
        ({"player": "gate-1"}, "no player's key"),
        ({"player": "gate-1", "key": "%%%"}, "no player's key"),
        ({"player": "gate-1", "key": base64.b64encode(b"short").decode()}, "no player's key"),
    ],
)
async def test_an_order_that_cannot_be_meant_is_answered_with_why(record, args, says):
    outcome = await carry_out(order("videotron.enrolled", **args), record, {"gate-1"})

    assert not outcome.done
    assert says in outcome.message
    assert record.rows() == []


async def test_other_orders_are_somebody_elses(record):
    assert await carry_out(order("videotron.clear"), record, ()) is None


def test_without_a_record_there_are_no_enrolments(tmp_path):
    assert read_enrolments(tmp_path) == ()
