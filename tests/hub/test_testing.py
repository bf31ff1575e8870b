"""The contract notices each way in which a plugin breaks the rules."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from hub.api import (
    AudioProfile,
    Delivery,
    Health,
    HealthState,
    Item,
    ItemNumber,
    JournalEntry,
    Order,
    Outcome,
    PluginContext,
    PluginSettings,
    Progress,
    Receipt,
    Rejected,
    Rendition,
    RetryLater,
    Service,
    Sha256,
    Want,
    hookimpl,
)
from hub.testing import FakeHub, PluginContract, Result, Trial, Verdict, make_context, run_checks
from hub.testing import contract as contract_module
from hub.testing import trial as trial_module
from hub.testing.runner import run_check


class Exemplary:
    """Keeps every rule, and uses every hook."""

    class Settings(PluginSettings):
        greeting: str = "hello"

    def __init__(self, context: PluginContext[Settings]) -> None:
        self.context = context
        self.held: set[str] = set()

    @hookimpl
    def hub_check_environment(self) -> Sequence[str]:
        return []

    @hookimpl
    def hub_check_reachable(self) -> Sequence[str]:
        return ["The server is away: switch it on."]

    @staticmethod
    @hookimpl
    def hub_commands() -> click.Group:
        return click.Group("mine")

    @hookimpl
    def hub_services(self) -> Sequence[Service]:
        return [Service(name="loop", run=self.loop, stop_within=timedelta(seconds=0.1))]

    async def loop(self) -> None:
        await asyncio.Event().wait()

    @hookimpl
    async def hub_check_item(self, draft: Any) -> Sequence[str]:
        return ["No documents, please."]

    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        want = Want(asset=item.assets[0].sha256, profile=AudioProfile())
        return [Delivery(key=item.number, item=item.number, destination="d", wants=(want,))]

    @hookimpl
    async def hub_deliver(self, delivery: Delivery, item: Item, renditions: Sequence[Rendition]) -> Receipt:
        await asyncio.sleep(0)
        self.held.add(delivery.key)
        return Receipt()

    @hookimpl
    async def hub_withdraw(self, item: Item, reason: str) -> None:
        self.held.discard(item.number)

    @hookimpl
    async def hub_order(self, order: Order) -> Outcome:
        return Outcome(done=False, message="unknown")

    @hookimpl
    async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
        return

    @hookimpl
    async def hub_health(self) -> Health:
        return Health(state=HealthState.DEGRADED, summary="somebody should look")


class TestExemplary(PluginContract):
    plugin_class = Exemplary


class ChangesItsKeys(Exemplary):
    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        return [Delivery(key=f"{time.perf_counter_ns()}", item=item.number, destination="d")]


class SharesAKey(Exemplary):
    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        return [Delivery(key="always", item=item.number, destination="d")]


class WantsOthers(Exemplary):
    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        want = Want(asset="f" * 64, profile=AudioProfile())  # type: ignore[arg-type]
        return [Delivery(key=item.number, item=item.number, destination="d", wants=(want,))]


class DeliversOnlyOnce(Exemplary):
    @hookimpl
    async def hub_deliver(self, delivery: Delivery) -> Receipt:
        if delivery.key in self.held:
            raise Rejected("is there already")
        self.held.add(delivery.key)
        return Receipt()


class MustHaveIt(Exemplary):
    @hookimpl
    async def hub_withdraw(self, item: Item) -> None:
        self.held.remove(item.number)


class TripsOverFacts(Exemplary):
    @hookimpl
    async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            self.held.remove(str(entry.seq))


class ObeysEverything(Exemplary):
    @hookimpl
    async def hub_order(self, order: Order) -> Outcome:
        return Outcome(done=True, message="of course")


class ThinksAboutItsHealth(Exemplary):
    @hookimpl
    async def hub_health(self) -> Health:
        await asyncio.sleep(30)
        return Health(state=HealthState.OK)


class Blocks(Exemplary):
    @hookimpl
    async def hub_deliver(self) -> Receipt:
        time.sleep(0.2)  # noqa: ASYNC251 - what it is here for
        return Receipt()


class SwallowsCancellation(Exemplary):
    @hookimpl
    async def hub_deliver(self) -> Receipt:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            return Receipt()
        return Receipt()


class ServesForEver(Exemplary):
    async def loop(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


class ObjectsInOneText(Exemplary):
    @hookimpl
    async def hub_check_item(self) -> Any:
        return "no"


class Unfit(Exemplary):
    @hookimpl
    def hub_check_environment(self) -> Sequence[str]:
        return ["Install the thing."]


class LooseSettings(Exemplary):
    class Settings(PluginSettings, extra="allow"): ...  # type: ignore[assignment]


class ThawedSettings(Exemplary):
    class Settings(PluginSettings, frozen=False): ...  # type: ignore[assignment]


class Waits(Exemplary):
    @hookimpl
    async def hub_deliver(self) -> Receipt:
        await asyncio.Event().wait()
        return Receipt()


def try_one(plugin: type, check: str, folder: Path) -> Result:
    contract: Any = type("Contract", (PluginContract,), {"plugin_class": plugin})()
    method = getattr(contract, check)
    needs_folder = check not in ("test_settings", "test_commands")
    return run_check(check, lambda: method(folder) if needs_folder else method())


@pytest.mark.parametrize(
    ("plugin", "check", "reason"),
    [
        (ChangesItsKeys, "test_planning", "planned"),
        (SharesAKey, "test_planning", "two items share a key"),
        (WantsOthers, "test_planning", "not of IP-2026-11-0001"),
        (DeliversOnlyOnce, "test_delivering", "no the second time"),
        (MustHaveIt, "test_withdrawing", "KeyError"),
        (TripsOverFacts, "test_facts", "KeyError"),
        (ObeysEverything, "test_orders", "an order that does not exist"),
        (ThinksAboutItsHealth, "test_health", "did not answer within 1 s"),
        (Blocks, "test_blocking", "hub_deliver blocked the loop for 0.2"),
        (SwallowsCancellation, "test_cancellation", "swallowed its cancellation"),
        (ServesForEver, "test_services", "swallowed its cancellation"),
        (ObjectsInOneText, "test_objections", "hub_check_item"),
        (Unfit, "test_environment", "Install the thing."),
        (LooseSettings, "test_settings", "unknown keys"),
        (ThawedSettings, "test_settings", "frozen"),
        (Waits, "test_delivering", "did not answer within"),
    ],
)
def test_a_broken_rule_is_noticed(
    plugin: type, check: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_module, "ANSWER_WITHIN_S", 2.0)
    monkeypatch.setattr(contract_module, "BIG_BYTES", 4096)

    result = try_one(plugin, check, tmp_path)

    assert result.verdict is Verdict.FAILED
    assert reason in result.reason


@pytest.mark.parametrize("error", [RetryLater("the server is away"), Rejected("not for me")])
def test_a_destination_that_is_away_is_no_broken_rule(error: Exception, tmp_path: Path) -> None:
    class Away(Exemplary):
        @hookimpl
        async def hub_deliver(self) -> Receipt:
            raise error

    result = try_one(Away, "test_delivering", tmp_path)

    assert result.verdict is Verdict.SKIPPED
    assert str(error) in result.reason


def test_the_place_of_a_bug_is_named(tmp_path: Path) -> None:
    result = try_one(MustHaveIt, "test_withdrawing", tmp_path)

    assert "test_testing.py:" in result.reason


def test_all_rules_run_without_pytest(tmp_path: Path) -> None:
    results = list(run_checks(TestExemplary, tmp_path))

    assert [result for result in results if result.verdict is not Verdict.OK] == []
    assert len(results) == 14


def test_a_check_that_never_ends_is_named_with_its_place() -> None:
    let_go = threading.Event()

    result = run_check("a rule", lambda: let_go.wait(30), within_s=0.1)
    let_go.set()

    assert result.verdict is Verdict.HUNG
    assert "threading.py:" in result.reason


def test_a_plugin_sees_what_its_test_says_is_under_way(tmp_path: Path) -> None:
    half = Progress(
        asset=Sha256("a" * 64), item=ItemNumber("IP-2026-11-0007"), title="Siaga", name="a.mp4", part=0.5, speed=2.0,
        left_s=3.0, outputs=("1280x720 H.264",),
    )  # fmt: skip

    assert make_context(PluginSettings(), tmp_path, hub=FakeHub(under_way=[half])).progress() == (half,)
    assert make_context(PluginSettings(), tmp_path).progress() == ()


def test_a_trial_knows_an_item_of_every_kind_of_media(tmp_path: Path) -> None:
    trial = Trial(Exemplary, {}, tmp_path)

    assert {item.assets[0].media.kind for item in trial.items} == {"video", "audio", "image", "document"}
    assert len({item.assets[0].sha256 for item in trial.items}) == 4
