"""What a plugin's hook may do to the hub: nothing but answer, or fail by name, in its time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.api import (
    Delivery,
    Health,
    HealthState,
    Item,
    Order,
    Outcome,
    Pending,
    Receipt,
    Rejected,
    RetryLater,
    Service,
    Want,
    hookimpl,
)
from hub.plugin_host import guard, host
from hub.plugin_host.host import HookTimeout, PluginContractError, PluginHost
from hub.testing import make_item

ITEM = make_item()
DELIVERY = Delivery(key="k", item=ITEM.number, destination="d")


def hosting(plugin: object, *others: object) -> PluginHost:
    made = PluginHost()
    made.register(plugin, "mine")
    for number, other in enumerate(others):
        made.register(other, f"other{number}")
    return made


def delivering(answer: Any) -> PluginHost:
    """A host whose plugin answers a delivery with what `answer()` gives or raises."""

    class Answers:
        @hookimpl
        async def hub_deliver(self) -> Any:
            return answer()

    return hosting(Answers())


def raising(error: BaseException) -> Any:
    def answer() -> None:
        raise error

    return answer


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DELIVER_WITHIN_S", "CHECK_WITHIN_S", "HEALTH_WITHIN_S", "BLOCKING_WITHIN_S"):
        monkeypatch.setattr(host, name, 0.05)
    monkeypatch.setattr(guard, "END_WITHIN_S", 0.05)


class Good:
    @hookimpl
    async def hub_check_item(self, draft: Any) -> list[str]:
        return [f"not {draft.title}"]

    @hookimpl
    async def hub_health(self) -> Health:
        return Health(state=HealthState.OK, summary="well")


class Stubborn:
    """Ignores its cancellation until it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    @hookimpl
    async def hub_deliver(self) -> Receipt:
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                continue
        return Receipt()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def hub_deliver(self, delivery): ...", "hub_deliver must be declared with `async def`"),
        ("async def hub_services(self): ...", "hub_services must be declared with `def`"),
        ("async def hub_deliver(self): yield 1", "hub_deliver must be declared with `async def`"),
        ("async def hub_deliverr(self, delivery): ...", "hub_deliverr"),
        ("async def hub_deliver(self, delivry): ...", "delivry"),
        ("async def hub_deliver(self, delivery, renditions=()): ...", "'renditions' plainly"),
        ("async def hub_deliver(self, *, delivery): ...", "'delivery' plainly"),
        ("async def hub_deliver(self, *everything): ...", "'everything' plainly"),
    ],
)
def test_a_hook_that_is_not_as_declared_is_refused_by_name(body: str, message: str) -> None:
    names: dict[str, Any] = {"hookimpl": hookimpl}
    exec(f"class Bad:\n  @hookimpl\n  {body}\n", names)  # noqa: S102 - the line is the case
    made = PluginHost()

    with pytest.raises(PluginContractError, match=r".") as refused:
        made.register(names["Bad"](), "bad")

    assert message in str(refused.value)
    assert made.names == ()


def test_a_hook_without_its_mark_is_refused_rather_than_never_called() -> None:
    class Forgetful:
        async def hub_deliver(self, delivery: Delivery) -> Receipt:
            return Receipt()

    with pytest.raises(PluginContractError, match="hub_deliver lacks @hookimpl"):
        hosting(Forgetful())


def test_a_wrapper_is_refused() -> None:
    class Wraps:
        @hookimpl(wrapper=True)
        def hub_services(self) -> Any:
            return (yield)

    with pytest.raises(PluginContractError, match="must not be a wrapper"):
        hosting(Wraps())


def test_a_plugin_that_breaks_while_it_is_registered_leaves_no_trace() -> None:
    class Explodes:
        @hookimpl
        async def hub_health(self) -> Health:
            return Health(state=HealthState.OK)

        @property
        def hub_trap(self) -> str:
            raise ZeroDivisionError("boom")

    made = PluginHost()

    with pytest.raises(ZeroDivisionError):
        made.register(Explodes(), "bad")

    assert made.names == ()
    assert not made.implements("bad", "hub_health")


async def test_a_second_plugin_of_a_name_does_not_push_out_the_first() -> None:
    made = hosting(Good())

    with pytest.raises(PluginContractError, match="already"):
        made.register(Good(), "mine")

    assert (await made.health("mine")).summary == "well"


async def test_a_plugin_may_leave_out_hooks_and_arguments() -> None:
    class Little:
        @hookimpl
        async def hub_deliver(self, item: Any) -> Receipt:
            return Receipt(detail=item.number)

    made = hosting(Little())

    assert await made.deliver("mine", DELIVERY, ITEM, ()) == Receipt(detail=ITEM.number)
    assert await made.plan_deliveries("mine", ITEM) == ()
    assert await made.health("mine") == Health(state=HealthState.OK)
    assert made.check_environment("mine") == made.check_reachable("mine") == made.services("mine") == ()
    await made.withdraw("mine", ITEM, "why")
    await made.facts("mine", ())


