"""The rules that every plugin keeps, as tests: under pytest as a base class, or by `siarhub plugin test` without it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import click
from pydantic import ValidationError

from hub.api import Draft, Order, PluginSettings, Rejected, RetryLater
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import explain
from hub.testing.fakes import NOON
from hub.testing.trial import NAME, ContractBroken, Trial, answer, call

BLOCK_WITHIN_S = 0.1  # how long a hook may keep the loop to itself
BIG_BYTES = 32 << 20
TRIES = 3  # a busy machine is late now and then; a plugin that blocks is late every time
CANCEL_AFTER_TURNS = (1, 2, 3, 5, 8, 13)


def check(body: Callable[[Any, Trial], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """A test that gets a fresh trial in a folder of its own; its docstring is the rule."""

    def run(self: PluginContract, tmp_path: Path) -> None:
        asyncio.run(_checked(body(self, Trial(self.plugin_class, self.settings, tmp_path))))

    run.__name__, run.__doc__ = body.__name__, body.__doc__
    return run


class PluginContract:
    """Derive from it, name your class and, where the defaults do not do, your settings.

    Everything is done with a throw-away state folder, but deliveries go where the settings say: name a test folder or
    a test server. A rule that cannot be tried (the destination is away, nothing is planned) is skipped with the reason.
    """

    plugin_class: ClassVar[Any]
    settings: ClassVar[Mapping[str, Any]] = {}

    def test_settings(self) -> None:
        """its settings are frozen, know no unknown key, and validate"""
        settings = getattr(self.plugin_class, "Settings", None)
        if not (isinstance(settings, type) and issubclass(settings, PluginSettings)):
            raise ContractBroken("it needs a class `Settings` derived from hub.api.PluginSettings")
        if not settings.model_config.get("frozen"):
            raise ContractBroken("Settings must stay frozen: do not set frozen=False")
        if settings.model_config.get("extra") != "forbid":
            raise ContractBroken("Settings must refuse unknown keys: do not change extra='forbid'")
        try:
            settings.model_validate(dict(self.settings))
        except ValidationError as error:
            raise ContractBroken("; ".join(explain(error, "plugins.NAME"))) from error

    @check
    async def test_declarations(self, trial: Trial) -> None:
        """it can be built, and its hooks are declared as the manual says"""
        PluginHost().register(trial.build(), NAME)

    @check
    async def test_environment(self, trial: Trial) -> None:
        """what it misses, it says in sentences, and it misses nothing here"""
        host = PluginHost()
        host.register(trial.build(), NAME)
        missing = host.check_environment(NAME)
        await asyncio.to_thread(host.check_reachable, NAME)  # like `siarhub check`: where no loop runs
        if missing:
            raise ContractBroken(f"it cannot run here: {'; '.join(missing)}")

    def test_commands(self) -> None:
        """its commands are a click group, got without building it"""
        make = getattr(self.plugin_class, "hub_commands", None)
        if make is None:
            raise SkipTest("it has none")
        group = make()
        if not (group is None or isinstance(group, click.Group)):
            raise ContractBroken(f"hub_commands returned {type(group).__name__}, not a click.Group")

    @check
    async def test_services(self, trial: Trial) -> None:
        """its services end in their time when they are cancelled"""
        plugin = trial.build()
        trial.start(plugin)
        services = plugin.hub_services() if hasattr(plugin, "hub_services") else ()
        if not services:
            raise SkipTest("it has none")
        for service in services:
            await _cancel(f"the service {service.name!r}", service.run, 50, service.stop_within.total_seconds())

    @check
    async def test_objections(self, trial: Trial) -> None:
        """what it objects to in an item, it says in sentences"""
        host = trial.start()
        for item in trial.items:
            values = {name: getattr(item, name) for name in Draft.__dataclass_fields__}
            objections = await answer(host.check_item(Draft(**values)))
            if failed := [one.problem for one in objections if one.failed]:
                raise ContractBroken(f"hub_check_item: {failed[0]}")

    @check
    async def test_planning(self, trial: Trial) -> None:
        """asked again, and after a restart, it plans the same deliveries, of the item's own files"""
        host = trial.start()
        for item in trial.items:
            first, again = [await answer(host.plan_deliveries(NAME, item)) for _ in range(2)]
            after = await answer(trial.start().plan_deliveries(NAME, item))
            if not first == again == after:
                raise ContractBroken(f"{item.assets[0].original_name}: planned {first}, then {again}, then {after}")
            for delivery in first:
                trial.renditions(delivery, item)
        keys = [delivery.key for _, delivery in await trial.plans(host)]
        if len(set(keys)) != len(keys):
            raise ContractBroken("two items share a key: put item.number into it")

    @check
    async def test_delivering(self, trial: Trial) -> None:
        """delivering twice, and again after a restart, is harmless"""
        host = trial.start()
        for item, delivery in await trial.plans(host):
            renditions = trial.renditions(delivery, item)
            await answer(host.deliver(NAME, delivery, item, renditions))
            for again in (host, trial.start()):
                try:
                    await answer(again.deliver(NAME, delivery, item, renditions))
                except SkipTest as error:
                    raise ContractBroken(f"delivered once, it says no the second time: {error}") from error

    @check
    async def test_withdrawing(self, trial: Trial) -> None:
        """withdrawing succeeds when nothing is there, and twice"""
        host = trial.start()
        for item in trial.items:
            await answer(host.withdraw(NAME, item, "uji"))
        for item, delivery in await trial.plans(host):
            await answer(host.deliver(NAME, delivery, item, trial.renditions(delivery, item)))
            await answer(host.withdraw(NAME, item, "uji"))
            await answer(trial.start().withdraw(NAME, item, "uji"))

    @check
    async def test_facts(self, trial: Trial) -> None:
        """being told a fact twice, or of an item it never had, is harmless"""
        host = trial.start()
        if not host.implements(NAME, "hub_facts"):
            raise SkipTest("it observes none")
        for item in trial.items:
            entries = trial.entries(item, await answer(host.plan_deliveries(NAME, item)))
            for again in (host, host, trial.start()):
                await answer(again.facts(NAME, entries))

    @check
    async def test_orders(self, trial: Trial) -> None:
        """an order that it does not know is answered with not done"""
        host = trial.start()
        if not host.implements(NAME, "hub_order"):
            raise SkipTest("it carries out none")
        order = Order(id=1, name=f"{NAME}.no_such_order", args={}, who="uji", why="uji", given_at=NOON)
        if (await answer(host.order(NAME, order))).done:
            raise ContractBroken("it says that it carried out an order that does not exist")

    @check
    async def test_health(self, trial: Trial) -> None:
        """it tells its health within a second"""
        health = await trial.start().health(NAME)
        if health.summary.startswith("hub_health failed"):
            raise ContractBroken(health.summary)

    @check
    async def test_cancellation(self, trial: Trial) -> None:
        """a delivery that is cancelled stops at once: CancelledError passes through"""
        host = trial.start()
        for item, delivery in await trial.plans(host):
            renditions = trial.renditions(delivery, item)
            for turns in CANCEL_AFTER_TURNS:
                arguments = {"delivery": delivery, "item": item, "renditions": renditions}
                await _cancel("hub_deliver", partial(call, trial.build(), "hub_deliver", **arguments), turns, 10.0)

    def test_blocking(self, tmp_path: Path) -> None:
        """no hook keeps the loop to itself for longer than 0.1 s, with a big file either"""
        for number in range(TRIES):
            trial = Trial(self.plugin_class, self.settings, tmp_path / str(number), size_bytes=BIG_BYTES)
            with _SlowCalls() as slow:
                asyncio.run(_checked(_use_every_hook(trial, slow)), debug=True)
            if not slow.found:
                return
        raise ContractBroken(f"{'; '.join(slow.found)}: put what blocks into `await asyncio.to_thread(...)`")


