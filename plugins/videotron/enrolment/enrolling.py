"""The technician's side of an enrolment: waits at the broker for the player that shows the code, and answers it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.api import HubError
from plugins.videotron.protocol import WireError
from plugins.videotron.protocol.enrolment import (
    MAX_ENROLMENT_BYTES,
    Ask,
    Credential,
    Rendezvous,
    open_ask,
    seal_credential,
)
from plugins.videotron.settings import BrokerSettings

MAX_WAITING = 50  # messages; who floods the door loses his own, and wishes come again
TRY_AGAIN_S = 0.3  # the broker needs a moment to take the new accounts in


class EnrolmentFailed(HubError):
    """Nothing was enrolled, or it is not known; the text says which, and what to do."""


@dataclass(slots=True)
class Progress:
    """How far it has come: what can be told when the time is over."""

    connected: bool = False
    refused: int = 0
    last_refusal: str = ""
    answered: bool = False
    trouble: str = ""


Decide = Callable[[Ask], Awaitable[Credential]]


async def enrol_at_broker(
    meeting: Rendezvous,
    password: str,
    *,
    broker: BrokerSettings,
    namespace: str,
    within_s: float,
    decide: Decide,
) -> Ask:
    """The player's wish, once it has confirmed that it holds what `decide` gave it.

    `decide` is asked once, for the first wish made with this code; `password` is of the command's own account.
    Raises: EnrolmentFailed; whatever `decide` raises.
    """
    progress = Progress()
    dialogue = _Dialogue(meeting, namespace, decide, progress)
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    async with _client(meeting.hub_account, password, broker) as client:
                        progress.connected = True
                        return await dialogue.run(client)
                except (aiomqtt.MqttError, OSError) as error:
                    progress.trouble = str(error)
                await asyncio.sleep(TRY_AGAIN_S)
    except TimeoutError:
        raise EnrolmentFailed(_why(progress, within_s, broker)) from None


async def refused_within(broker: BrokerSettings, account: str, password: str, within_s: float) -> bool:
    """Whether the broker lets this account in no longer. Takes over its session, if there is one."""
    try:
        async with asyncio.timeout(within_s):
            while await _let_in(broker, account, password):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(TRY_AGAIN_S)
    except TimeoutError:
        return False
    return True


class _Dialogue:
    """Goes on where it was when the connection breaks: the same player gets the same answer."""

    def __init__(self, meeting: Rendezvous, namespace: str, decide: Decide, progress: Progress) -> None:
        self._meeting = meeting
        self._namespace = namespace
        self._decide = decide
        self._progress = progress
        self._credential: Credential | None = None

    async def run(self, client: aiomqtt.Client) -> Ask:
        await client.subscribe(self._meeting.ask_topic(self._namespace), qos=1)
        async for message in client.messages:
            try:
                ask = open_ask(self._meeting, bytes(message.payload))
            except (WireError, TypeError) as error:
                self._progress.refused += 1
                self._progress.last_refusal = str(error)
                continue
            if self._credential is None:
                self._credential = await self._decide(ask)
            answer, digest = seal_credential(self._meeting, ask, self._credential)
            if ask.stored == digest:
                return ask
            await client.publish(self._meeting.answer_topic(self._namespace), answer, qos=1)
            self._progress.answered = True
        raise aiomqtt.MqttError("the broker ended the connection")


def _why(progress: Progress, within_s: float, broker: BrokerSettings) -> str:
    if progress.answered:
        return (
            "the player was sent its credential and has not confirmed it. If `siarhub videotron players` shows it"
            " online soon, all is well; else enrol it again with the code that it shows then"
        )
    if not progress.connected:
        return f"the broker at {broker.host}:{broker.port} did not let this command in: {progress.trouble}"
    why = f"no player asked with this code within {within_s:g} s: compare it with the one on the screen now"
    if progress.refused:
        why += f"; what came {progress.refused} times was refused ({progress.last_refusal})"
    return why


async def _let_in(broker: BrokerSettings, account: str, password: str) -> bool:
    client = _client(account, password, broker)
    try:
        await client.__aenter__()
    except aiomqtt.MqttCodeError:  # the broker said no
        return False
    except (aiomqtt.MqttError, OSError):  # it cannot be reached: nothing is known
        return True
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)
    return True


def _client(account: str, password: str, broker: BrokerSettings) -> aiomqtt.Client:
    connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    connect.MaximumPacketSize = MAX_ENROLMENT_BYTES + 4096
    return aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=account,
        username=account,
        password=password,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        properties=connect,
        max_queued_incoming_messages=MAX_WAITING,
        tls_context=_tls(broker),
        timeout=10,
    )


def _tls(broker: BrokerSettings) -> ssl.SSLContext | None:
    if broker.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(broker.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.cert_file:
        context.load_cert_chain(str(broker.cert_file), str(broker.key_file))
    return context
