"""Values as JSON text in the ledger, and times as text that sorts."""

from __future__ import annotations

import warnings
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from hub.api import facts
from hub.api.facts import Fact

T = TypeVar("T")

FACT_KINDS: dict[str, type[Fact]] = {
    kind.__name__: kind
    for kind in (
        facts.ItemChanged,
        facts.DeliveryChanged,
        facts.Refused,
        facts.OrderGiven,
        facts.Delivered,
        facts.DeliveryFailed,
        facts.Played,
        facts.Aired,
        facts.Filed,
    )
}


def to_json(value: object) -> str:
    kind: Any = type(value)
    return _adapter(kind).dump_json(value).decode()


def from_json(kind: type[T], text: str) -> T:
    hashable: Any = kind
    value: T = _adapter(hashable).validate_json(text)
    return value


def faithful(value: object) -> bool:
    """Whether the ledger would give back exactly this: types as declared, times aware, text that every file takes."""
    times = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else []
    if any(isinstance(one, datetime) and one.utcoffset() is None for one in times):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydantic only warns of a wrong type
            return bool(from_json(type(value), to_json(value)) == value)
    except (ValueError, UserWarning):  # what pydantic raises, and cannot encode
        return False


def stamp(time: datetime) -> str:
    """UTC with microseconds: text order is time order."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