@pytest.mark.parametrize("error", [RetryLater("away"), Rejected("never"), ZeroDivisionError("bug")])
async def test_what_a_hook_raises_reaches_the_caller(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        await delivering(raising(error)).deliver("mine", DELIVERY, ITEM, ())


async def test_an_exit_called_by_a_plugin_does_not_end_the_hub() -> None:
    with pytest.raises(PluginContractError, match="SystemExit: 3"):
        await delivering(raising(SystemExit(3))).deliver("mine", DELIVERY, ITEM, ())


async def test_a_cancellation_of_the_plugins_own_making_does_not_cancel_the_hubs_job() -> None:
    with pytest.raises(PluginContractError, match="cancelled by its own code"):
        await delivering(raising(asyncio.CancelledError())).deliver("mine", DELIVERY, ITEM, ())


async def test_an_exception_that_cannot_say_what_it_is_becomes_one_that_can() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with pytest.raises(PluginContractError, match="Mute"):
        await delivering(raising(Mute())).deliver("mine", DELIVERY, ITEM, ())


@pytest.mark.usefixtures("hurried")
async def test_a_hook_that_waits_for_ever_is_ended_by_its_deadline() -> None:
    ended = asyncio.Event()

    class Waits:
        @hookimpl
        async def hub_deliver(self) -> Receipt:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return Receipt()

    with pytest.raises(HookTimeout, match=r"mine.hub_deliver did not answer within 0.05 s"):
        await hosting(Waits()).deliver("mine", DELIVERY, ITEM, ())

    assert ended.is_set()


@pytest.mark.usefixtures("hurried")
async def test_a_hook_that_ignores_its_cancellation_is_left_behind_and_named_in_the_health() -> None:
    plugin = Stubborn()
    made = hosting(plugin)

    with pytest.raises(HookTimeout):
        await made.deliver("mine", DELIVERY, ITEM, ())
    with pytest.raises(HookTimeout, match="an earlier call ignored its cancellation"):
        await made.deliver("mine", DELIVERY, ITEM, ())
    sick = await made.health("mine")
    plugin.let_go.set()
    async with asyncio.timeout(5):
        while (await made.health("mine")).state is HealthState.DOWN:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)

    assert "mine.hub_deliver ignored its cancellation" in sick.summary


@pytest.mark.usefixtures("hurried")
async def test_the_hub_can_stop_although_a_hook_ignores_its_cancellation() -> None:
    plugin = Stubborn()
    made = hosting(plugin)
    async with asyncio.TaskGroup() as group:
        job = group.create_task(made.deliver("mine", DELIVERY, ITEM, ()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        job.cancel()

    assert job.cancelled()
    plugin.let_go.set()


@pytest.mark.parametrize("reply", [None, True, "done", 5, [Receipt()], Receipt, Receipt(detail=None)])  # type: ignore[arg-type]
async def test_a_delivery_is_only_done_by_a_receipt(reply: Any) -> None:
    with pytest.raises(PluginContractError):
        await delivering(lambda: reply).deliver("mine", DELIVERY, ITEM, ())


async def test_text_that_no_database_takes_is_cleaned() -> None:
    reply = await delivering(lambda: Pending(detail="a\ud800b\0c" + "x" * 9000)).deliver("mine", DELIVERY, ITEM, ())

    assert reply.detail.startswith("a?bcx")
    assert len(reply.detail) < 5000


@pytest.mark.parametrize(
    "reply",
    [
        5,
        "text",
        [None],
        (one for one in [DELIVERY]),
        [DELIVERY, DELIVERY],
        [Delivery(key="", item=ITEM.number, destination="d")],
        [Delivery(key=5, item=ITEM.number, destination="d")],  # type: ignore[arg-type]
        [Delivery(key="k\0", item=ITEM.number, destination="d")],
        [Delivery(key="k", item=ITEM.number, destination=None)],  # type: ignore[arg-type]
        [Delivery(key="k", item="IP-2026-11-9999", destination="d")],  # type: ignore[arg-type]
        [Delivery(key="k", item=ITEM.number, destination="d", wants=("mp4",))],  # type: ignore[arg-type]
        [Delivery(key="k", item=ITEM.number, destination="d", wants=(Want(asset="a", profile="hd"),))],  # type: ignore[arg-type]
    ],
)
async def test_a_nonsense_plan_is_refused(reply: Any) -> None:
    class Plans:
        @hookimpl
        async def hub_plan_deliveries(self) -> Any:
            return reply

    with pytest.raises(PluginContractError):
        await hosting(Plans()).plan_deliveries("mine", ITEM)


@pytest.mark.parametrize("reply", [None, "yes", Outcome(done="yes", message="")])  # type: ignore[arg-type]
async def test_an_order_is_answered_by_an_outcome(reply: Any) -> None:
    class Obeys:
        @hookimpl
        async def hub_order(self, order: Order) -> Any:
            return reply

    order = Order(id=1, name="mine.x", args={}, who="w", why="y", given_at=datetime.now(UTC))

    with pytest.raises(PluginContractError):
        await hosting(Obeys()).order("mine", order)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("how", ["raises", "waits", "nonsense", "one text", "exits"])
async def test_a_plugin_that_cannot_check_an_item_neither_consents_nor_silences_the_others(how: str) -> None:
    class Broken:
        @hookimpl
        async def hub_check_item(self) -> Any:
            if how == "raises":
                raise ZeroDivisionError("boom")
            if how == "exits":
                raise SystemExit(1)
            if how == "waits":
                await asyncio.Event().wait()
            return "one sentence" if how == "one text" else 17

    objections = await hosting(Broken(), Good()).check_item(ITEM)

    assert [(one.plugin, one.failed) for one in objections] == [("mine", True), ("other0", False)]
    assert objections[1].problem == f"not {ITEM.title}"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raising(ZeroDivisionError("boom")), "ZeroDivisionError: boom"),
        (raising(TimeoutError("of its own")), "of its own"),
        (lambda: "fine", "str 'fine'"),
        (lambda: Health(state="purple"), "purple"),  # type: ignore[arg-type]
    ],
)
async def test_health_that_cannot_be_told_is_down_with_the_reason(answer: Any, reason: str) -> None:
    class Ill:
        @hookimpl
        async def hub_health(self) -> Any:
            return answer()

    health = await hosting(Ill()).health("mine")

    assert health.state is HealthState.DOWN
    assert reason in health.summary


