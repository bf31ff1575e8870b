"""Calls hooks, one plugin at a time and with a deadline, so that no plugin can hurt another. pluggy lives here only."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import pluggy

from hub.api import (
    Delivery,
    Draft,
    Health,
    HealthState,
    Item,
    JournalEntry,
    Order,
    Outcome,
    Pending,
    Receipt,
    Rendition,
    Service,
    hookspecs,
)
from hub.plugin_host import replies
from hub.plugin_host.guard import Guard, HookTimeout, guarded_service, time_limit
from hub.plugin_host.replies import PluginContractError, described

CHECK_WITHIN_S = 10.0  # from what the plugin knows already; every drop waits for the slowest
CHECK_AGAIN_AFTER_S = 300.0
PLAN_WITHIN_S = 30.0
DELIVER_WITHIN_S = 300.0
WITHDRAW_WITHIN_S = 60.0
ORDER_WITHIN_S = 120.0
FACTS_WITHIN_S = 300.0
HEALTH_WITHIN_S = 1.0
BLOCKING_WITHIN_S = 30.0  # of the hooks declared with `def`

__all__ = ["HookTimeout", "Objection", "PluginContractError", "PluginHost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A plugin refuses an item; or (`failed`) could not say, which is no refusal but must not pass as consent."""

    plugin: str
    problem: str
    failed: bool = False


