"""Ed25519 signatures over exact bytes: what makes a document the hub's, or a player's, and nobody else's.

What is signed is the DSSE pre-authentication encoding of type and payload (github.com/secure-systems-lab/dsse,
`protocol.md`), so a signature for one type of document is worth nothing on another, and no text is ever written anew to
check it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from plugins.videotron.protocol.documents import Document
from plugins.videotron.protocol.envelope import DocumentT, Envelope, Signature, open_envelope, parse_payload, seal
from plugins.videotron.protocol.reasons import Attack
from plugins.videotron.protocol.wire import Refused


class Signs(Protocol):
    """A private key, wherever it is kept."""

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes over the message."""


class SigningKey:
    """A private Ed25519 key in memory."""

    def __init__(self, secret: bytes) -> None:
        """From the 32 bytes of RFC 8032's private key. Raises: ValueError."""
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._public = self._key.public_key().public_bytes_raw()

    @classmethod
    def new(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def secret(self) -> bytes:
        return self._key.private_bytes_raw()

    @property
    def public(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def key_id(public: bytes) -> str:
    """How a signature names its key: the first 32 hexadecimal digits of the public key's SHA-256."""
    return hashlib.sha256(public).hexdigest()[:32]


def pae(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def encode_signed(document: Document, *keys: Signs) -> bytes:
    """The document in its envelope, signed by each of these keys. Raises: WireError when it is too large."""
    payload = document.model_dump_json()
    return seal(document.TYPE, payload, tuple(signature(document.TYPE, payload, key) for key in keys))


def signature(kind: str, payload: str, key: Signs) -> Signature:
    made = key.sign(pae(kind, payload.encode()))
    return Signature(kid=key_id(key.public), sig=base64.b64encode(made).decode())


def decode_signed(kind: type[DocumentT], data: bytes, keys: Mapping[str, bytes], *, threshold: int = 1) -> DocumentT:
    """The document, signed by at least `threshold` of these keys (public ones by `key_id`).

    The payload is not parsed before its signatures hold. Raises: WireError; Refused for want of signatures.
    """
    envelope = open_envelope(data)
    check_type(envelope, kind)
    check_signatures(envelope, keys, threshold=threshold)
    return parse_payload(kind, envelope)


def check_type(envelope: Envelope, kind: type[Document]) -> None:
    if envelope.type != kind.TYPE:
        raise Refused(Attack.WRONG_TYPE, f"{envelope.type!r} where {kind.TYPE!r} belongs")


def check_signatures(envelope: Envelope, keys: Mapping[str, bytes], *, threshold: int = 1) -> None:
    """Raises: Refused when fewer than `threshold` of the keys, each counted once, signed these bytes."""
    if not envelope.signatures:
        raise Refused(Attack.UNSIGNED, f"{envelope.type} without a signature")
    named = {one.kid for one in envelope.signatures}
    if len(named) != len(envelope.signatures):
        raise Refused(Attack.MALFORMED, f"{envelope.type} has two signatures of one key")
    if not named & keys.keys():
        raise Refused(Attack.UNKNOWN_KEY, f"{envelope.type} is signed by a key that does not count here")
    message = pae(envelope.type, envelope.payload.encode())
    good = sum(_holds(one, keys[one.kid], message) for one in envelope.signatures if one.kid in keys)
    if good == 0:
        raise Refused(Attack.BAD_SIGNATURE, f"{envelope.type}: the signature does not fit the text")
    if good < threshold:
        raise Refused(Attack.TOO_FEW_SIGNATURES, f"{envelope.type} has {good} of {threshold} signatures")


def _holds(one: Signature, public: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(one.sig, validate=True), message)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
