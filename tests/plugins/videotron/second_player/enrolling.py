"""Enrolment: a code on the screen, an ask, and an answer that only this player can open."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import documents, wire

SALT, ALPHABET = b"siarhub.enrol.v1", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ASK_EVERY_S, MOST_BYTES = 5, 262_144

SIZE = documents.fields(width=documents.SIDE, height=documents.SIDE)
BROKER = documents.fields(
    host=documents.text(253), port=documents.integer(1, 65535), ca=documents.maybe(documents.text(65_536))
)
CREDENTIAL = documents.fields(
    player=documents.NAME, password=documents.text(200), site=documents.NAME, keychain=documents.text(131_072),
    zone=documents.zone, screen=SIZE, broker=BROKER,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code, and what it commits to. Forgotten after half an hour."""

    key: bytes  # the player's public key
    box: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    salt: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def raw(self) -> bytes:
        told = b"siarhub.enrol.v1 code\0" + self.key + self._box + self.salt
        return hashlib.sha256(told).digest()[:10]

    @property
    def shown(self) -> str:
        number = int.from_bytes(self.raw)
        letters = "".join(ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
        return "-".join(letters[n : n + 4] for n in range(0, 16, 4))

    @property
    def id(self) -> str:
        return self._derived(b"id", 8).hex()

    @property
    def password(self) -> str:
        return base64.urlsafe_b64encode(self._derived(b"broker password", 24)).decode()

    def ask(self, stored: str | None = None) -> bytes:
        parts = {"key": self.key, "box": self._box, "salt": self.salt}
        said = {"id": self.id, **{name: base64.b64encode(part).decode() for name, part in parts.items()}}
        text = json.dumps(said | {"software": "second-player 1", "screen": None, "stored": stored}).encode()
        return hmac.digest(self._derived(b"ask", 32), b"siarhub.enrol-ask.v1\0" + text, "sha256") + text

    def open(self, answer: bytes) -> str:
        """The text of an answer to this code; raises Refused."""
        if not 44 < len(answer) <= MOST_BYTES:
            raise wire.Refused("malformed", "an answer of another length")
        theirs, nonce, sealed = answer[:32], answer[32:44], answer[44:]
        try:
            shared = self.box.exchange(X25519PublicKey.from_public_bytes(theirs))  # ValueError: a secret of zeros
            key = _hkdf(shared + self.raw, b"answer" + theirs + self._box, 32)
            text = ChaCha20Poly1305(key).decrypt(nonce, sealed, b"siarhub.enrol-answer.v1\0" + self.id.encode())
            return text.decode()
        except (ValueError, InvalidTag):
            raise wire.Refused("malformed", "an answer to something else") from None

    @property
    def _box(self) -> bytes:
        return self.box.public_key().public_bytes_raw()

    def _derived(self, info: bytes, length: int) -> bytes:
        return _hkdf(self.raw, info, length)


def read_credential(text: str) -> dict[str, Any]:
    """What an answer, or a file that a person carried, gives this player."""
    found: dict[str, Any] = CREDENTIAL(wire.parse(text))
    return found


def enrol(code: Code, broker: dict[str, Any], *, keep: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Ask until an answer came and was kept, it is stopped, or the broker hangs up. Raises OSError without a broker."""
    ns = f"{broker['ns']}/e/{code.id}"
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"enrol.{code.id}", protocol=mqtt.MQTTv5)
    client.username_pw_set(f"enrol.{code.id}", code.password)
    if broker.get("tls"):  # nothing here needs the certificate
        client.tls_set(cert_reqs=ssl.CERT_NONE)
        client.tls_insecure_set(True)
    answers: list[str] = []
    client.on_message = lambda _client, _data, message: answers.extend(_opened(code, message.payload))
    client.on_connect = lambda *_: client.subscribe(f"{ns}/answer", 1)
    client.connect(broker["host"], broker["port"])
    asked = float("-inf")
    while not answers and not stopped() and client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
        if client.is_connected() and time.monotonic() >= asked + ASK_EVERY_S:
            asked = time.monotonic()
            client.publish(f"{ns}/ask", code.ask(), 1)
    if answers:
        keep(answers[0])
        said = client.publish(f"{ns}/ask", code.ask(hashlib.sha256(answers[0].encode()).hexdigest()), 1)
        while not said.is_published() and client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
            pass
    client.disconnect()


def _opened(code: Code, answer: bytes) -> list[str]:
    try:
        text = code.open(answer)
        read_credential(text)
    except wire.Refused:
        return []
    return [text]


def _hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, SALT, info).derive(secret)
