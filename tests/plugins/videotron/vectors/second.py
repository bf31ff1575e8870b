"""A second implementation of what a player accepts, from docs/protocol.md alone: no code of ours, no pydantic.

It proves that the text suffices. It checks of a payload what judging needs, not every member.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
NUMBERED = {"manifest": "seq", "override": "counter", "command": "counter"}
Payload = dict[str, Any]


class Refused(Exception):
    """Its text is the verdict."""


class Player:
    """Begins with the keychain of its enrolment."""

    def __init__(self, pid: str, keychain: str, *, max_file: int, max_total: int, wanted: Payload) -> None:
        self.pid, self.max_file, self.max_total, self.wanted = pid, max_file, max_total, wanted
        self.kept: dict[str, tuple[int, int]] = {"manifest": (0, 0), "override": (0, 0), "command": (0, 0)}
        self.digests: dict[str, str] = {}
        texts = opened(keychain, "siarhub.keychain.v1")[1]["keysets"]
        self.keyset_text, self.keyset = texts[0], signed_by_roots(texts[0])
        self.not_before = time(self.keyset["issued"])
        for text in texts[1:]:
            self._step(text)

    def judge(self, kind: str, document: str, clock: datetime) -> str:
        """The verdict; what is kept changes only with `accepted`."""
        try:
            return getattr(self, f"_{kind}")(document, max(clock, self.not_before))  # type: ignore[no-any-return]
        except Refused as refused:
            return str(refused)

    def _keys(self, document: str, _: datetime) -> str:
        before = (self.keyset, self.keyset_text, self.not_before)
        last = 0
        try:
            for text in opened(document, "siarhub.keychain.v1")[1]["keysets"]:
                last = opened(text, "siarhub.keyset.v1")[1]["version"]
                if last == self.keyset["version"]:
                    must(payload_of(text) == payload_of(self.keyset_text), "equivocation")
                if last > self.keyset["version"]:
                    self._step(text)
            must(last >= self.keyset["version"], "rollback")
        except Refused:
            self.keyset, self.keyset_text, self.not_before = before
            raise
        return "accepted" if self.keyset is not before[0] else "same"

    def _step(self, text: str) -> None:
        before = self.keyset
        check_signatures(text, before["root"])
        after = signed_by_roots(text)
        must(after["site"] == before["site"], "wrong site")
        must(after["version"] > before["version"], "rollback")
        must(after["version"] == before["version"] + 1, "wrong keyset")
        must(after["epoch"] >= before["epoch"], "rollback")
        issued = time(after["issued"])
        self.not_before = issued if after["epoch"] > before["epoch"] else max(self.not_before, issued)
        self.keyset, self.keyset_text = after, text

    def _manifest(self, document: str, now: datetime) -> str:
        def further(payload: Payload) -> None:
            must(time(payload["expires"]) > now, "expired")
            sizes: dict[str, int] = {}
            for film in (*payload["items"], *payload["standby"], *filter(None, [payload["fallback"]])):
                must(sizes.setdefault(film["sha256"], film["size"]) == film["size"], "malformed")
            must(max(sizes.values(), default=0) <= self.max_file, "over limit")
            must(sum(sizes.values()) <= self.max_total, "over limit")

        return self._numbered("manifest", document, now, further)

    def _override(self, document: str, now: datetime) -> str:
        return self._numbered("override", document, now, lambda _: None)

    def _command(self, document: str, now: datetime) -> str:
        return self._numbered("command", document, now, lambda payload: must(time(payload["expires"]) > now, "expired"))

    def _numbered(self, kind: str, document: str, now: datetime, further: Callable[[Payload], None]) -> str:
        must(now < time(self.keyset["expires"]), "expired")
        payload = self._signed(document, f"siarhub.{kind}.v1")
        must(payload["site"] == self.keyset["site"], "wrong site")
        must(payload["aud"] == self.pid, "wrong audience")
        must(payload["epoch"] == self.keyset["epoch"], "wrong keyset")
        must(payload.get("keyset", 1) <= self.keyset["version"], "wrong keyset")
        number, digest = (payload["epoch"], payload[NUMBERED[kind]]), digest_of(document)
        same = number == self.kept[kind]
        if kind == "command":
            must(number > self.kept[kind], "replayed")
        else:
            must(number >= self.kept[kind], "rollback")
            must(not same or digest == self.digests[kind], "equivocation")
        further(payload)
        self._raise_time(payload["issued"])
        self.kept[kind], self.digests[kind] = number, digest
        return "same" if same else "accepted"

    def _hub(self, document: str, now: datetime) -> str:
        must(now < time(self.keyset["expires"]), "expired")
        payload = self._signed(document, "siarhub.hub.v1")
        must(payload["site"] == self.keyset["site"], "wrong site")
        before = self.not_before
        self._raise_time(payload["now"])
        return "accepted" if self.not_before > before else "same"

    def _blocks(self, document: str, _: datetime) -> str:
        payload = self._signed(document, "siarhub.blocks.v1")
        must(payload["site"] == self.keyset["site"], "wrong site")
        must(all(payload[name] == self.wanted[name] for name in ("cid", "sha256", "size")), "wrong file")
        return "accepted"

    def _ack(self, document: str, _: datetime) -> str:
        payload = self._signed(document, "siarhub.proof-ack.v1")
        must(payload["site"] == self.keyset["site"], "wrong site")
        must(payload["player"] == self.pid, "wrong audience")
        return "accepted"

    def _signed(self, document: str, kind: str) -> Payload:
        envelope = opened(document, kind, parse=False)[0]
        check_signatures(json.dumps(envelope), self.keyset["online"])
        return opened(document, kind)[1]

    def _raise_time(self, text: str) -> None:
        must(time(text) < time(self.keyset["expires"]), "expired")
        self.not_before = max(self.not_before, time(text))


def must(holds: bool, verdict: str) -> None:
    if not holds:
        raise Refused(verdict)


def opened(document: str, kind: str, *, parse: bool = True) -> tuple[Payload, Payload]:
    """Envelope and payload."""
    must(len(document.encode()) <= 1_000_000, "too large")
    envelope = read(document)
    must(type(envelope.get("v")) is int and envelope["v"] == 1, "malformed")
    must(isinstance(envelope.get("type"), str) and isinstance(envelope.get("payload"), str), "malformed")
    signatures = envelope.get("signatures")
    must(isinstance(signatures, list) and len(signatures) <= 16, "malformed")
    must(envelope["type"] == kind, "wrong type")
    return envelope, read(envelope["payload"]) if parse else {}


def read(text: str) -> Payload:
    def members(pairs: Iterable[tuple[str, Any]]) -> Payload:
        found: Payload = {}
        for name, value in pairs:
            must(name not in found, "malformed")
            found[name] = value
        return found

    try:
        value = json.loads(text, object_pairs_hook=members)
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    must(isinstance(value, dict), "malformed")
    return value  # type: ignore[no-any-return]


def payload_of(text: str) -> str:
    return str(read(text)["payload"])


def signed_text(envelope: Payload) -> bytes:
    kind, payload = envelope["type"].encode(), envelope["payload"].encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def digest_of(document: str) -> str:
    return hashlib.sha256(signed_text(read(document))).hexdigest()


def check_signatures(document: str, role: Payload) -> None:
    envelope = read(document)
    signatures = envelope["signatures"]
    must(bool(signatures), "unsigned")
    must(len({one["kid"] for one in signatures}) == len(signatures), "malformed")
    raw = [base64.b64decode(key) for key in role["keys"]]
    keys = {hashlib.sha256(key).hexdigest()[:32]: key for key in raw}
    known = [one for one in signatures if one["kid"] in keys]
    must(bool(known), "unknown key")
    good = sum(holds(keys[one["kid"]], one["sig"], signed_text(envelope)) for one in known)
    must(good > 0, "bad signature")
    must(good >= role["threshold"], "too few signatures")


def holds(key: bytes, signature: str, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_by_roots(text: str) -> Payload:
    keyset = opened(text, "siarhub.keyset.v1")[1]
    check_signatures(text, keyset["root"])
    return keyset


def time(text: str) -> datetime:
    must(bool(TIME.fullmatch(text)), "malformed")
    return datetime.fromisoformat(text).astimezone(UTC)
