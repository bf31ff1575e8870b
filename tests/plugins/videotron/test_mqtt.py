"""What is done below aiomqtt: bounded waiting, joined acknowledgements, time for others, players that flood."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any

import aiomqtt
import structlog

from hub.testing import FakeClock
from plugins.videotron.complaints import Complaints
from plugins.videotron.floodgate import BYTES_PER_S, MESSAGES_PER_S, STATES_BURST_S, STATES_PER_S, Floodgate
from plugins.videotron.mqtt import _after_properties, _join_acknowledgements, bounded_queue, messages_of


def message(size: int, topic: str = "led/v1/s/gate-1/state") -> aiomqtt.Message:
    return aiomqtt.Message(topic=topic, payload=b"x" * size, qos=0, retain=False, mid=0, properties=None)


def test_what_waits_is_bounded_in_bytes_and_room_comes_back_when_it_is_taken() -> None:
    queue = bounded_queue(10_000)()
    for _ in range(100):
        queue.put_nowait(message(2000))
    held = queue.qsize()

    queue.get_nowait()
    queue.put_nowait(message(2000))

    assert held == 3
    assert queue.qsize() == 3
    queue.put_nowait(message(1))
    assert queue.qsize() == 3


def test_what_is_not_admitted_does_not_wait() -> None:
    queue = bounded_queue(10_000, lambda topic, size: size < 10)()

    queue.put_nowait(message(100))
    queue.put_nowait(message(5))

    assert queue.qsize() == 1


def gate(clock: FakeClock) -> tuple[Floodgate, Complaints]:
    complaints = Complaints(clock=clock, log=structlog.get_logger())
    return Floodgate(namespace="led/v1", complaints=complaints, clock=clock), complaints


def test_who_made_up_many_names_takes_nobodys_name_for_longer_than_an_hour() -> None:
    clock = FakeClock()
    _, complaints = gate(clock)
    for number in range(100):
        complaints.add(f"nobody-{number}", "no such screen is configured")
    complaints.add("gate-1", "a fork")
    assert "gate-1" not in complaints.recent()

    clock.advance(timedelta(hours=1))
    complaints.add("gate-1", "a fork")

    assert complaints.recent() == {"gate-1": "a fork (1 refused)"}


def test_one_player_may_say_so_much_and_the_others_are_not_concerned() -> None:
    clock = FakeClock()
    floodgate, complaints = gate(clock)

    admitted = sum(floodgate.admit("led/v1/s/gate-1/proof", 100_000) for _ in range(1000))

    assert 2 * BYTES_PER_S <= admitted * 100_000 <= 2 * BYTES_PER_S + 100_000
    assert list(complaints.recent()) == ["gate-1"]
    assert floodgate.admit("led/v1/r/0123/gate-2", 50)
    clock.advance(timedelta(seconds=10))
    assert floodgate.admit("led/v1/s/gate-1/state", 100)


def test_a_player_that_says_ever_new_states_does_not_keep_the_hub_busy() -> None:
    clock = FakeClock()
    floodgate, complaints = gate(clock)

    admitted = sum(floodgate.admit("led/v1/s/gate-1/state", 2000) for _ in range(1000))

    assert admitted <= STATES_PER_S * STATES_BURST_S + 1
    assert list(complaints.recent()) == ["gate-1"]
    assert floodgate.admit("led/v1/s/gate-1/proof", 2000)
    clock.advance(timedelta(seconds=1))
    assert floodgate.admit("led/v1/s/gate-1/state", 2000)


def test_small_messages_are_counted_too_whatever_topics_they_make_up() -> None:
    floodgate, complaints = gate(FakeClock())

    admitted = sum(floodgate.admit(f"led/v1/r/{number:032x}/gate-1", 24) for number in range(20_000))

    assert admitted <= 2 * MESSAGES_PER_S + 1
    assert list(complaints.recent()) == ["gate-1"]


def packet(command: int, data: bytes) -> dict[str, Any]:
    return {"command": command, "mid": 1, "qos": 1, "pos": 0, "to_process": len(data), "packet": data, "info": None}


def test_acknowledgements_that_stand_together_go_out_together_and_in_order() -> None:
    waiting = deque([packet(0x40, b"a1"), packet(0x40, b"a2"), packet(0x32, b"block"), packet(0x40, b"a3")])

    _join_acknowledgements(waiting)

    assert [one["packet"] for one in waiting] == [b"a1a2", b"block", b"a3"]
    assert waiting[0]["to_process"] == 4


def test_one_that_is_half_sent_is_left_alone() -> None:
    half = {**packet(0x40, b"half"), "pos": 2, "to_process": 2}
    waiting = deque([half, packet(0x40, b"a2")])

    _join_acknowledgements(waiting)

    assert waiting[0] is half


def test_properties_of_every_length_are_skipped() -> None:
    assert _after_properties(bytearray(b"\x00payload"), 0) == 1
    assert _after_properties(bytearray(b"\x05\x02\x00\x00\x00\x78payload"), 0) == 6
    long = bytearray(b"\xc8\x01" + b"p" * 200 + b"payload")
    assert long[_after_properties(long, 0) :] == b"payload"


async def test_a_queue_that_never_empties_leaves_the_loop_time_for_others() -> None:
    class Endless:
        _queue = bounded_queue(1 << 30)()

    client, turns = Endless(), 0
    for _ in range(1000):
        client._queue.put_nowait(message(1))

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(other())
        taken = 0
        async for _ in messages_of(client):  # type: ignore[arg-type]
            taken += 1
            if taken == 1000:
                break
        task.cancel()

    assert turns > 50
