"""Who may order an emergency: the kernel's word counts, each process below is a real one under its own uid."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub import control, vouching
from hub.api import Order, OrderGiven, Outcome
from hub.clock import SystemClock
from hub.control import Orders, daemon_runs
from hub.ledger import facts, orders
from hub.ledger.database import Database
from hub.ledger.wire import stamp
from hub.messages import catalogue
from hub.vouching import digest_of, may_order, needs_voucher, ring

SCRIPT = Path(__file__).with_name("order_as.py")
NOBODY, NOGROUP = 65534, 65534  # nobody's primary group: the emergency group of these tests
OUTSIDER = 1  # daemon: another account that every Debian has
GROUP = "nogroup"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs other users")


class Desk:
    """The daemon's side, with a book of what it carried out; slow orders wait until `go` is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder / "ledger.db")
        self.done: list[Order] = []
        self.go = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        log, say = structlog.get_logger("t"), catalogue("en")
        keeper = Orders(self.folder, self.database, self._carry, GROUP, SystemClock(), log, say, lambda: None)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(keeper.run())
            async with asyncio.timeout(10):
                while not daemon_runs(self.folder):  # noqa: ASYNC110 - a socket tells nobody
                    await asyncio.sleep(0.01)
            (self.folder / "control.sock").chmod(0o666)  # as members of the group siarhub find it
            yield
            task.cancel()

    async def give_as(self, uid: int, name: str, *more: str, gid: int = 1) -> dict[str, Any]:
        command = [sys.executable, str(SCRIPT), str(self.folder), str(uid), str(gid), name, "banjir", *more]
        ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    async def write(self, name: str, *, ago: timedelta = timedelta()) -> int:
        now = datetime.now(UTC) - ago
        return await self.database.write(orders.give, name, {"screens": "gate"}, who="root", why="banjir", now=now)

    async def outcome(self, order: int) -> Outcome:
        async with asyncio.timeout(20):
            while (found := await self.database.read(orders.outcome_of, order)) is None:  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.02)
        return found

    async def recorded(self) -> list[OrderGiven]:
        entries = await self.database.read(facts.entries)
        return [entry.fact for entry in entries if isinstance(entry.fact, OrderGiven)]

    async def _carry(self, order: Order) -> Outcome:
        if order.name == "slow":
            await self.go.wait()
        self.done.append(order)
        return Outcome(done=True, message=f"{order.name} carried out")


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(control, "VOUCHED_WITHIN", timedelta(seconds=1))
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        before = os.umask(0)
        desk = Desk(folder)
        for file in folder.iterdir():
            file.chmod(0o666)  # SQLite gives its side files the mode of the ledger
        os.umask(before)
        yield desk
        desk.database.close()


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("videotron.emergency", True), ("videotron.blackout", True), ("radio.clear", True),
        ("videotron.enrolled", True), ("videotron.revoked", True),
        ("videotron.screenshot", False), ("withdraw", False), ("emergency", False), ("videotron.clear ", False),
    ],
)  # fmt: skip
def test_the_words_for_which_the_kernel_must_name_who_gives_the_order(name: str, needs: bool) -> None:
    assert needs_voucher(name) is needs


@needs_root
async def test_a_member_of_the_group_may_also_when_it_is_their_primary_one(desk: Desk) -> None:
    async with desk.open():
        answer = await desk.give_as(NOBODY, "videotron.emergency", gid=NOGROUP)

    assert answer == {"done": True, "message": "videotron.emergency carried out"}
    assert [(one.who, one.args) for one in desk.done] == [("nobody", {"screens": "gate"})]


@needs_root
async def test_nobody_else_may_whatever_the_row_says_and_the_attempt_is_recorded(desk: Desk) -> None:
    async with desk.open():
        answer = await desk.give_as(OUTSIDER, "videotron.blackout", "--claim", "root")
        recorded = await desk.recorded()

    assert not answer["done"]
    assert "daemon may not give this order" in answer["message"]
    assert GROUP in answer["message"]
    assert desk.done == []
    assert [(one.name, one.who, one.done) for one in recorded] == [("videotron.blackout", "daemon", False)]


@needs_root
async def test_whose_key_counts_only_root_says_not_the_emergency_group(desk: Desk) -> None:
    async with desk.open():
        answer = await desk.give_as(NOBODY, "videotron.enrolled", gid=NOGROUP)

    assert "only root may" in answer["message"]
    assert desk.done == []


@needs_root
async def test_a_member_who_claims_to_be_somebody_else_is_recorded_as_themselves(desk: Desk) -> None:
    async with desk.open():
        await desk.give_as(NOBODY, "videotron.clear", "--claim", "Kepala Dinas")
        recorded = await desk.recorded()

    assert [one.who for one in desk.done] == ["nobody"]
    assert [(one.who, one.done) for one in recorded] == [("nobody", True)]


@needs_root
async def test_with_sudo_the_order_is_roots_and_names_the_person_behind_it(desk: Desk) -> None:
    async with desk.open():
        await desk.give_as(0, "videotron.emergency", "--sudo", str(OUTSIDER))
        refused = await desk.give_as(OUTSIDER, "videotron.emergency", "--sudo", "0")

    assert [one.who for one in desk.done] == ["root (daemon)"]
    assert not refused["done"]  # the variable alone is worth nothing


@needs_root
async def test_an_order_whose_words_were_changed_after_the_call_is_not_carried_out(desk: Desk) -> None:
    async with desk.open():
        answer = await desk.give_as(NOBODY, "videotron.blackout", "--change")

    assert not answer["done"]
    assert "Nobody vouches" in answer["message"]
    assert desk.done == []


