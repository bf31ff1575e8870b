"""How a new player gets its credential through a broker that nobody trusts: a code on its screen, and three messages.

The code has 80 bits and is two things at once. It is a secret that the broker does not have: topic, account and both
keys come out of it. And it is a commitment to the player's keys, so that who merely reads it off the screen can neither
put a key of his own in the place of the player's nor open what the hub answers. `docs/protocol.md` has the exact bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field

from plugins.videotron.protocol.documents import Digest, Document, PlayerId, Site
from plugins.videotron.protocol.envelope import parse
from plugins.videotron.protocol.reasons import Attack
from plugins.videotron.protocol.wire import Refused, WireError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
CODE_BYTES, CODE_LETTERS = 10, 16
MAX_ENROLMENT_BYTES = 262_144
_LABEL = b"siarhub.enrol.v1"
_MAC_BYTES, _NONCE_BYTES, _KEY_BYTES = 32, 12, 32
_SPOKEN = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})

Key = Annotated[str, Field(min_length=44, max_length=44)]  # base64 of 32 bytes


class Size(Document):
    width: Annotated[int, Field(ge=1, le=16384)]
    height: Annotated[int, Field(ge=1, le=16384)]


class Ask(Document):
    """A player's wish to be enrolled; with `stored` its word that it holds the answer with that SHA-256."""

    TYPE: ClassVar[str] = "siarhub.enrol-ask.v1"

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    key: Key  # Ed25519, the player's for ever
    box: Key  # X25519, for this code alone
    salt: Annotated[str, Field(min_length=24, max_length=24)]  # base64 of 16 bytes
    software: Annotated[str, Field(max_length=80)]
    screen: Size | None  # what its output seems to be
    stored: Digest | None = None

    def public(self) -> bytes:
        """Raises: WireError."""
        return _decoded(self.key, 32)


class Meeting(Document):
    """Where a player meets its hub from now on."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)]
    ca: Annotated[str, Field(max_length=65536)] | None  # PEM; None = a plain connection


class Credential(Document):
    """All that makes a machine the player of one screen. `keychain` is base64 of the signed chain of keysets."""

    TYPE: ClassVar[str] = "siarhub.enrol-answer.v1"

    player: PlayerId
    password: Annotated[str, Field(min_length=1, max_length=200, repr=False)]
    site: Site
    keychain: Annotated[str, Field(max_length=131_072)]
    zone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]
    screen: Size
    broker: Meeting

    def chain(self) -> bytes:
        """Raises: WireError."""
        return _decoded(self.keychain)


class Enrolment(Document):
    """A credential and whose machine it was given to: what the player keeps, and what a person may carry to it."""

    TYPE: ClassVar[str] = "siarhub.enrolment.v1"

    key: Key  # the player's
    credential: Credential


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """What both sides derive from the code."""

    code: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Rendezvous:
        """From what a person read and typed. Raises: ValueError with what is wrong about it."""
        return cls(parse_code(text))

    @property
    def id(self) -> str:
        return self._derived(b"id", 8).hex()

    @property
    def account(self) -> str:
        """The player's account at the broker until it has its own. No screen can have this name: it has a dot."""
        return f"enrol.{self.id}"

    @property
    def hub_account(self) -> str:
        return f"enroller.{self.id}"

    @property
    def password(self) -> str:
        return base64.urlsafe_b64encode(self._derived(b"broker password", 24)).decode()

    def ask_topic(self, namespace: str) -> str:
        return f"{namespace}/e/{self.id}/ask"

    def answer_topic(self, namespace: str) -> str:
        return f"{namespace}/e/{self.id}/answer"

    def mac(self, text: bytes) -> bytes:
        return hmac.digest(self._derived(b"ask", 32), Ask.TYPE.encode() + b"\0" + text, "sha256")

    def _derived(self, info: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, _LABEL, info).derive(self.code)


