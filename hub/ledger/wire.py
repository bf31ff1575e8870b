"""Values as JSON text in the ledger, and times as text that sorts."""

from __future__ import annotations

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


def stamp(time: datetime) -> str:
    """UTC with microseconds: text order is time order."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
