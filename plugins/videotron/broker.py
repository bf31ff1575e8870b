"""The one connection to the MQTT broker. Only this module knows aiomqtt (2.x; version 3 is a rewrite)."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.api import Clock, Log
from plugins.videotron.mqtt import AT_ONCE, bounded_queue, limits_of, messages_of, paho_of, write_at_once
from plugins.videotron.protocol import MAX_DOCUMENT_BYTES, Topics
from plugins.videotron.settings import BrokerSettings

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LASTING_S = 5.0  # a session that held so long was a good one: the next pause is short again
CONNECT_WITHIN_S, DISCONNECT_WITHIN_S = 10.0, 3.0
FRAME_ROOM = 512  # header, topic and properties of a message, beside its payload
ACKNOWLEDGED_WITHIN_S = 60.0  # long: behind eight blocks on a poor uplink
BLOCK_EXPIRY_S = 120
MOST_WAITING_BYTES = 32 << 20  # beyond it messages are dropped; states come again, proofs are sent until acknowledged


class HubStateText(Protocol):
    def __call__(self, *, online: bool) -> bytes:
        """The signed `HubState` of this moment."""


class Disconnected(Exception):
    """The link to the broker is gone; a new session brings everything up to date again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    topic: str
    payload: bytes
    retained: bool


