"""An office with a real broker, the hub's own record, and players that nobody has enrolled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiomqtt
import pytest
import structlog
from click.testing import CliRunner, Result

from hub.api import Order, Outcome
from plugins.videotron.enrolment.enrolments import FILE, Enrolments, carry_out
from plugins.videotron.keys import keyring
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.player.agent import SystemClock
from plugins.videotron.player.enrolling import Enrolling, Pace
from plugins.videotron.player.identity import Identity
from plugins.videotron.player.settings import BrokerSettings as PlayersBroker
from plugins.videotron.protocol.enrolment import Size
from plugins.videotron.settings import BrokerSettings, ScreenSettings, VideotronSettings

PROGRAM = str(Path(sys.executable).with_name("siarhub-player"))
QUICK = Pace(knock_every_s=0.1, ask_again_s=0.3)


@dataclass
class Office:
    """What the command line gives a command; orders go to the hub's own record, as the daemon brings them."""

    root: Path
    wanted: VideotronSettings
    record: Enrolments
    runs: bool = True
    orders: list[Order] = field(default_factory=list)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Makassar"))

    def settings(self, plugin: str, model: type) -> VideotronSettings:
        return self.wanted

    def state_dir(self, plugin: str) -> Path:
        return self.root

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        if not self.runs:
            return Outcome(done=False, message="the hub is not running")
        order = Order(id=len(self.orders), name=name, args=args, who="teknisi", why=why, given_at=datetime.now(UTC))
        self.orders.append(order)
        outcome = asyncio.run(carry_out(order, self.record, self.wanted.screens))
        assert outcome is not None
        return outcome


@dataclass
class Site:
    """A broker with a hub's account and two screens that nobody has enrolled; an office; and a new player."""

    broker: LocalBroker
    office: Office
    folder: Path
    reload: str

    @property
    def options(self) -> list[str]:
        return ["--accounts", str(self.broker.folder), "--group", "root", "--reload", self.reload]

    def player(self, name: str = "player", pace: Pace = QUICK) -> Enrolling:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Enrolling(
            public=Identity.load_or_make(folder).public,
            folder=folder,
            broker=PlayersBroker(host="127.0.0.1", port=self.broker.port),
            software="siarhub-player test",
            clock=SystemClock(),
            log=structlog.get_logger(),
            pace=pace,
            screen=lambda: Size(width=64, height=32),
        )

    async def say(self, command: object, *words: str) -> Result:
        """The command's outcome; it runs beside us, as from another terminal."""
        arguments = [*words, *self.options]
        return await asyncio.to_thread(CliRunner().invoke, command, arguments, obj=self.office)  # type: ignore[arg-type]

    def accounts(self) -> set[str]:
        return {line.split(":")[0] for line in (self.broker.folder / "passwords").read_text().splitlines()}

    def as_itself(self, credential, identifier: str = "") -> aiomqtt.Client:  # type: ignore[no-untyped-def]
        return aiomqtt.Client(
            credential.broker.host,
            credential.broker.port,
            identifier=credential.player,
            username=credential.player,
            password=credential.password,
            protocol=aiomqtt.ProtocolVersion.V5,
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    state = tmp_path / "state"
    state.mkdir()
    keyring.make(state / "keys", "kalsel", now=datetime.now(UTC))
    record = Enrolments(state / FILE)
    async with local_broker(tmp_path / "broker", ["gate-1", "gate-2"]) as broker:
        wanted = VideotronSettings(
            broker=BrokerSettings(
                port=broker.port, password=broker.hub_password, players_host="127.0.0.1", players_port=broker.port
            ),
            screens={"gate-1": ScreenSettings(width=64, height=32), "gate-2": ScreenSettings(width=64, height=32)},
        )
        office = Office(root=state, wanted=wanted, record=record)
        yield Site(broker, office, tmp_path, f"kill -HUP {broker._process.pid}")
    record.close()


@dataclass
class Machine:
    """A machine at a screen."""

    folder: Path
    port: int
    more: str = '[mpv]\nvo = "null"\n'
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        path = self.folder / "player.toml"
        if not path.exists():
            path.write_text(f'state_dir = "state"\n[broker]\nport = {self.port}\n{self.more}')
        return path

    def start(self, **environment: str) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [PROGRAM, "run", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, **environment})

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code, self.process = self.process.wait(timeout=15), None
        return code

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    async def status(self, what: Callable[[dict[str, Any]], object] = bool) -> dict[str, Any]:
        """What it says of itself, as soon as that is so."""
        async with asyncio.timeout(30):
            while True:
                said = await asyncio.to_thread(self.ask, "status")
                if said.returncode == 0 and what(json.loads(said.stdout)):
                    return dict(json.loads(said.stdout))
                await asyncio.sleep(0.1)  # another process


@pytest.fixture
def bare_machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine that knows no broker yet."""
    folder = tmp_path / "machine"
    folder.mkdir()
    made = Machine(folder, 0)
    yield made
    made.end(signal.SIGKILL)


@pytest.fixture
def machine(bare_machine: Machine, site: Site) -> Machine:
    bare_machine.port = site.broker.port
    return bare_machine
