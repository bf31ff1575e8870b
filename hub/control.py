"""Orders: a person's wish is a row in the ledger; a datagram wakes the daemon, which alone carries it out."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from hub.api import Clock, HubError, Log, Order, Outcome
from hub.ledger import orders
from hub.ledger.database import Database, LedgerError, open_for_writing, transaction

SOCKET = "control.sock"
LOOK_EVERY_S = 30.0
ANSWER_WITHIN_S = 30.0

Carry = Callable[[Order], Awaitable[Outcome]]


class Orders:
    """The daemon's side: carries out what stands in the ledger, in order, one at a time."""

    def __init__(
        self,
        state_dir: Path,
        database: Database,
        carry: Carry,
        clock: Clock,
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called after each order: the ledger says something new."""
        self._changed = changed
        self._address = state_dir / SOCKET
        self._database = database
        self._carry = carry
        self._clock = clock
        self._log = log
        self._called = asyncio.Event()

    async def run(self) -> None:
        """Listen and carry out, for ever."""
        self._address.unlink(missing_ok=True)  # the daemon's lock is held: nobody else listens there
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Doorbell(self._called), local_addr=str(self._address), family=socket.AF_UNIX
        )
        try:
            self._address.chmod(0o660)
            while True:
                self._called.clear()
                for order in await self._database.read(orders.waiting):
                    await self._carry_out(order)
                await self._wait()
        finally:
            transport.close()
            self._address.unlink(missing_ok=True)

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
        await self._database.write(orders.carried_out, order, outcome, now=self._clock.now())
        self._changed()
        self._log.info("order_carried_out", order=order.id, name=order.name, who=order.who, done=outcome.done)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._called.wait()
        except TimeoutError:
            return


class _Doorbell(asyncio.DatagramProtocol):
    def __init__(self, called: asyncio.Event) -> None:
        self._called = called

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._called.set()


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
        _ring(state_dir)
        until = time.monotonic() + ANSWER_WITHIN_S
        while time.monotonic() < until:
            if outcome := orders.outcome_of(connection, number):
                return outcome
            time.sleep(0.05)
    finally:
        connection.close()
    return Outcome(done=False, message=f"no answer in {ANSWER_WITHIN_S:.0f} s; order {number} stays in the ledger")


def caller() -> str:
    """Who asks: the login name behind the caller's uid, and the one behind sudo."""
    name = _login(os.getuid())
    behind = os.environ.get("SUDO_UID", "")
    return f"{name} ({_login(int(behind))})" if os.getuid() == 0 and behind.isdigit() else name


def _login(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _ring(state_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # a daemon that hangs must not hang us
        try:
            sock.sendto(b"order", str(state_dir / SOCKET))
        except OSError:
            return  # it looks into the ledger by itself, a little later