@dataclass(slots=True)
class Link:
    """One session with the broker. Every method raises `Disconnected` when the session has ended.

    aiomqtt waits in `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes with its result
    (bpo-37658); so its own time limits are off and ours, which do not, are around it.
    """

    _client: aiomqtt.Client
    _slots: asyncio.Semaphore
    _expiring: Properties = field(default_factory=lambda: _expiring(BLOCK_EXPIRY_S))
    _deadlines: set[asyncio.Timeout] = field(default_factory=set)
    _on_their_way: set[int] = field(default_factory=set)  # message ids of blocks that the broker has not acknowledged
    _ended: bool = False
    largest: int | None = None  # message that the broker takes
    too_large: str = ""  # what was not sent

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Returns when the broker has it (QoS 1), which says nothing about any receiver.

        What is larger than the broker takes is not sent: it would end the session, again and again.
        """
        if self.largest is not None and len(payload) + FRAME_ROOM > self.largest:
            self.too_large = f"{topic}: {len(payload)} bytes"
            return
        async with self._while_it_lasts():
            await self._client.publish(topic, payload, qos=qos, retain=retain, timeout=math.inf)

    async def slot(self) -> None:
        """Wait until another block may be on its way to the broker; its acknowledgement gives the slot back."""
        async with self._while_it_lasts():
            await self._slots.acquire()

    def send_block(self, topic: str, payload: bytes) -> None:
        """Send a block, in a slot, that the broker forgets by itself when a player does not take it."""
        # Not aiomqtt's publish: a task, a timeout and an event for each block would be a third of the hub's work.
        info = paho_of(self._client).publish(topic, payload, 1, properties=self._expiring)
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Disconnected(f"the block could not be sent: {info.rc}")
        self._on_their_way.add(info.mid)

    def acknowledged(self, mid: int) -> None:
        """The broker has this message, or has refused it."""
        if mid in self._on_their_way:
            self._on_their_way.discard(mid)
            self._slots.release()

    async def subscribe(self, *topics: str) -> None:
        async with self._while_it_lasts():
            await self._client.subscribe([(topic, 1) for topic in topics], timeout=math.inf)

    async def messages(self) -> AsyncIterator[Message]:
        """Every message that arrives; larger ones than a document may be are left out."""
        try:
            async for message in messages_of(self._client):
                payload = message.payload
                if isinstance(payload, bytes) and len(payload) <= MAX_DOCUMENT_BYTES:
                    yield Message(topic=str(message.topic), payload=payload, retained=bool(message.retain))
        except aiomqtt.MqttError as error:
            raise Disconnected(str(error)) from error

    def end(self) -> None:
        """The session is over: whoever still waits for an acknowledgement gets `Disconnected`."""
        self._ended = True
        for deadline in self._deadlines:
            deadline.reschedule(0)

    @contextlib.asynccontextmanager
    async def _while_it_lasts(self) -> AsyncIterator[None]:
        if self._ended:
            raise Disconnected("the session is over")
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S) as deadline:
                self._deadlines.add(deadline)
                try:
                    yield
                finally:
                    self._deadlines.discard(deadline)
        except TimeoutError:
            raise Disconnected("the broker does not answer") from None
        except aiomqtt.MqttError as error:
            raise Disconnected(str(error)) from error


class Broker:
    """Keeps a session with the broker, for ever: `link` is the present one, None while there is none."""

    def __init__(
        self,
        *,
        settings: BrokerSettings,
        topics: Topics,
        hub_state: HubStateText,
        clock: Clock,
        log: Log,
        block_bytes: int = 0,
        admit: Callable[[str, int], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._hub_state = hub_state
        self._clock = clock
        self._log = log
        self._block_bytes = block_bytes
        self._admit = admit
        self.link: Link | None = None
        self.trouble = "not connected yet"
        self.refused = ""  # the last publish that the broker refused, for health

    @property
    def too_small(self) -> str:
        """Why this broker cannot carry what we send, and what to do; "" when it can."""
        link = self.link
        if link is None or link.largest is None:
            return ""
        if self._block_bytes + FRAME_ROOM > link.largest:
            fits = (link.largest - FRAME_ROOM) // 1024 * 1024
            return (
                f"it takes messages of {link.largest} bytes and blocks have {self._block_bytes}: set"
                f" plugins.videotron.block_bytes = {fits}, or raise its limit (max_packet_size in mosquitto.conf)"
            )
        if link.too_large:
            return f"it takes messages of {link.largest} bytes; not sent: {link.too_large}; raise its limit"
        return ""

    async def run(self, session: Callable[[Link], Awaitable[None]]) -> None:
        """Connect, run `session`, and begin again after any loss of the connection. Never returns."""
        pause_s = FIRST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            try:
                await self._one_session(session)
            except* (Disconnected, aiomqtt.MqttError, OSError) as group:  # a TimeoutError is an OSError
                self._lost(group)
            if self._clock.monotonic() - began > LASTING_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _one_session(self, session: Callable[[Link], Awaitable[None]]) -> None:
        password = await asyncio.to_thread(self._settings.secret)
        client = self._client(password)
        limits = limits_of(client)
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await client.__aenter__()
        slots = max(1, min(self._settings.in_flight, limits.receive_maximum // 2))  # the rest is for what is no block
        link = Link(client, asyncio.Semaphore(slots), largest=limits.largest)
        try:
            client.pending_calls_threshold = 1000  # the slots bound it; the warning would be noise
            write_at_once(client)
            self._watch_acknowledgements(client, link)
            await self._say(link, online=True)
            self.link, self.trouble, self.refused = link, "", ""
            self._log.info("broker_connected", host=self._settings.host, port=self._settings.port)
            await session(link)
        except asyncio.CancelledError:
            await self._say_goodbye(link)
            raise
        finally:
            self.link = None
            link.end()
            with contextlib.suppress(TimeoutError, aiomqtt.MqttError):
                async with asyncio.timeout(DISCONNECT_WITHIN_S):
                    await client.__aexit__(None, None, None)

    def _client(self, password: str) -> aiomqtt.Client:
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = settings.receive_maximum
        properties.MaximumPacketSize = MAX_DOCUMENT_BYTES + FRAME_ROOM  # no player says anything larger
        return aiomqtt.Client(
            settings.host,
            settings.port,
            identifier=settings.username,
            username=settings.username,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            properties=properties,
            will=aiomqtt.Will(self._topics.hub, self._hub_state(online=False), qos=1, retain=True),
            tls_context=_tls(settings),
            timeout=math.inf,
            keepalive=settings.keepalive_s,
            socket_options=AT_ONCE,
            max_inflight_messages=settings.in_flight + 8,  # what is no block must not wait behind blocks
            queue_type=bounded_queue(MOST_WAITING_BYTES, self._admit),
        )

    def _watch_acknowledgements(self, client: aiomqtt.Client, link: Link) -> None:
        """aiomqtt calls a publish that the broker's ACL denied a success: look at the reason codes ourselves."""
        paho = paho_of(client)  # the only way to them in 2.x
        publish, acknowledged = paho.publish, paho.on_publish
        topics: dict[int, str] = {}

        def remember(topic: str, *args: Any, **kwargs: Any) -> Any:
            info = publish(topic, *args, **kwargs)
            topics[info.mid] = topic
            return info

        def look(client: Any, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
            topic = topics.pop(mid, "")
            if getattr(reason, "is_failure", False):
                self.refused = f"{topic}: {reason}"
                self._log.warning("publish_was_refused", topic=topic, reason=str(reason))
            link.acknowledged(mid)
            acknowledged(client, userdata, mid, reason, properties)

        paho.publish = remember
        paho.on_publish = look

    async def _say(self, link: Link, *, online: bool) -> None:
        await link.publish(self._topics.hub, self._hub_state(online=online), retain=True)

    async def _say_goodbye(self, link: Link) -> None:
        """A clean disconnect discards the will, so say it; if that fails, the link was lost and the will comes."""
        with contextlib.suppress(Disconnected, TimeoutError):
            async with asyncio.timeout(2):
                await self._say(link, online=False)

    def _lost(self, group: BaseExceptionGroup[Any]) -> None:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        where = f"{self._settings.host}:{self._settings.port}"
        trouble = f"{where}: {error}"
        if trouble != self.trouble:  # a broker that stays away is one line, not one a try
            self._log.warning("broker_was_lost", broker=where, reason=str(error))
        self.trouble = trouble


def _expiring(seconds: int) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = seconds
    return properties


def _tls(settings: BrokerSettings) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(settings.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file:
        context.load_cert_chain(str(settings.cert_file), str(settings.key_file))
    return context