@needs_root
async def test_a_call_by_somebody_else_for_a_members_order_changes_nothing(desk: Desk) -> None:
    order = await desk.write("videotron.blackout")  # as if a member had written it and not called yet
    async with desk.open():
        await asyncio.to_thread(_ring_as, OUTSIDER, desk.folder, order + 1000)
        member = await desk.give_as(NOBODY, "videotron.blackout")

    assert member["done"]
    assert [one.who for one in desk.done] == ["nobody"]


async def test_a_row_that_nobody_called_for_is_refused_in_words(desk: Desk) -> None:
    async with desk.open():
        order = await desk.write("videotron.blackout")
        ring(desk.folder / "control.sock", 0, "")  # the daemon looks at its rows
        outcome = await desk.outcome(order)
        recorded = await desk.recorded()

    assert not outcome.done
    assert "Nobody vouches" in outcome.message
    assert desk.done == []
    assert [one.who for one in recorded] == ["? (root)"]  # what the row claims, marked


@pytest.mark.parametrize("ago", [timedelta(minutes=2), timedelta(minutes=-2)])
async def test_an_old_order_is_not_carried_out_by_surprise(desk: Desk, ago: timedelta) -> None:
    order = await desk.write("videotron.blackout", ago=ago)
    async with desk.open():
        ring(desk.folder / "control.sock", order, digest_of("videotron.blackout", {"screens": "gate"}, "banjir"))
        outcome = await desk.outcome(order)

    assert not outcome.done
    assert "too old" in outcome.message
    assert desk.done == []


async def test_a_call_that_was_lost_is_made_up_for_by_the_next(desk: Desk) -> None:
    async with desk.open():
        order = await desk.write("videotron.emergency")
        ring(desk.folder / "control.sock", 0, "a wake-up that names another order")
        ring(desk.folder / "control.sock", order, digest_of("videotron.emergency", {"screens": "gate"}, "banjir"))
        outcome = await desk.outcome(order)

    assert outcome.done


async def test_a_members_word_counts_once_though_somebody_makes_the_row_wait_again(desk: Desk) -> None:
    digest = digest_of("videotron.clear", {"screens": "gate"}, "banjir")
    async with desk.open():
        order = await desk.write("videotron.clear")
        ring(desk.folder / "control.sock", order, digest)
        await desk.outcome(order)
        ring(desk.folder / "control.sock", order, digest)  # the command rings until it has seen the outcome
        await desk.database.write(_wait_again, order)
        ring(desk.folder / "control.sock", 0, "")
        outcome = await desk.outcome(order)

    assert not outcome.done
    assert len(desk.done) == 1


async def test_a_members_word_cannot_be_kept_for_a_later_day(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouching, "CALL_COUNTS_FOR_S", 0.0)
    async with desk.open():
        digest = digest_of("videotron.blackout", {"screens": "gate"}, "banjir")
        ring(desk.folder / "control.sock", 1, digest)  # of a row that somebody took out at once
        order = await desk.write("videotron.blackout")
        ring(desk.folder / "control.sock", 0, "")
        outcome = await desk.outcome(order)

    assert order == 1
    assert not outcome.done
    assert desk.done == []


async def test_an_emergency_does_not_wait_behind_a_slow_order(desk: Desk) -> None:
    async with desk.open():
        slow = await desk.write("slow")
        ring(desk.folder / "control.sock", slow, "")
        order = await desk.write("videotron.emergency")
        ring(desk.folder / "control.sock", order, digest_of("videotron.emergency", {"screens": "gate"}, "banjir"))
        outcome = await desk.outcome(order)
        still_waiting = await desk.database.read(orders.outcome_of, slow)
        desk.go.set()
        await desk.outcome(slow)

    assert outcome.done
    assert still_waiting is None


@pytest.mark.parametrize("rubbish", [b"", b"order", b"[]", b"\xff", b'{"order": "1", "digest": ""}', b"[" * 4000])
async def test_what_names_no_order_does_no_harm(desk: Desk, rubbish: bytes) -> None:
    async with desk.open():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            caller.sendto(rubbish, str(desk.folder / "control.sock"))
        order = await desk.write("retry")
        ring(desk.folder / "control.sock", order, "")
        assert (await desk.outcome(order)).done


def test_root_and_the_hubs_own_user_may_and_who_has_no_name_may_not() -> None:
    assert may_order("x.clear", 0, "no-such-group")
    assert may_order("x.clear", os.geteuid(), "no-such-group")
    assert not may_order("x.clear", 54321, GROUP)
    assert not may_order("x.clear", OUTSIDER, "no-such-group")


@needs_root
def test_a_supplementary_group_counts(tmp_path: Path) -> None:
    """With a private /etc/group, in a mount namespace of its own."""
    text = Path("/etc/group").read_text() + "siarhub-darurat:x:54321:daemon\n"
    (tmp_path / "group").write_text(text)
    code = (
        "from hub.vouching import may_order as m; g = 'siarhub-darurat';"
        " print(m('x.clear', 1, g), m('x.clear', 2, g), m('x.enrolled', 1, g))"
    )
    command = f"mount --bind {tmp_path}/group /etc/group && exec {sys.executable} -c {json.dumps(code)}"
    ran = subprocess.run(["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, timeout=30)

    assert ran.stdout.split() == ["True", "False", "False"], ran.stderr


def _wait_again(db: sqlite3.Connection, order: int) -> None:
    """As any member of the group that gives orders can."""
    db.execute("UPDATE person_order SET done = NULL, given_at = ? WHERE id = ?", (stamp(datetime.now(UTC)), order))


def _ring_as(uid: int, folder: Path, order: int) -> None:
    child = os.fork()
    if child == 0:
        os.setuid(uid)
        ring(folder / "control.sock", order, digest_of("videotron.blackout", {"screens": "gate"}, "banjir"))
        os._exit(0)
    os.waitpid(child, 0)
