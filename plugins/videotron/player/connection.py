"""The player's one connection to the broker, made again for ever; the only file that knows aiomqtt."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Protocol

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from plugins.videotron.bucket import Bucket
from plugins.videotron.mqtt import AT_ONCE, bounded_queue, messages_of, paho_of, take_without_copies, write_at_once
from plugins.videotron.player.cancelling import never_losing_a_cancellation
from plugins.videotron.player.ports import Log
from plugins.videotron.player.settings import BrokerSettings, TlsSettings, password_of
from plugins.videotron.protocol import MAX_BLOCK_BYTES

LONGEST_BACKOFF_S = 30.0
WILL_DELAY_S = 30
GOODBYE_WITHIN_S = 1.0
BULK_BYTES = 1000  # what is larger counts against a limit
NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for
MOST_WAITING_BYTES = 64 << 20  # more is no hub's: a broker that sends it is out of order


class Listener(Protocol):
    async def connected(self) -> None:
        """The connection stands: subscribe and say how things are."""

    async def take(self, topic: str, payload: bytes) -> None:
        """Deal with a message; it is acknowledged when this returns. Raises nothing on purpose."""


class Connection:
    """Publishes and subscribes while there is a broker; says so when there is none."""

    def __init__(
        self,
        *,
        settings: BrokerSettings,
        player: str,
        will: tuple[str, Callable[[], bytes]],
        log: Log,
        clock_is_dead: Callable[[], bool] = lambda: False,
    ) -> None:
        """`clock_is_dead`: whether the machine's time is known to be far too early for any certificate."""
        self._settings = settings
        self._player = player
        self._will = will
        self._log = log
        self._clock_is_dead = clock_is_dead
        self._client: aiomqtt.Client | None = None
        self._password = password_of(settings)
        self._subscribed: set[str] = set()
        self._of_before: set[str] = set()  # what the broker may still hold for us from an earlier connection
        self._new_session = True
        self._sending = asyncio.Lock()
        self._pace = Bucket(0)
        self._kbps = 0
        self._owed: deque[tuple[float, aiomqtt.Message]] = deque()  # acknowledgements, and when they are due
        self._owing = asyncio.Event()
        self._ask_anew = asyncio.Event()
        self._down = asyncio.Event()
        self.trouble = "not connected yet"

    @property
    def up(self) -> bool:
        return self._client is not None

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> bool:
        """Whether the broker took it; False: there is no connection, say it again later."""
        client = self._client
        if client is None:
            return False
        return await self._while_up(client.publish(topic, payload, qos=qos, retain=retain), what=topic)

    def limit(self, kbps: int) -> None:
        """Acknowledge blocks no faster than so many kbit/s, so that the broker sends them no faster; 0: at once.

        Debian 12's Mosquitto sends more than was asked for, unless it is asked for one at a time; a connection that
        asked for more is made again.
        """
        if kbps != self._kbps:
            before = self._in_flight
            self._kbps, self._pace = kbps, Bucket(kbps * 125)
            if self._in_flight != before:
                self._ask_anew.set()

    @property
    def _in_flight(self) -> int:
        """How many blocks the broker may send before the first of them is acknowledged."""
        return 1 if self._kbps and not self._settings.receive_maximum else self._settings.in_flight

    def say(self, topic: str, payload: bytes) -> bool:
        """Send at QoS 0 what may as well be lost; False: there is no connection."""
        return self._client is not None and paho_of(self._client).publish(topic, payload, 0).rc == 0

    async def subscribe_to(self, topics: dict[str, int]) -> None:
        """Be subscribed to these topics (with their QoS) and no others; without a connection it waits for the next."""
        if topics.keys() == self._subscribed and not self._of_before:
            return
        async with self._sending:
            client = self._client
            if client is None:
                return
            leaving = sorted((self._subscribed | self._of_before) - topics.keys())
            if leaving and await self._while_up(client.unsubscribe(leaving), what="unsubscribe"):
                self._subscribed -= set(leaving)
                self._of_before -= set(leaving)
            joining = sorted(topics.keys() - self._subscribed)
            asked = [(topic, topics[topic]) for topic in joining]
            if joining and await self._while_up(client.subscribe(asked), what="subscribe"):
                self._subscribed |= set(joining)

    async def run(self, listener: Listener) -> None:
        """Keep connected until cancelled, with a pause between attempts that grows to 30 s."""
        backoff = 0.5
        while True:
            reason = await never_losing_a_cancellation(self._attempt(listener))
            if reason != self.trouble:
                self._log.warning("broker_lost", reason=reason)
            backoff = 0.5 if self.trouble == "" else min(backoff * 2, LONGEST_BACKOFF_S)
            self.trouble = reason
            await asyncio.sleep(backoff * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the players' attempts

    async def _attempt(self, listener: Listener) -> str:
        """Why the connection ended."""
        reason = ""
        try:
            await self._session(listener)
        except* (aiomqtt.MqttError, OSError) as failed:
            reason = str(_first(failed))
        return reason or "the connection broke"

    async def _session(self, listener: Listener) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self._ask_anew.clear()
            client = self._new_client()
            if refusal := await never_losing_a_cancellation(_outcome(client.__aenter__())):
                raise aiomqtt.MqttError(refusal)
            stack.push_async_exit(client)
            _acknowledge_by_hand(client)
            write_at_once(client)
            take_without_copies(client, ending=b"/b")  # blocks
            self._of_before |= self._subscribed
            self._client, self._new_session, self._subscribed = client, False, set()
            self._down.clear()
            self._owed.clear()  # what an earlier connection owed, the broker sends again
            self.trouble = ""
            self._log.info("broker_connected", host=self._settings.host, port=self._settings.port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(listener.connected(), name="mqtt: greet")
                    group.create_task(self._consume(client, listener), name="mqtt: consume")
                    group.create_task(self._acknowledge_in_time(client), name="mqtt: acknowledge")
                    group.create_task(self._until_asked_anew(), name="mqtt: ask anew")
            except asyncio.CancelledError:
                await self._say_goodbye(client)
                raise
            finally:
                self._client = None
                self._down.set()

    async def _consume(self, client: aiomqtt.Client, listener: Listener) -> None:
        async for message in messages_of(client):
            payload: Any = message.payload  # of a block: the memory that it came in
            await listener.take(str(message.topic), payload)
            if message.qos:
                self._acknowledge(client, message, len(payload or b""))

    def _acknowledge(self, client: aiomqtt.Client, message: aiomqtt.Message, size: int) -> None:
        """Now, or later when there is a limit; always in the order in which the messages came (MQTT 5, 4.6)."""
        now = monotonic()
        wait_s = self._pace.wait_s(now)
        if size > BULK_BYTES:
            self._pace.take(size)
            wait_s = self._pace.wait_s(now)
        if wait_s or self._owed:
            self._owed.append((now + wait_s, message))
            self._owing.set()
        else:
            paho_of(client).ack(message.mid, message.qos)

    async def _acknowledge_in_time(self, client: aiomqtt.Client) -> None:
        while True:
            self._owing.clear()
            while self._owed:
                due, message = self._owed[0]
                await asyncio.sleep(max(0.0, due - monotonic()))
                self._owed.popleft()
                paho_of(client).ack(message.mid, message.qos)
            await self._owing.wait()

    async def _until_asked_anew(self) -> None:
        await self._ask_anew.wait()
        raise aiomqtt.MqttError("a limit came, or went: another Receive Maximum is asked for")

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        """An orderly end does not make the broker publish the will, so we do."""
        topic, payload = self._will
        with contextlib.suppress(TimeoutError, aiomqtt.MqttError):
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                await client.publish(topic, payload(), qos=1, retain=True)

    async def _while_up(self, call: Coroutine[Any, Any, Any], *, what: str) -> bool:
        """Whether the broker answered this call; one that it cannot answer any more is given up at once."""
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(_outcome(call))
            down = group.create_task(self._down.wait())
            await asyncio.wait({calling, down}, return_when=asyncio.FIRST_COMPLETED)
            calling.cancel()
            down.cancel()
        reason = "the connection broke" if calling.cancelled() else calling.result()
        if reason:
            self._log.warning("broker_did_not_answer", what=what, reason=reason)
        return not reason

    def _new_client(self) -> aiomqtt.Client:
        settings = self._settings
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.ReceiveMaximum = self._in_flight
        connect.SessionExpiryInterval = settings.session_expiry_s
        connect.MaximumPacketSize = MAX_BLOCK_BYTES + 4096
        later = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        later.WillDelayInterval = WILL_DELAY_S
        topic, payload = self._will
        return aiomqtt.Client(
            settings.host,
            settings.port,
            identifier=settings.username or self._player,
            username=settings.username or (self._player if self._password else None),
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=self._new_session,  # later ones resume: the broker has held what was sent during the cut
            properties=connect,
            will=aiomqtt.Will(topic, payload(), qos=1, retain=True, properties=later),
            keepalive=settings.keepalive_s,
            socket_options=AT_ONCE,
            queue_type=bounded_queue(MOST_WAITING_BYTES),
            tls_context=tls_context(settings.tls, clock_is_dead=self._clock_is_dead()) if settings.tls else None,
            timeout=10,
        )


def tls_context(settings: TlsSettings, *, clock_is_dead: bool) -> ssl.SSLContext:
    """To a machine in 1970 no certificate is valid yet: the broker must still show the right one, of any age.

    What the broker brings is believed by its signatures alone. Blocks.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if clock_is_dead:
        context.verify_flags |= NO_CHECK_TIME
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


async def _outcome(call: Coroutine[Any, Any, Any]) -> str:
    """Why the broker did not do it; "" = it did."""
    try:
        await call
    except aiomqtt.MqttError as error:
        return str(error) or "it said no"
    return ""


# aiomqtt 2 acknowledges before our code sees a message; its paho client can be told to wait. Private, so only here.


def _acknowledge_by_hand(client: aiomqtt.Client) -> None:
    paho_of(client).manual_ack_set(True)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
