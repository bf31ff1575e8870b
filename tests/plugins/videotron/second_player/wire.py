"""Bytes on the wire: signed envelopes, JSON with limits, block and report frames."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MOST_BYTES, MOST_SIGNATURES, MOST_MEMBERS, MOST_VALUES = 1_000_000, 16, 2000, 120_000
GROUP, UNICAST = 1, 2  # flags of a block
IN_GROUP, DONE = 1, 2  # flags of a report
FLUSH = 0xFFFFFFFF

_BLOCK, _REPORT = struct.Struct("!BBHIII"), struct.Struct("!BBHIIIQ")
_KID = re.compile(r"[0-9a-f]{32}")


class Refused(Exception):
    """`verdict` is one of the words in italics of "What a player accepts"."""

    def __init__(self, verdict: str, text: str = "") -> None:
        super().__init__(f"{verdict}: {text}" if text else verdict)
        self.verdict, self.text = verdict, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    text: str  # as it came
    type: str
    payload: str
    signatures: tuple[tuple[str, str], ...]  # key ids, and signatures in base64

    @property
    def signed(self) -> bytes:
        return pae(self.type, self.payload)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.signed).hexdigest()


def kid_of(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:32]


def pae(type_: str, payload: str) -> bytes:
    kind, text = type_.encode(), payload.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(text), text)


def sign(type_: str, document: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The envelope of a document, ready to be published."""
    payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    sig = base64.b64encode(key.sign(pae(type_, payload))).decode()
    signatures = [{"kid": kid_of(key.public_key().public_bytes_raw()), "sig": sig}]
    return json.dumps({"v": 1, "type": type_, "payload": payload, "signatures": signatures}).encode()


def open_envelope(raw: bytes) -> Envelope:
    """What came, not checked against any key yet."""
    if len(raw) > MOST_BYTES:
        raise Refused("too large", f"{len(raw)} bytes")
    found = parse(raw)
    if not isinstance(found, dict) or type(found.get("v")) is not int or found["v"] != 1:
        raise Refused("malformed", "no envelope of version 1")
    kind, payload, listed = found.get("type"), found.get("payload"), found.get("signatures")
    if not isinstance(kind, str) or not isinstance(payload, str) or not isinstance(listed, list):
        raise Refused("malformed", "an envelope lacks a key")
    if len(kind) > 80 or len(listed) > MOST_SIGNATURES:
        raise Refused("malformed", "a long type, or too many signatures")
    return Envelope(text=raw.decode(), type=kind, payload=payload, signatures=tuple(map(_signature, listed)))


def _signature(one: Any) -> tuple[str, str]:
    kid, sig = (one.get("kid"), one.get("sig")) if isinstance(one, dict) else (None, None)
    if not (isinstance(kid, str) and isinstance(sig, str) and _KID.fullmatch(kid) and len(sig) == 88):
        raise Refused("malformed", "a signature has another form")
    return kid, sig


def check(envelope: Envelope, keys: list[bytes], threshold: int) -> None:
    """Raise unless at least `threshold` of these keys signed it."""
    if not envelope.signatures:
        raise Refused("unsigned")
    signatures = dict(envelope.signatures)
    if len(signatures) < len(envelope.signatures):
        raise Refused("malformed", "two signatures of one key")
    known = [(key, signatures[kid_of(key)]) for key in keys if kid_of(key) in signatures]
    if not known:
        raise Refused("unknown key")
    good = sum(_holds(key, signature, envelope.signed) for key, signature in known)
    if not good:
        raise Refused("bad signature")
    if good < threshold:
        raise Refused("too few signatures", f"{good} of {threshold}")


def _holds(key: bytes, signature: str, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), signed)
    except (InvalidSignature, ValueError):  # ValueError: that is no base64
        return False
    return True


def parse(raw: bytes | str) -> Any:
    """JSON within the limits: no key twice, no NaN, no bombs, nothing that is not Unicode."""
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_never)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise Refused("malformed", str(error)[:200]) from None
    if _values(found) > MOST_VALUES:
        raise Refused("malformed", "too many values")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _never(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _values(found: Any) -> int:
    members = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    if len(members) > MOST_MEMBERS:
        raise Refused("malformed", "too many members")
    return 1 + sum(map(_values, members))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    in_group: bool
    tag: int
    index: int
    sequence: int
    data: bytes


def read_block(frame: bytes) -> Block:
    if len(frame) < _BLOCK.size:
        raise Refused("malformed", "a frame is cut off")
    version, flags, tag, index, sequence, _ = _BLOCK.unpack_from(frame)
    if version != 1 or flags not in (GROUP, UNICAST):
        raise Refused("malformed", "a frame of another version")
    return Block(in_group=flags == GROUP, tag=tag, index=index, sequence=sequence, data=frame[_BLOCK.size :])


def tag_of(cid: str) -> int:
    return int(cid[:4], 16)


def report(flags: int, *, group: int, unicast: int, boot: int, have: list[bool]) -> bytes:
    bitmap = bytearray((len(have) + 7) // 8)
    for index in (i for i, had in enumerate(have) if had):
        bitmap[index // 8] |= 1 << index % 8
    return _REPORT.pack(1, flags, 0, len(have), group, unicast, boot) + bitmap