@pytest.mark.usefixtures("hurried")
def test_a_blocking_hook_is_broken_off_and_its_place_named() -> None:
    class Blocks:
        @hookimpl
        def hub_check_environment(self) -> list[str]:
            while True:
                try:
                    time.sleep(60)
                except Exception:  # noqa: BLE001, S112 - what bad plugins do
                    continue

    begun = time.monotonic()
    with pytest.raises(HookTimeout, match=r"hub_check_environment did not end .*test_host\.py:\d+"):
        hosting(Blocks()).check_environment("mine")

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("reply", ["Install mosquitto.", [1], 7])
def test_problems_are_a_list_of_sentences(reply: Any) -> None:
    class Checks:
        @hookimpl
        def hub_check_reachable(self) -> Any:
            return reply

    with pytest.raises(PluginContractError):
        hosting(Checks()).check_reachable("mine")


@pytest.mark.parametrize(
    "service",
    ["run", Service(name="n", run=None), Service(name="n", run=asyncio.sleep, stop_within=5)],  # type: ignore[arg-type]
)
def test_a_service_that_could_not_be_run_or_stopped_is_refused(service: Any) -> None:
    class Serves:
        @hookimpl
        def hub_services(self) -> Any:
            return [service]

    with pytest.raises(PluginContractError):
        hosting(Serves()).services("mine")


def serving(run: Any) -> Service:
    class Serves:
        @hookimpl
        def hub_services(self) -> Any:
            return [Service(name="loop", run=run)]

    return hosting(Serves()).services("mine")[0]


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError()])
async def test_a_service_cannot_end_the_hub(error: BaseException) -> None:
    async def run() -> None:
        raise error

    with pytest.raises(PluginContractError, match="mine: loop"):
        await serving(run).run()


async def test_a_service_that_swallows_its_cancellation_still_counts_as_cancelled() -> None:
    begun = asyncio.Event()

    async def run() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def keep() -> None:
        await serving(run).run()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(keep())
        await begun.wait()
        task.cancel()

    assert task.cancelled()


@pytest.mark.parametrize(("keeps", "planned"), [(None, 0), (False, 0), (True, 1)])
async def test_a_template_is_planned_by_those_alone_who_keep_it_until_it_is_ordered(
    keeps: object, planned: int
) -> None:
    class Shows:
        keeps_templates = keeps

        @hookimpl
        async def hub_plan_deliveries(self, item: Item) -> list[Delivery]:
            return [Delivery(key="k", item=item.number, destination="d")]

    made = hosting(Shows())

    assert len(await made.plan_deliveries("mine", make_item(template="banjir"))) == planned
    assert len(await made.plan_deliveries("mine", make_item())) == 1
