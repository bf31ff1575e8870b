"""What both ends need of the MQTT library below aiomqtt 2.x and what it hides. Private there, so only here.

paho-mqtt is asked to write through the event loop; aiomqtt does that by way of the loop's own wake-up pipe and its
selector, five system calls for each small message. Written at once when the socket takes it, it is one.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode

# A small message would wait for the TCP acknowledgement of the one before, up to 40 ms (Nagle's algorithm).
AT_ONCE = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

LARGE = 4096
PUBACK = 0x40
BREATHE_EVERY = 8  # messages
OVERHEAD_BYTES = 1000  # of a message in memory, about


def paho_of(client: aiomqtt.Client) -> Any:
    """The library's own client."""
    return client._client


def write_at_once(client: aiomqtt.Client) -> None:
    """From now on send what is said in this turn of the loop; what the socket does not take, as soon as it does."""
    loop, paho = asyncio.get_running_loop(), paho_of(client)

    def write() -> None:
        if paho.socket() is None:
            return
        _join_acknowledgements(paho._out_packet)
        try:
            paho.loop_write()
        except Exception as error:  # noqa: BLE001 - as aiomqtt has it: whatever it is, the connection is no good
            if not client._disconnected.done():
                client._disconnected.set_exception(error)

    def first_try(sock: Any) -> None:
        write()
        if paho.want_write() and paho.socket() is sock and sock.fileno() >= 0:
            loop.add_writer(sock.fileno(), write)

    def want_to_write(_client: Any, _userdata: Any, sock: Any) -> None:
        loop.call_soon(first_try, sock)

    def done_writing(_client: Any, _userdata: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            loop.remove_writer(sock.fileno())

    paho.on_socket_register_write = want_to_write
    paho.on_socket_unregister_write = done_writing


def _join_acknowledgements(waiting: deque[Any]) -> None:
    """Those that stand together go out together: a system call each would be half of what sending costs a player."""
    acks = list(itertools.takewhile(lambda packet: packet["command"] == PUBACK and not packet["pos"], waiting))
    if len(acks) > 1:
        for _ in acks:
            waiting.popleft()
        together = b"".join(packet["packet"] for packet in acks)
        waiting.appendleft({**acks[0], "packet": together, "to_process": len(together)})


def take_without_copies(client: aiomqtt.Client, *, ending: bytes) -> None:
    """From now on messages on topics with this ending come as they lie in memory, without their properties.

    The library copies what it parses six times, and a quarter of a player's work was that. Only for a client that
    acknowledges by hand. What is not as expected goes the library's own way.
    """
    paho, usual = paho_of(client), paho_of(client)._handle_publish

    def handle() -> Any:
        packet, qos = paho._in_packet["packet"], paho._in_packet["command"] >> 1 & 3
        topic_ends = 2 + int.from_bytes(packet[:2], "big")
        if qos != 1 or len(packet) < LARGE or not packet[:topic_ends].endswith(ending):
            return usual()
        mid = int.from_bytes(packet[topic_ends : topic_ends + 2], "big")
        begins = _after_properties(packet, topic_ends + 2)
        message = aiomqtt.Message(
            topic=packet[2:topic_ends].decode(),
            payload=memoryview(packet)[begins:],  # type: ignore[arg-type] # as good as bytes for who asked for it
            qos=qos,
            retain=False,
            mid=mid,
            properties=None,
        )
        client._queue.put_nowait(message)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    paho._handle_publish = handle


def _after_properties(packet: bytearray, at: int) -> int:
    """Where the payload begins: behind the properties, whose length is a variable byte integer (MQTT 5, 1.5.5)."""
    length = shift = 0
    while True:
        byte = packet[at]
        length |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return at + length


@dataclass(slots=True)
class Limits:
    """What the broker takes, by its CONNACK, of which aiomqtt tells nothing."""

    largest: int | None = None  # message, with its header
    receive_maximum: int = 65535


def limits_of(client: aiomqtt.Client) -> Limits:
    """To be asked before the connection is made; filled when it is, and its Receive Maximum kept from then on."""
    paho, limits = paho_of(client), Limits()
    usual = paho.on_connect

    def connected(client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        limits.largest = getattr(properties, "MaximumPacketSize", None)
        limits.receive_maximum = getattr(properties, "ReceiveMaximum", limits.receive_maximum)
        paho._max_inflight_messages = min(paho._max_inflight_messages, limits.receive_maximum)  # it does not do so
        usual(client, userdata, flags, reason, properties)

    paho.on_connect = connected
    return limits


def bounded_queue(most_bytes: int, admit: Callable[[str, int], bool] | None = None) -> type[asyncio.Queue[Any]]:
    """For aiomqtt: a queue of what has arrived that holds so many bytes; what does not fit, or is not admitted, goes.

    `admit` is asked with topic and size. aiomqtt itself would log a line for each message that it drops.
    """

    class Bounded(asyncio.Queue[Any]):
        waiting_bytes = 0

        def put_nowait(self, item: aiomqtt.Message) -> None:
            size = _size_of(item)
            if self.waiting_bytes + size <= most_bytes and (
                admit is None or admit(str(item.topic), size - OVERHEAD_BYTES)
            ):
                super().put_nowait(item)

        def _put(self, item: aiomqtt.Message) -> None:
            self.waiting_bytes += _size_of(item)
            super()._put(item)

        def _get(self) -> Any:
            item = super()._get()
            self.waiting_bytes -= _size_of(item)
            return item

    return Bounded


def _size_of(message: aiomqtt.Message) -> int:
    payload: Any = message.payload
    return OVERHEAD_BYTES + (len(payload) if payload else 0)


async def messages_of(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Message]:
    """What arrives, without a task for each message; a flood leaves the loop time for others.

    Raises: aiomqtt.MqttError at the end.
    """
    for turn in itertools.count(1):
        if client._queue.empty():
            yield await anext(client.messages)
        else:
            yield client._queue.get_nowait()
        if turn % BREATHE_EVERY == 0:
            await asyncio.sleep(0)
