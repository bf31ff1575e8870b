"""The form of each document that a player reads, as docs/protocol.md has it. Anything else is malformed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .wire import Refused, parse

Form = Callable[[Any], Any]  # returns the value, read; raises Refused
FAR = 2**53 - 1


def malformed(what: object) -> Refused:
    return Refused("malformed", f"not as it should be: {what!r:.80}")


def integer(low: int = 0, high: int = FAR) -> Form:
    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise malformed(value)
        return value

    return read


def text(most: int, pattern: str = "(?s).*") -> Form:
    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most or not re.fullmatch(pattern, value):
            raise malformed(value)
        return value

    return read


def one_of(*values: Any) -> Form:
    def read(value: Any) -> Any:
        if not any(type(value) is type(one) and value == one for one in values):
            raise malformed(value)
        return value

    return read


def some(form: Form, most: int, least: int = 0) -> Form:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise malformed(value)
        return [form(one) for one in value]

    return read


def maybe(form: Form) -> Form:
    return lambda value: None if value is None else form(value)


@dataclass(frozen=True, slots=True)
class Optional:
    """A key that may be left out: then it is as if it had this value."""

    form: Form
    value: Any

    def __call__(self, value: Any) -> Any:
        return self.form(value)


def fields(**forms: Form) -> Form:
    """An object with these keys; further ones are ignored."""
    without = {key: form.value for key, form in forms.items() if isinstance(form, Optional)}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not forms.keys() <= value.keys() | without.keys():
            raise malformed(value)
        return {key: form((without | value)[key]) for key, form in forms.items()}

    return read


def time(value: Any) -> datetime:
    form = r"(19|[2-9]\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
    if not isinstance(value, str) or not re.fullmatch(form, value, re.ASCII) or not "1900" <= value[:4] <= "9990":
        raise malformed(value)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise malformed(value) from None


def number(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 86400:
        raise malformed(value)
    return float(value)


def zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(text(64, r"[A-Za-z0-9_+/-]+")(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise malformed(value) from None


def binary(length: int) -> Form:
    def read(value: Any) -> bytes:
        try:
            data = base64.b64decode(text(2 * FAR)(value), validate=True)
        except ValueError:
            raise malformed(value) from None
        if len(data) != length:
            raise malformed(value)
        return data

    return read


NAME, HEX16, HEX32, HEX64 = (text(64, f"[{p}") for p in ("a-z0-9-]{1,40}", "0-9a-f]{16}", "0-9a-f]{32}", "0-9a-f]{64}"))
POSITIVE, SITE, SIDE = integer(1), {"site": NAME}, integer(1, 16384)
SIZE = integer(1, 2**34)  # 16384 blocks of a MiB
HOUR = text(5, r"([01]\d|2[0-3]):[0-5]\d")
FILM = {
    "cid": HEX32, "sha256": HEX64, "size": SIZE, "seconds": number, "fetch_after": Optional(maybe(time), None),
    "item": text(40, "[A-Za-z0-9-]+"), "title": text(300),
}  # fmt: skip
NAMED = fields(**FILM, name=Optional(text(40, "[a-z0-9-]*"), ""))
ITEM = fields(
    **FILM, start=time, end=time, days=Optional(some(integer(1, 7), 7), []),
    dayparts=Optional(some(fields(start=HOUR, end=HOUR), 24), []),
    priority=Optional(one_of("urgent", "normal"), "normal"), share=Optional(integer(1, 20), 1),
    classification=Optional(text(40), ""), approval=Optional(text(200), ""), fresh_s=POSITIVE,
)  # fmt: skip
ROLE = fields(threshold=POSITIVE, keys=some(binary(32), 10, 1))
SCREEN = fields(width=SIDE, height=SIDE, zone=Optional(zone, "Asia/Makassar"))
SIGNED = {**SITE, "keyset": POSITIVE, "epoch": POSITIVE, "issued": time, "aud": NAME}

FORMS = {
    "siarhub.keyset.v1": fields(
        **SITE, version=POSITIVE, epoch=POSITIVE, issued=time, expires=time, root=ROLE, online=ROLE
    ),
    "siarhub.keychain.v1": fields(keysets=some(text(20_000), 40, 1)),
    "siarhub.hub.v1": fields(**SITE, online=one_of(True, False), run=HEX16, now=time),
    "siarhub.manifest.v1": fields(
        **SIGNED, seq=POSITIVE, expires=time, screen=SCREEN, items=some(ITEM, 1000),
        standby=Optional(some(NAMED, 100), []), fallback=Optional(maybe(NAMED), None),
        fetch_kbps=Optional(integer(0, 10_000_000), 0),
    ),
    "siarhub.override.v1": fields(
        **SIGNED, counter=POSITIVE, until=maybe(time), mode=one_of("none", "emergency", "blackout"),
        films=Optional(some(NAMED, 20), []),
    ),
    "siarhub.command.v1": fields(
        **SITE, aud=NAME, epoch=POSITIVE, counter=POSITIVE, issued=time, expires=time, name=one_of("screenshot")
    ),
    "siarhub.blocks.v1": fields(
        **SITE, cid=HEX32, sha256=HEX64, size=SIZE, block_bytes=integer(1024, 1048576), n=integer(1, 16384),
        hashes=text(1_000_000),
    ),
    "siarhub.proof-ack.v1": fields(**SITE, player=NAME, chain=HEX16, seq=integer(), hash=HEX64),
}  # fmt: skip


def read(type_: str, payload: str) -> dict[str, Any]:
    """The document, its times as datetimes; raises Refused("malformed")."""
    found: dict[str, Any] = FORMS[type_](parse(payload))
    _RULES.get(type_, lambda _: None)(found)
    return found


def films_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every film that a manifest or an override names."""
    fallback = [document["fallback"]] if document.get("fallback") else []
    return [*document.get("films", ()), *document.get("items", ()), *document.get("standby", ()), *fallback]


def _keyset(found: dict[str, Any]) -> None:
    for role in (found["root"], found["online"]):
        if len(set(role["keys"])) < len(role["keys"]) or role["threshold"] > len(role["keys"]):
            raise malformed("the keys of a keyset")


def _films(found: dict[str, Any]) -> None:
    if any(film["sha256"][:32] != film["cid"] for film in films_of(found)):
        raise malformed("a cid that is not its file's")


def _override(found: dict[str, Any]) -> None:
    _films(found)
    if bool(found["films"]) != (found["mode"] == "emergency"):
        raise malformed("the films of an override")


def _blocks(found: dict[str, Any]) -> None:
    if found["cid"] != found["sha256"][:32] or found["n"] != -(-found["size"] // found["block_bytes"]):
        raise malformed("a block list")
    found["hashes"] = binary(32 * found["n"])(found["hashes"])


_RULES = {
    "siarhub.keyset.v1": _keyset,
    "siarhub.manifest.v1": _films,
    "siarhub.override.v1": _override,
    "siarhub.blocks.v1": _blocks,
}
