"""A player that is nobody's: shows a code, and asks for a credential wherever a door is open for that code.

The door, an account at the broker that the code names, is there only while the technician's command runs. Neither the
broker nor who reads the code is trusted; `protocol/enrolment.py` says why. What cannot be opened changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from plugins.videotron.player.cancelling import never_losing_a_cancellation
from plugins.videotron.player.enrolment import enrolment_of, load, store
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.settings import BrokerSettings, is_local
from plugins.videotron.protocol import WireError
from plugins.videotron.protocol.enrolment import MAX_ENROLMENT_BYTES, Enrolment, Offer, Size
from plugins.videotron.protocol.keychains import read_keychain

CODE_LASTS_S = 30 * 60.0
KNOCK_EVERY_S = 3.0
ASK_AGAIN_S = 5.0

NOT_AUTHORIZED = 135  # MQTT 5: nobody has opened the door that the code stands for


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a code lasts, and how often it is tried."""

    code_lasts_s: float = CODE_LASTS_S
    knock_every_s: float = KNOCK_EVERY_S
    ask_again_s: float = ASK_AGAIN_S


class Enrolling:
    """Goes on until there is a credential. `code` is what the screen shows; `trouble` why nothing came of it yet."""

    def __init__(
        self,
        *,
        public: bytes,
        folder: Path,
        broker: BrokerSettings,
        software: str,
        clock: Clock,
        log: Log,
        pace: Pace | None = None,
        screen: Callable[[], Size | None] = lambda: None,
    ) -> None:
        self._public = public
        self._folder = folder
        self._broker = broker
        self._software = software
        self._clock = clock
        self._log = log
        self._pace = pace or Pace()
        self._screen = screen
        self._new_offer()
        self._stored: Enrolment | None = None
        self.trouble = ""

    @property
    def code(self) -> str:
        return self._offer.code

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._until - self._clock.monotonic())

    async def run(self) -> Enrolment:
        """The enrolment, stored durably. Knocks for ever; each code for half an hour."""
        while True:
            self._log.info("enrolment_code_shown", code=self.code, minutes=round(self.seconds_left / 60))
            await self._with_this_code()
            if enrolment := self._stored or await asyncio.to_thread(load, self._folder):
                return enrolment
            self._log.info("enrolment_code_expired", code=self.code)
            self._new_offer()

    def _new_offer(self) -> None:
        self._offer = Offer(self._public)
        self._until = self._clock.monotonic() + self._pace.code_lasts_s

    async def _with_this_code(self) -> None:
        """Returns when there is an enrolment, or the code's time is over."""
        while self.seconds_left and not self._stored:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.seconds_left):
                    self._note(await never_losing_a_cancellation(self._knock(self._offer)))
                    if not self._stored:
                        await asyncio.sleep(self._pace.knock_every_s)

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self._log.info("enrolment_waits", reason=trouble)
        self.trouble = trouble

    async def _knock(self, offer: Offer) -> str:
        """Why nothing came of one connection; "" = something did, or it broke after that."""
        try:
            async with self._client(offer) as client:
                await self._ask_until_answered(client, offer)
        except (aiomqtt.MqttError, OSError) as error:
            return _in_words(error)
        return ""

    async def _ask_until_answered(self, client: aiomqtt.Client, offer: Offer) -> None:
        meeting, namespace = offer.rendezvous, self._broker.namespace
        await client.subscribe(meeting.answer_topic(namespace), qos=1)
        while True:
            await client.publish(meeting.ask_topic(namespace), self._ask(offer), qos=1)
            try:
                async with asyncio.timeout(self._pace.ask_again_s):
                    message = await anext(client.messages)
                    digest = await self._take(offer, bytes(message.payload))
            except TimeoutError:
                continue
            except (WireError, TypeError) as error:
                self._log.warning("enrolment_answer_refused", reason=str(error)[:300])
                continue
            await client.publish(meeting.ask_topic(namespace), self._ask(offer, digest), qos=1)
            return

    async def _take(self, offer: Offer, message: bytes) -> str:
        """Store the credential; returns what confirms it. Raises: WireError, OSError."""
        credential, digest = offer.open(message)
        if read_keychain(credential.chain())[-1].site != credential.site:
            raise WireError("a keychain of another site than the credential's")
        enrolment = enrolment_of(self._public, credential)
        await asyncio.to_thread(store, self._folder, enrolment)  # before it is confirmed
        self._stored = enrolment
        self._log.info("player_enrolled", screen=credential.player, site=credential.site)
        return digest

    def _ask(self, offer: Offer, stored: str | None = None) -> bytes:
        return offer.ask(software=self._software, screen=self._screen(), stored=stored)

    def _client(self, offer: Offer) -> aiomqtt.Client:
        settings, meeting = self._broker, offer.rendezvous
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.MaximumPacketSize = MAX_ENROLMENT_BYTES + 4096
        return aiomqtt.Client(
            settings.host,
            settings.port,
            identifier=meeting.account,
            username=meeting.account,
            password=meeting.password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            properties=connect,
            max_queued_incoming_messages=50,  # answers come again
            tls_context=_tls(settings),
            timeout=10,
        )


def _in_words(error: Exception) -> str:
    """What somebody at the screen can do something with."""
    if isinstance(error, aiomqtt.MqttCodeError) and error.rc == NOT_AUTHORIZED:
        return "Not authorized: on the server nobody has given `siarhub videotron enrol SCREEN CODE` with this code yet"
    if "Operation not permitted" in str(error):
        return f"this machine lets the player go nowhere near the server ({error}): repeat make install-player"
    return str(error) or "the connection broke"


def _wants_tls(settings: BrokerSettings) -> bool:
    return settings.tls is not None or not is_local(settings.host)


def _tls(settings: BrokerSettings) -> ssl.SSLContext | None:
    """The authority of the broker's certificate comes with the enrolment; what is said until then needs no trust."""
    if not _wants_tls(settings):
        return None
    known = settings.tls.ca_file if settings.tls else None
    context = ssl.create_default_context(cafile=known)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if known is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.tls and settings.tls.cert_file:
        context.load_cert_chain(settings.tls.cert_file, settings.tls.key_file)
    return context