class PluginHost:
    """The plugins that run, by name. Every method calls one plugin's hook and lets its exception through."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("siarhub")
        self._manager.add_hookspecs(hookspecs)
        self._check_failed: dict[str, tuple[str, float]] = {}  # plugin -> why, and when
        self._guard = Guard()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, plugin in self._manager.list_name_plugin() if plugin is not None)

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin. Raises: PluginContractError, naming the hook; the plugin is not added then."""
        if self._manager.has_plugin(name):
            raise PluginContractError(f"there is a plugin {name} already")
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            self._check_declarations(plugin)
        except BaseException as error:
            self.unregister(name)
            if isinstance(error, pluggy.PluginValidationError | ValueError):
                raise PluginContractError(described(error).partition(": ")[2]) from error
            raise

    def unregister(self, name: str) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def implements(self, plugin: str, hook: str) -> bool:
        return self._find(plugin, hook) is not None

    def check_environment(self, plugin: str) -> tuple[str, ...]:
        return replies.texts(self._call_now(plugin, "hub_check_environment"))

    def check_reachable(self, plugin: str) -> tuple[str, ...]:
        return replies.texts(self._call_now(plugin, "hub_check_reachable"))

    def services(self, plugin: str) -> tuple[Service, ...]:
        """The plugin's services; each ends as a coroutine of the hub would, whatever it does inside."""
        found = replies.services(self._call_now(plugin, "hub_services"))
        return tuple(replace(one, run=guarded_service(f"{plugin}: {one.name}", one.run)) for one in found)

    async def check_item(self, draft: Draft) -> list[Objection]:
        """Ask every plugin for its objections, all at once: a slow one does not hold up the others."""
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._objections(plugin, draft), name=plugin) for plugin in self.names]
        return [objection for task in asked for objection in task.result()]

    async def plan_deliveries(self, plugin: str, item: Item) -> tuple[Delivery, ...]:
        """A template is nobody's who has not declared to keep it until it is ordered: it would be shown at once."""
        if item.template and not getattr(self._manager.get_plugin(plugin), "keeps_templates", False):
            return ()
        return replies.planned(await self._ask(plugin, "hub_plan_deliveries", PLAN_WITHIN_S, item=item), item)

    async def deliver(
        self, plugin: str, delivery: Delivery, item: Item, renditions: Sequence[Rendition]
    ) -> Receipt | Pending:
        return replies.delivered(
            await self._ask(
                plugin, "hub_deliver", DELIVER_WITHIN_S, delivery=delivery, item=item, renditions=renditions
            )
        )

    async def withdraw(self, plugin: str, item: Item, reason: str) -> None:
        await self._ask(plugin, "hub_withdraw", WITHDRAW_WITHIN_S, item=item, reason=reason)

    async def order(self, plugin: str, order: Order) -> Outcome:
        return replies.outcome(await self._ask(plugin, "hub_order", ORDER_WITHIN_S, order=order))

    async def facts(self, plugin: str, entries: Sequence[JournalEntry]) -> None:
        await self._ask(plugin, "hub_facts", FACTS_WITHIN_S, entries=entries)

    async def health(self, plugin: str) -> Health:
        """The plugin's own word; DOWN with the reason when it cannot give it."""
        try:
            health = replies.health(await self._ask(plugin, "hub_health", HEALTH_WITHIN_S))
        except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
            return Health(state=HealthState.DOWN, summary=f"hub_health failed: {described(error)}")
        if stuck := self._guard.stuck(f"{plugin}."):
            summary = f"{', '.join(stuck)} ignored its cancellation and still runs; restart the hub"
            return Health(state=HealthState.DOWN, summary=summary, details=health.details)
        return health

    def check_trouble(self, plugin: str) -> str:
        """Why this plugin's last `hub_check_item` failed; '' when it did not."""
        return self._check_failed.get(plugin, ("", 0.0))[0]

    async def _objections(self, plugin: str, draft: Draft) -> list[Objection]:
        trouble, since = self._check_failed.get(plugin, ("", 0.0))
        if trouble and time.monotonic() - since < CHECK_AGAIN_AFTER_S and plugin not in draft.channels:
            return []  # it was told of: not every drop shall wait for it again
        try:
            problems = replies.texts(await self._ask(plugin, "hub_check_item", CHECK_WITHIN_S, draft=draft))
        except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
            self._check_failed[plugin] = (described(error), time.monotonic())
            return [Objection(plugin=plugin, problem=described(error), failed=True)]
        self._check_failed.pop(plugin, None)
        return [Objection(plugin=plugin, problem=problem) for problem in problems]

    async def _ask(self, plugin: str, hook: str, within_s: float, **arguments: object) -> object:
        impl = self._find(plugin, hook)
        if impl is None:
            return None
        call = partial(impl.function, *(arguments[name] for name in impl.argnames))
        return await self._guard.run(f"{plugin}.{hook}", cast(Callable[[], Awaitable[object]], call), within_s)

    def _call_now(self, plugin: str, hook: str) -> object:
        impl = self._find(plugin, hook)
        if impl is None:
            return None
        try:
            with time_limit(hook, BLOCKING_WITHIN_S):
                return impl.function()
        except SystemExit as error:
            raise PluginContractError(f"{hook} raised {described(error)}") from error

    def _find(self, plugin: str, hook: str) -> pluggy.HookImpl | None:
        caller = cast(pluggy.HookCaller, getattr(self._manager.hook, hook))
        return next((impl for impl in caller.get_hookimpls() if impl.plugin_name == plugin), None)

    def _check_declarations(self, plugin: object) -> None:
        for caller in self._manager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin and caller.spec is not None:
                    _check_declaration(caller.name, caller.spec.function, impl)
        marked = {caller.name for caller in self._manager.get_hookcallers(plugin) or ()}
        for name in dir(plugin):
            if name.startswith("hub_") and name not in marked and callable(getattr(plugin, name)):
                raise PluginContractError(f"{name} lacks @hookimpl above it, so that the hub would never call it")


def _check_declaration(name: str, spec: Callable[..., Any], impl: pluggy.HookImpl) -> None:
    if impl.hookwrapper or impl.wrapper:
        raise PluginContractError(f"{name} must not be a wrapper")
    if inspect.iscoroutinefunction(impl.function) != (wants_async := inspect.iscoroutinefunction(spec)):
        raise PluginContractError(f"{name} must be declared with `{'async def' if wants_async else 'def'}`")
    for parameter in inspect.signature(impl.function).parameters.values():
        # Such a parameter would silently never get its value.
        if parameter.default is not parameter.empty or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise PluginContractError(f"{name}: write {parameter.name!r} plainly, without a default, * or /")
