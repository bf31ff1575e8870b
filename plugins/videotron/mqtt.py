"""What both ends need of the MQTT library below aiomqtt 2.x and what it hides. Private there, so only here.

paho-mqtt is asked to write through the event loop; aiomqtt does that by way of the loop's own wake-up pipe and its
selector, five system calls for each small message. Written at once when the socket takes it, it is one.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiomqtt

# A small message would wait for the TCP acknowledgement of the one before, up to 40 ms (Nagle's algorithm).
AT_ONCE = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


def paho_of(client: aiomqtt.Client) -> Any:
    """The library's own client."""
    return client._client


def write_at_once(client: aiomqtt.Client) -> None:
    """From now on send what is said in this turn of the loop; what the socket does not take, as soon as it does."""
    loop, paho = asyncio.get_running_loop(), paho_of(client)

    def write() -> None:
        if paho.socket() is None:
            return
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


async def next_message(client: aiomqtt.Client) -> aiomqtt.Message:
    """The next message, without a task for each when several wait. Raises: aiomqtt.MqttError at the end."""
    if not client._queue.empty():
        return client._queue.get_nowait()
    return await anext(client.messages)
