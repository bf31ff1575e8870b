"""What a plugin may answer: anything else is refused here, by name, before it reaches the ledger or a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from hub.api import (
    AudioProfile,
    Delivery,
    Health,
    HealthState,
    Item,
    Outcome,
    Pending,
    Receipt,
    Service,
    ThumbnailProfile,
    VideoProfile,
    Want,
)

T = TypeVar("T")
LONGEST_TEXT = 4000


class PluginContractError(Exception):
    """A plugin does not match the hook specifications, or a hook returned what its docstring does not allow."""


def all_of(kind: type[T], reply: object) -> tuple[T, ...]:
    """A reply that must be a list or tuple of one type; None is an empty one."""
    if reply is None:
        return ()
    if isinstance(reply, str | bytes) or not isinstance(reply, Sequence):
        raise PluginContractError(f"expected a list of {kind.__name__}, got {shown(reply)}")
    for value in reply:
        if not isinstance(value, kind):
            raise PluginContractError(f"expected {kind.__name__}, got {shown(value)}")
    return tuple(reply)


def texts(reply: object) -> tuple[str, ...]:
    """A reply that must be sentences."""
    return tuple(clean(text) for text in all_of(str, reply))


def planned(reply: object, item: Item) -> tuple[Delivery, ...]:
    """The deliveries of one item, each with a key of its own."""
    deliveries = tuple(_delivery(one) for one in all_of(Delivery, reply))
    if any(delivery.item != item.number for delivery in deliveries):
        raise PluginContractError(f"hub_plan_deliveries named another item than {item.number}")
    if len({delivery.key for delivery in deliveries}) != len(deliveries):
        raise PluginContractError("hub_plan_deliveries used a key twice")
    return deliveries


def delivered(reply: object) -> Receipt | Pending:
    if not isinstance(reply, Receipt | Pending):
        raise PluginContractError(f"hub_deliver returned {shown(reply)}, not a Receipt or Pending")
    return replace(reply, detail=_text(reply.detail, "hub_deliver: detail"))


def outcome(reply: object) -> Outcome:
    if not (isinstance(reply, Outcome) and isinstance(reply.done, bool)):
        raise PluginContractError(f"hub_order returned {shown(reply)}, not an Outcome")
    return replace(reply, message=_text(reply.message, "hub_order: message"))


def health(reply: object) -> Health:
    """A plugin that says nothing is well."""
    if reply is None:
        return Health(state=HealthState.OK)
    if not (isinstance(reply, Health) and isinstance(reply.state, HealthState)):
        raise PluginContractError(f"hub_health returned {shown(reply)}, not a Health")
    return replace(reply, summary=_text(reply.summary, "hub_health: summary"))


def services(reply: object) -> tuple[Service, ...]:
    found = all_of(Service, reply)
    for one in found:
        if not (isinstance(one.name, str) and callable(one.run) and isinstance(one.stop_within, timedelta)):
            raise PluginContractError(f"hub_services: {shown(one)} needs a name, a coroutine function, a timedelta")
    return found


def clean(text: str) -> str:
    """Text that every file, terminal and database takes: no lone surrogates, no NUL, not endless."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:LONGEST_TEXT]


def shown(value: object) -> str:
    """A value as a short text, even when its own `repr` is broken."""
    try:
        return clean(f"{type(value).__name__} {value!r}"[:200])
    except Exception:  # noqa: BLE001 - a repr written by a plugin's author may raise anything
        return type(value).__name__


def described(error: BaseException) -> str:
    """An exception as one line, even when it cannot say what it is."""
    try:
        return clean(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - as above
        return type(error).__name__


def _delivery(one: Delivery) -> Delivery:
    key, destination = _text(one.key, "a delivery's key"), _text(one.destination, "a delivery's destination")
    if not key or (key, destination) != (one.key, one.destination):
        raise PluginContractError(f"a delivery needs a key and a destination of plain text, got {shown(one)}")
    wants: Any = one.wants
    for want in all_of(Want, wants):
        if not (
            isinstance(want.asset, str) and isinstance(want.profile, VideoProfile | AudioProfile | ThumbnailProfile)
        ):
            raise PluginContractError(f"a Want needs an asset's sha256 and a profile, got {shown(want)}")
    return replace(one, wants=tuple(wants or ()))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise PluginContractError(f"{what} must be text, got {shown(value)}")
    return clean(value)