class Offer:
    """The player's side of one code; forgotten with it, and then no answer to it can be opened any more."""

    def __init__(self, key: bytes, *, box: bytes | None = None, salt: bytes | None = None) -> None:
        """`key` is the player's public key; `box` (a private X25519 key) and `salt` are new unless they are given."""
        self._box = X25519PrivateKey.from_private_bytes(box) if box else X25519PrivateKey.generate()
        self._salt = salt or secrets.token_bytes(16)
        self._key = key
        self.rendezvous = Rendezvous(_commitment(key, self._box.public_key().public_bytes_raw(), self._salt))

    @property
    def code(self) -> str:
        """For the screen: four groups of four."""
        return show_code(self.rendezvous.code)

    def ask(self, *, software: str, screen: Size | None, stored: str | None = None) -> bytes:
        text = Ask(
            id=self.rendezvous.id,
            key=_encoded(self._key),
            box=_encoded(self._box.public_key().public_bytes_raw()),
            salt=_encoded(self._salt),
            software=software[:80],
            screen=screen,
            stored=stored,
        )
        payload = text.model_dump_json().encode()
        return self.rendezvous.mac(payload) + payload

    def open(self, message: bytes) -> tuple[Credential, str]:
        """The credential in an answer, and the SHA-256 to confirm it with. Raises: WireError."""
        head = _KEY_BYTES + _NONCE_BYTES
        if not head < len(message) <= MAX_ENROLMENT_BYTES:
            raise Refused(Attack.TOO_LARGE, f"an answer of {len(message)} bytes")
        ephemeral, nonce, sealed = message[:_KEY_BYTES], message[_KEY_BYTES:head], message[head:]
        box = self._box.public_key().public_bytes_raw()
        try:
            shared = self._box.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            key = _answer_key(self.rendezvous, shared, ephemeral, box)
            text = ChaCha20Poly1305(key).decrypt(nonce, sealed, _bound_to(self.rendezvous))
        except (InvalidTag, ValueError):  # ValueError: a key that makes the exchange worthless
            raise Refused(Attack.BAD_SIGNATURE, "an answer that was not made for this code and this player") from None
        return parse(Credential, _utf8(text)), hashlib.sha256(text).hexdigest()


def open_ask(rendezvous: Rendezvous, message: bytes) -> Ask:
    """The hub's side: a wish that was made with this code, by the player that shows it. Raises: WireError."""
    if not _MAC_BYTES < len(message) <= MAX_ENROLMENT_BYTES:
        raise Refused(Attack.TOO_LARGE, f"a wish of {len(message)} bytes")
    mac, text = message[:_MAC_BYTES], message[_MAC_BYTES:]
    if not hmac.compare_digest(mac, rendezvous.mac(text)):
        raise Refused(Attack.BAD_SIGNATURE, "a wish that was made without the code")
    ask = parse(Ask, _utf8(text))
    if ask.id != rendezvous.id:
        raise Refused(Attack.WRONG_AUDIENCE, "a wish for another code")
    if not hmac.compare_digest(
        _commitment(ask.public(), _decoded(ask.box, 32), _decoded(ask.salt, 16)), rendezvous.code
    ):
        raise Refused(Attack.UNKNOWN_KEY, "a wish with a key that is not the one of the player that shows the code")
    return ask


def seal_credential(
    rendezvous: Rendezvous, ask: Ask, credential: Credential, *, ephemeral: bytes | None = None, nonce: bytes = b""
) -> tuple[bytes, str]:
    """The answer to a wish, and the SHA-256 that confirms it. Raises: WireError."""
    own = X25519PrivateKey.from_private_bytes(ephemeral) if ephemeral else X25519PrivateKey.generate()
    nonce = nonce or secrets.token_bytes(_NONCE_BYTES)
    box, public = _decoded(ask.box, 32), own.public_key().public_bytes_raw()
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(box))
    except ValueError:
        raise WireError("a key that makes the exchange worthless") from None
    text = credential.model_dump_json().encode()
    key = _answer_key(rendezvous, shared, public, box)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, text, _bound_to(rendezvous))
    return public + nonce + sealed, hashlib.sha256(text).hexdigest()


def show_code(code: bytes) -> str:
    number = int.from_bytes(code, "big")
    letters = "".join(ALPHABET[number >> 5 * at & 31] for at in reversed(range(CODE_LETTERS)))
    return "-".join(letters[at : at + 4] for at in range(0, CODE_LETTERS, 4))


def parse_code(text: str) -> bytes:
    """Case, hyphens and spaces do not matter; O is read as 0, I and L as 1. Raises: ValueError."""
    letters = text.strip().upper().translate(_SPOKEN)
    if wrong := sorted(set(letters) - set(ALPHABET)):
        raise ValueError(f"no code has the letter {wrong[0]!r}")
    if len(letters) != CODE_LETTERS:
        raise ValueError(f"a code has {CODE_LETTERS} letters and digits, this has {len(letters)}")
    number = 0
    for letter in letters:
        number = number << 5 | ALPHABET.index(letter)
    return number.to_bytes(CODE_BYTES, "big")


def _commitment(key: bytes, box: bytes, salt: bytes) -> bytes:
    return hashlib.sha256(_LABEL + b" code\0" + key + box + salt).digest()[:CODE_BYTES]


def _answer_key(rendezvous: Rendezvous, shared: bytes, ephemeral: bytes, box: bytes) -> bytes:
    return HKDF(SHA256(), 32, _LABEL, b"answer" + ephemeral + box).derive(shared + rendezvous.code)


def _bound_to(rendezvous: Rendezvous) -> bytes:
    return Credential.TYPE.encode() + b"\0" + rendezvous.id.encode()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str, length: int | None = None) -> bytes:
    """Of exactly this length: the commitment is over parts end to end, whose borders must not move."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise WireError("not base64") from None
    if length is not None and len(data) != length:
        raise WireError(f"{len(data)} bytes where {length} belong")
    return data


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WireError("a text that is not UTF-8") from None
