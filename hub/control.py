"""Orders: a person's wish is a row in the ledger; a datagram wakes the daemon, which alone carries it out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.api import Clock, HubError, Log, Order, Outcome
from hub.ledger import orders
from hub.ledger.database import Database, LedgerError, open_for_writing, transaction
from hub.messages import Catalogue, Refusal
from hub.vouching import Doorbell, about_keys, caller, digest_of, may_order, needs_voucher, ring

SOCKET = "control.sock"
LOOK_EVERY_S = 30.0
LOOK_AGAIN_S = 0.5  # while an order waits for whoever vouches for it
VOUCHED_WITHIN = timedelta(seconds=5)  # the datagram follows the row within milliseconds, and is sent again each second
TOO_OLD = timedelta(seconds=60)
RING_EVERY_S = 1.0
ANSWER_WITHIN_S = 30.0

Carry = Callable[[Order], Awaitable[Outcome]]


class Orders:
    """The daemon's side: carries out what stands in the ledger, in order, one at a time.

    Emergency orders wait for no others, and only those of one plugin for each other. They are carried out for whom the
    kernel vouches, and only when they are new: what was meant for a night must not black out a screen the day after.
    """

    def __init__(
        self,
        state_dir: Path,
        database: Database,
        carry: Carry,
        emergency_group: str,
        clock: Clock,
        log: Log,
        say: Catalogue,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called after each order: the ledger says something new."""
        self._changed = changed
        self._address = state_dir / SOCKET
        self._database = database
        self._carry = carry
        self._group = emergency_group
        self._clock = clock
        self._log = log
        self._say = say
        self._ordinary, self._emergency = asyncio.Event(), asyncio.Event()
        self._first_seen: dict[int, datetime] = {}  # emergency orders that nobody has vouched for yet
        self._under_way: set[int] = set()
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Listen and carry out, for ever."""
        self._address.unlink(missing_ok=True)  # the daemon's lock is held: nobody else listens there
        self._doorbell = Doorbell(self._address, self._clock.monotonic)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._doorbell, self._answer)
        try:
            await self._carry_out_all()
        finally:
            loop.remove_reader(self._doorbell)
            self._doorbell.close()
            self._address.unlink(missing_ok=True)

    async def _carry_out_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ordinary_orders(), name="orders: ordinary")
                group.create_task(self._emergency_orders(group), name="orders: emergencies")
        except BaseExceptionGroup as failures:  # the ledger's own error, as who waits for this part expects it
            raise failures.exceptions[0] from None

    def _answer(self) -> None:
        self._doorbell.answer()
        self._ordinary.set()
        self._emergency.set()

    async def _ordinary_orders(self) -> None:
        while True:
            self._ordinary.clear()
            for order in await self._database.read(orders.waiting):
                if not needs_voucher(order.name):
                    await self._carry_out(order)
            await _wait(self._ordinary, LOOK_EVERY_S)

    async def _emergency_orders(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._emergency.clear()
            for order in await self._new_emergencies():
                verdict = await self._judge(order)
                if verdict is None:
                    continue
                self._under_way.add(order.id)
                group.create_task(self._carry_out_emergency(order, verdict), name=f"orders: {order.name} {order.id}")
            await _wait(self._emergency, LOOK_AGAIN_S if self._first_seen else LOOK_EVERY_S)

    async def _new_emergencies(self) -> Sequence[Order]:
        waiting = [one for one in await self._database.read(orders.waiting) if needs_voucher(one.name)]
        for gone in self._first_seen.keys() - {one.id for one in waiting}:
            del self._first_seen[gone]
        return [one for one in waiting if one.id not in self._under_way]

    async def _judge(self, order: Order) -> str | Refusal | None:
        """Who gives it, when it may be carried out; why not; or None while nobody has vouched for it yet."""
        now, callers = self._clock.now(), self._doorbell.callers(order)
        if abs(now - order.given_at) > TOO_OLD:
            return Refusal(
                "This order is too old: it was given at {time} UTC, more than {seconds} seconds before the hub could "
                "begin it. It is not carried out by surprise; give it again if it is still wanted.",
                time=f"{order.given_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                seconds=int(TOO_OLD.total_seconds()),
            )
        if not callers:
            if now - self._first_seen.setdefault(order.id, now) <= VOUCHED_WITHIN:
                return None
            return Refusal(
                "Nobody vouches for this order: it came without the word of the system about who gave it. Give it "
                "again with siarhub; if the hub was restarted just now, look first what is in force."
            )
        for call in callers:
            if await asyncio.to_thread(may_order, order.name, call.uid, self._group):
                return call.who
        if about_keys(order.name):
            return Refusal(
                "{who} may not give this order: only root may (sudo). This attempt is recorded.", who=callers[0].who
            )
        return Refusal(
            "{who} may not give this order: only members of the group {group} may (root: adduser NAME {group}). "
            "This attempt is recorded.",
            who=callers[0].who,
            group=self._group,
        )

    async def _carry_out_emergency(self, order: Order, verdict: str | Refusal) -> None:
        self._first_seen.pop(order.id, None)
        try:
            if isinstance(verdict, Refusal):
                callers = self._doorbell.callers(order)
                given = replace(order, who=callers[0].who if callers else f"? ({order.who})")
                self._log.warning("emergency_order_was_refused", order=order.id, name=order.name, who=given.who)
                await self._finish(given, Outcome(done=False, message=verdict.say(self._say)))
            else:
                async with self._lanes[order.name.partition(".")[0]]:
                    await self._carry_out(replace(order, who=verdict))
        finally:
            self._doorbell.forget(order)
            self._under_way.discard(order.id)

    async def _carry_out(self, order: Order) -> None:
        try:
            outcome = await self._carry(order)
        except LedgerError:
            raise  # the process ends; the next start carries it out
        except HubError as error:  # meant for the person who ordered it
            outcome = Outcome(done=False, message=str(error))
        except Exception as error:  # noqa: BLE001 - a plugin may carry it out: the isolation boundary
            self._log.exception("order_failed", order=order.id, name=order.name)
            outcome = Outcome(done=False, message=f"{type(error).__name__}: {error}")
        await self._finish(order, outcome)

    async def _finish(self, order: Order, outcome: Outcome) -> None:
        await self._database.write(orders.carried_out, order, outcome, now=self._clock.now())
        self._changed()
        self._log.info("order_carried_out", order=order.id, name=order.name, who=order.who, done=outcome.done)


async def _wait(called: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await called.wait()
    except TimeoutError:
        return


def daemon_runs(state_dir: Path) -> bool:
    """Whether a daemon listens for orders there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(str(state_dir / SOCKET))
        except PermissionError:
            return True  # somebody listens whom this user may not call
        except OSError:
            return False
    return True


