"""From how things are to what a technician is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.testing import NOON
from plugins.videotron.player.machine import Readings
from plugins.videotron.player.troubles import MOST, Facts, problems, spoken
from plugins.videotron.protocol import Manifest, Rejection, Screen, Trouble

DAY = timedelta(days=1)


def manifest(**changes: Any) -> Manifest:
    facts: dict[str, Any] = {"issued": NOON, "expires": NOON + DAY, "screen": Screen(width=64, height=48), **changes}
    return Manifest(site="banjar", aud="gate-1", keyset=1, epoch=1, seq=1, items=(), **facts)


def codes(**changes: Any) -> list[str]:
    facts: dict[str, Any] = {"now": NOON, "clock": NOON, "manifest": manifest(), "size": (64, 48), **changes}
    return [problem.code for problem in problems(Facts(**facts))]


def test_a_player_that_follows_its_manifest_has_no_trouble():
    assert codes() == []


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"manifest": None}, Trouble.NO_MANIFEST),
        ({"manifest": manifest(expires=NOON)}, Trouble.EXPIRED),
        ({"manifest": manifest(issued=NOON - DAY - timedelta(minutes=1))}, Trouble.SILENCE),
        ({"keys_expire": NOON}, Trouble.KEYS_EXPIRED),
        ({"rejections": (Rejection(attack="unsigned", count=2, last=NOON),)}, Trouble.REJECTIONS),
        ({"clock": NOON - timedelta(hours=3), "behind": timedelta(hours=3)}, Trouble.CLOCK_BEHIND),
        ({"ahead": timedelta(minutes=3)}, Trouble.CLOCK_AHEAD),
        ({"mpv": "mpv ended"}, Trouble.MPV_DOWN),
        ({"frozen": "still for 20 s"}, Trouble.FROZEN),
        ({"output": "no display is connected"}, Trouble.NO_OUTPUT),
        ({"broken": ["abc"]}, Trouble.FILM_BROKEN),
        ({"missing": ["abc"]}, Trouble.FILM_MISSING),
        ({"free_bytes": 5 << 20, "keep_free_bytes": 200 << 20}, Trouble.DISK_FULL),
        ({"disk": "Input/output error"}, Trouble.DISK_ERROR),
        ({"machine": Readings(disk_errors=1)}, Trouble.DISK_ERROR),
        ({"machine": Readings(memory_mb=60)}, Trouble.MEMORY),
        ({"machine": Readings(temperature_c=91.0)}, Trouble.HOT),
        ({"machine": Readings(temperature_c=70.0, slowed=True)}, Trouble.HOT),
        ({"machine": Readings(undervolted=True)}, Trouble.POWER),
        ({"dropped_per_minute": 60.0}, Trouble.DROPPED_FRAMES),
        ({"misfit": "the output is 640x480"}, Trouble.WRONG_SIZE),
        ({"size": (768, 384)}, Trouble.WRONG_SIZE),
        ({"proofs": "3 plays were not recorded"}, Trouble.PROOFS_LOST),
        ({"spoiled": ["manifest.json"]}, Trouble.STATE_SPOILED),
        ({"others": ["something"]}, Trouble.OTHER),
    ],
)
def test_each_trouble_is_told_by_its_code(changes, trouble):
    assert codes(**changes) == [trouble.value]


def test_every_trouble_of_the_protocol_can_be_told():
    [marks] = [mark for mark in test_each_trouble_is_told_by_its_code.pytestmark if mark.name == "parametrize"]

    assert {trouble for _, trouble in marks.args[1]} == set(Trouble)


def test_one_old_copy_of_a_broker_that_was_killed_is_no_trouble_but_a_second_is():
    once = Rejection(attack="rollback", count=1, last=NOON)

    assert codes(rejections=(once,)) == []
    assert codes(rejections=(once.model_copy(update={"count": 2}),)) == [Trouble.REJECTIONS]


def test_what_was_refused_an_hour_ago_is_no_trouble_any_more():
    old = Rejection(attack="rollback", count=9, last=NOON - timedelta(hours=1))

    assert codes(rejections=(old,)) == []


def test_a_healthy_machine_is_no_trouble():
    assert codes(machine=Readings(memory_mb=900, temperature_c=64.0, slowed=False, undervolted=False)) == []


def test_a_state_takes_all_that_is_told_whatever_goes_wrong_at_once():
    long = ["x" * 1000] * 50

    found = problems(Facts(now=NOON, clock=NOON, broken=long, missing=long, spoiled=long, others=long, disk="y" * 999))

    assert len(found) == MOST
    assert all(len(problem.text) <= 300 for problem in found)


@pytest.mark.parametrize(
    ("span", "words"),
    [({"seconds": 40}, "40 s"), ({"minutes": 5}, "5 min"), ({"hours": 30}, "30 h"), ({"days": 3}, "3 days")],
)
def test_a_span_is_told_as_people_say_it(span, words):
    assert spoken(timedelta(**span)) == words
