"""Every hook that a plugin can implement, in the order in which the hub calls them.

A plugin is a class with a frozen pydantic `Settings`; the hub validates `[plugins.<name>]` against it, builds a
`PluginContext` and calls the class with it. Hooks are methods marked with `@hookimpl`. A hook may leave out arguments
that it does not need. `def` and `async def` are as written here: anything else is refused when the plugin is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import pluggy

from hub.api.facts import JournalEntry
from hub.api.models import Delivery, Draft, Health, Item, Order, Outcome, Pending, Receipt, Rendition, Service

hookspec = pluggy.HookspecMarker("siarhub")
hookimpl = pluggy.HookimplMarker("siarhub")


@hookspec
def hub_check_environment() -> Sequence[str]:  # type: ignore[empty-body]
    """Name what is missing (programs, folders, credentials), one sentence each with the remedy.

    Called by `siarhub check` and before start. A problem keeps this plugin down.
    """


@hookspec
def hub_check_reachable() -> Sequence[str]:  # type: ignore[empty-body]
    """Name what this plugin cannot reach just now (a broker, a playout), one sentence each with the remedy.

    Called by `siarhub check` only, in a process of its own: what is away now may be back later, and keeps nothing down.
    """


@hookspec
def hub_commands() -> click.Group | None:
    """Return the commands mounted as `siarhub <plugin> ...`.

    A static method, called on the class without constructing the plugin: import lazily inside the commands.
    The click context's `obj` is a `hub.api.cli.CommandContext`; what changes anything calls its `order(...)`.
    """


@hookspec
def hub_services() -> Sequence[Service]:  # type: ignore[empty-body]
    """Return the tasks that the hub must keep running for this plugin.

    One that crashes or returns is started again with backoff, and turns the plugin's health red meanwhile.
    """


@hookspec
async def hub_check_item(draft: Draft) -> Sequence[str]:  # type: ignore[empty-body]
    """Object to an item before it is accepted: each problem is a sentence for office staff, in their language.

    Any problem ends in a refusal. Look only at what concerns this plugin (`draft.channels`).
    """


@hookspec
async def hub_plan_deliveries(item: Item) -> Sequence[Delivery]:  # type: ignore[empty-body]
    """Name this plugin's deliveries of an accepted item, each with the renditions it wants.

    Repeatable: called again after a crash, at start for every item in its window, and after `replan()`. The same item
    and settings give the same keys. A delivery that is no longer named is withdrawn.

    A plugin is not asked about templates (`item.template`), which nobody may see before an emergency order, unless its
    class says `keeps_templates = True`: it then holds them back until it is told to show them.
    """


@hookspec
async def hub_deliver(  # type: ignore[empty-body]
    delivery: Delivery, item: Item, renditions: Sequence[Rendition]
) -> Receipt | Pending:
    """Bring one of this plugin's own deliveries to its destination. At least once: use `delivery.key`.

    Renditions come in the order of `delivery.wants`. Return a `Receipt` when the destination holds it, `Pending` when
    the receipt will follow as a `Delivered` fact. Raises: `RetryLater` (expected, backoff), `Rejected` (never again).
    """


@hookspec
async def hub_withdraw(item: Item, reason: str) -> None:
    """Take the item back from every destination of this plugin. Succeeds when there is nothing to take back."""


@hookspec
async def hub_order(order: Order) -> Outcome:  # type: ignore[empty-body]
    """Carry out a person's order whose name begins with this plugin's name. At least once: use `order.id`.

    `<plugin>.emergency`, `.blackout` and `.clear` wait for no other orders, and come only from the emergency group.
    """


@hookspec
async def hub_facts(entries: Sequence[JournalEntry]) -> None:
    """Observe what happened, in order, in batches.

    At least once, from a cursor of this plugin's own that moves when this returns; a plugin enabled later sees all
    from the beginning.
    """


@hookspec
async def hub_health() -> Health:  # type: ignore[empty-body]
    """Report health from memory within a second."""