def give(state_dir: Path, ledger: Path, name: str, args: Mapping[str, str], why: str, *, may_wait: bool) -> Outcome:
    """The command line's side: write the order, wake the daemon, wait for the outcome.

    `may_wait` says what happens while the daemon is down: the order stays in the ledger, or is not given at all.
    """
    runs = daemon_runs(state_dir)
    if not runs and not may_wait:
        return Outcome(done=False, message="the hub is not running: start it (systemctl start siarhub), then ask again")
    if not ledger.is_file():  # never made here: the person who orders would own it
        return Outcome(done=False, message=f"{ledger}: no ledger there yet; start the hub once (siarhub run)")
    connection = open_for_writing(ledger)
    try:
        with transaction(connection):
            number = orders.give(connection, name, args, who=caller(), why=why, now=datetime.now(UTC))
        if not runs:
            return Outcome(
                done=True, message="the hub is not running; the order waits and is carried out when it starts"
            )
        digest, until, rung = digest_of(name, args, why), time.monotonic() + ANSWER_WITHIN_S, 0.0
        while time.monotonic() < until:
            if time.monotonic() - rung >= RING_EVERY_S:  # again: a call may be lost, or the hub be started anew
                ring(state_dir / SOCKET, number, digest)
                rung = time.monotonic()
            if outcome := orders.outcome_of(connection, number):
                return outcome
            time.sleep(0.05)
    finally:
        connection.close()
    return Outcome(done=False, message=f"no answer in {ANSWER_WITHIN_S:.0f} s; order {number} stays in the ledger")
