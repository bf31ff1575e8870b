"""The envelope of every JSON document, with its signatures; and how documents become bytes and back."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from plugins.videotron.protocol.documents import Document
from plugins.videotron.protocol.reasons import Attack
from plugins.videotron.protocol.wire import MAX_DOCUMENT_BYTES, Refused, WireError


class Signature(BaseModel):
    """`kid` names the key, `sig` is base64 of the 64 bytes of Ed25519 (RFC 8032)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    kid: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sig: Annotated[str, Field(min_length=88, max_length=88)]


class Envelope(BaseModel):
    """`payload` is the exact JSON text: signatures are over these bytes, never over a text written anew."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    v: Annotated[int, Field(ge=1, le=1)]  # Literal would take true and 1.0 for it
    type: Annotated[str, Field(max_length=80)]
    payload: str
    signatures: Annotated[tuple[Signature, ...], Field(max_length=16), FailFast()]


MAX_MEMBERS = 2000  # of one list or object
MAX_VALUES = 120_000  # in all: 1000 items with 24 dayparts each have 95,000

DocumentT = TypeVar("DocumentT", bound=Document)


def seal(kind: str, payload: str, signatures: tuple[Signature, ...] = ()) -> bytes:
    """The envelope's bytes. Raises: WireError when it is larger than a receiver accepts."""
    envelope = Envelope(v=1, type=kind, payload=payload, signatures=signatures)
    data = envelope.model_dump_json().encode()
    if len(data) > MAX_DOCUMENT_BYTES:
        raise WireError(f"{kind}: {len(data)} bytes is more than {MAX_DOCUMENT_BYTES}")
    return data


def encode(document: Document) -> bytes:
    """The document in an envelope that nobody signed. Raises: WireError when it is too large."""
    return seal(document.TYPE, document.model_dump_json())


def open_envelope(data: bytes) -> Envelope:
    """The envelope, its payload not looked at yet. Raises: WireError."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise Refused(Attack.TOO_LARGE, f"a document of {len(data)} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WireError("a document that is not UTF-8") from None
    return parse(Envelope, text)


def decode(kind: type[DocumentT], data: bytes) -> DocumentT:
    """The document of this kind in an envelope, whoever signed it: for what nothing depends on. Raises: WireError."""
    envelope = open_envelope(data)
    if envelope.type != kind.TYPE:
        raise Refused(Attack.WRONG_TYPE, f"{envelope.type!r} where {kind.TYPE!r} belongs")
    return parse_payload(kind, envelope)


def parse_payload(kind: type[DocumentT], envelope: Envelope) -> DocumentT:
    return parse(kind, envelope.payload)


ModelT = TypeVar("ModelT", bound=BaseModel)


def parse(model: type[ModelT], text: str) -> ModelT:
    """The model in a JSON text; refused: a key twice in one object, what is not JSON, too many values.

    Raises: WireError.
    """
    try:
        # pydantic would take the last of two equal keys, and NaN, which is not JSON.
        _check_amount(json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number))
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"{model.__name__}: {'.'.join(map(str, first['loc']))} {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise WireError(f"{model.__name__}: {str(error)[:200]}") from None


def _check_amount(document: Any) -> None:
    """Half a million empty lists fit into the bytes of a document, and would keep a small machine busy for seconds."""
    waiting, left = [document], MAX_VALUES
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            left -= len(value)
            if len(value) > MAX_MEMBERS or left < 0:
                raise ValueError("more values than any document has")
            waiting.extend(value.values() if isinstance(value, dict) else value)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice in one object")
    return found