async def _checked(body: Awaitable[None]) -> None:
    await body


async def _use_every_hook(trial: Trial, slow: _SlowCalls) -> None:
    plugin = trial.build()
    item, delivery = (await trial.plans(trial.start(plugin)))[0]
    renditions = trial.renditions(delivery, item)
    entries = trial.entries(item, [delivery])
    slow.begin()
    for hook, arguments in (
        ("hub_check_item", {"draft": item}),
        ("hub_plan_deliveries", {"item": item}),
        ("hub_deliver", {"delivery": delivery, "item": item, "renditions": renditions}),
        ("hub_health", {}),
        ("hub_facts", {"entries": entries}),
        ("hub_withdraw", {"item": item, "reason": "uji"}),
    ):
        if hasattr(plugin, hook):
            await asyncio.sleep(0)
            slow.hook = hook
            await answer(asyncio.get_running_loop().create_task(_call(plugin, hook, arguments)))


async def _call(plugin: object, hook: str, arguments: Mapping[str, Any]) -> None:
    await call(plugin, hook, **arguments)


async def _cancel(what: str, run: Callable[[], Awaitable[Any]], turns: int, within_s: float) -> None:
    """Run a coroutine for some turns of the loop, cancel it, and see that it ends so."""

    async def body() -> None:
        await run()

    task = asyncio.get_running_loop().create_task(body(), name=what)
    for _ in range(turns):
        await asyncio.sleep(0)
    asked = task.cancel()
    await asyncio.wait({task}, timeout=within_s)
    if not task.done():
        raise ContractBroken(f"{what} still runs {within_s:g} s after its cancellation")
    if not asked or task.cancelled():
        _see(task)
        return
    error = task.exception()
    raise ContractBroken(f"{what} swallowed its cancellation" + (f" and raised {error!r}" if error else ""))


def _see(task: asyncio.Task[None]) -> None:
    """What ended before it was cancelled must have ended well, or with a no that is allowed."""
    if not task.cancelled() and (error := task.exception()) and not isinstance(error, RetryLater | Rejected):
        raise error


class _SlowCalls(logging.Handler):
    """Collects what asyncio's debug mode says of callbacks that took too long, with the hook that ran then."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self.hook = ""

    def begin(self) -> None:
        """From now on it counts; making the big files before was not the plugin's doing."""
        asyncio.get_running_loop().slow_callback_duration = BLOCK_WITHIN_S

    def emit(self, record: logging.LogRecord) -> None:
        if self.hook and record.msg.startswith("Executing") and isinstance(record.args, tuple):
            self.found.append(f"{self.hook} blocked the loop for {record.args[1]:.2f} s")

    def __enter__(self) -> _SlowCalls:
        logger = logging.getLogger("asyncio")
        logger.addHandler(self)
        self._propagated, logger.propagate = logger.propagate, False
        return self

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("asyncio")
        logger.removeHandler(self)
        logger.propagate = self._propagated
