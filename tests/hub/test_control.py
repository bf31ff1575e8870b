"""A person's order: written once, carried out once, and answered."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from hub import control
from hub.api import Order, Outcome, Rejected
from hub.clock import SystemClock
from hub.control import Orders, daemon_runs, give
from hub.ledger import orders
from hub.ledger.database import Database, LedgerError, open_for_writing
from hub.messages import catalogue
from hub.vouching import caller


class Desk:
    """The daemon's side, with a book of what it carried out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledger.db"
        self.database = Database(self.ledger)
        self.done: list[Order] = []
        self.error: Exception | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.keeper().run())
            async with asyncio.timeout(10):
                while not daemon_runs(self.folder):  # noqa: ASYNC110 - a socket tells nobody
                    await asyncio.sleep(0.01)
            yield
            task.cancel()

    def keeper(self) -> Orders:
        log, say = structlog.get_logger("t"), catalogue("en")
        return Orders(self.folder, self.database, self._carry, "siarhub-darurat", SystemClock(), log, say, lambda: None)

    async def give(self, name: str = "retry", *, may_wait: bool = False) -> Outcome:
        return await asyncio.to_thread(give, self.folder, self.ledger, name, {"item": "x"}, "why", may_wait=may_wait)

    async def _carry(self, order: Order) -> Outcome:
        self.done.append(order)
        if self.error:
            raise self.error
        return Outcome(done=True, message=f"{order.name} carried out")


@pytest.fixture
def desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="siar-") as folder:  # short: UNIX sockets allow 107 bytes
        desk = Desk(Path(folder))
        yield desk
        desk.database.close()


async def test_an_order_is_carried_out_and_its_outcome_shown(desk: Desk) -> None:
    async with desk.open():
        outcome = await desk.give()

    assert outcome == Outcome(done=True, message="retry carried out")
    assert [(one.name, one.args, one.why, one.who) for one in desk.done] == [("retry", {"item": "x"}, "why", caller())]


async def test_many_who_order_at_once_are_each_answered_once(desk: Desk) -> None:
    async with desk.open(), asyncio.TaskGroup() as group:
        asked = [group.create_task(desk.give(f"order.{number}")) for number in range(6)]

    assert [task.result().message for task in asked] == [f"order.{number} carried out" for number in range(6)]
    assert sorted(one.name for one in desk.done) == [f"order.{number}" for number in range(6)]


async def test_an_order_given_while_the_hub_is_down_waits_only_where_it_may(desk: Desk) -> None:
    refused = await desk.give(may_wait=False)
    waits = await desk.give("withdraw", may_wait=True)
    assert (refused.done, waits.done) == (False, True)
    assert "not running" in refused.message

    async with desk.open(), asyncio.timeout(10):
        while not desk.done or await desk.database.read(orders.waiting):  # noqa: ASYNC110 - a row tells nobody
            await asyncio.sleep(0.01)

    assert [one.name for one in desk.done] == ["withdraw"]


@pytest.mark.parametrize(
    ("error", "message"),
    [(Rejected("that screen is unknown"), "that screen is unknown"), (KeyError("x"), "KeyError: 'x'")],
)
async def test_an_order_that_fails_is_answered_with_the_reason_and_the_next_is_carried_out(
    desk: Desk, error: Exception, message: str
) -> None:
    async with desk.open():
        desk.error = error
        assert await desk.give() == Outcome(done=False, message=message)
        desk.error = None
        assert (await desk.give()).done


async def test_an_order_cut_off_by_a_broken_ledger_waits_for_the_next_start(desk: Desk) -> None:
    desk.error = LedgerError("gone")
    await desk.give("withdraw", may_wait=True)

    with pytest.raises(LedgerError):
        await desk.keeper().run()

    assert [one.name for one in await desk.database.read(orders.waiting)] == ["withdraw"]
    assert not (desk.folder / control.SOCKET).exists()


async def test_a_socket_left_by_a_kill_is_no_running_hub_and_no_obstacle(desk: Desk) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(desk.folder / control.SOCKET))
    assert not daemon_runs(desk.folder)

    async with desk.open():
        assert (await desk.give()).done


async def test_a_hub_that_does_not_answer_is_not_waited_for_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ANSWER_WITHIN_S", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(desk.folder / control.SOCKET))
        outcomes = [await desk.give() for _ in range(15)]  # more than the socket's queue holds

    assert {one.done for one in outcomes} == {False}
    assert "stays in the ledger" in outcomes[-1].message


def test_no_order_makes_a_ledger(tmp_path: Path) -> None:
    outcome = give(tmp_path, tmp_path / "ledger.db", "withdraw", {}, "", may_wait=True)

    assert (outcome.done, list(tmp_path.iterdir())) == (False, [])
    assert "start the hub once" in outcome.message


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_who_may_not_call_the_hub_is_not_told_that_it_is_down() -> None:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        open_for_writing(folder / "ledger.db").close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(folder / control.SOCKET))
            (folder / control.SOCKET).chmod(0o660)
            child = os.fork()
            if child == 0:
                os.setgroups([])
                os.setuid(65534)
                try:
                    runs = daemon_runs(folder)
                    give(folder, folder / "ledger.db", "retry", {}, "", may_wait=False)
                except LedgerError as error:
                    os._exit(0 if runs and "check the disk, the owner" in str(error) else 2)
                os._exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
