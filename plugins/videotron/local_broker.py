"""A Mosquitto of one's own on a free loopback port, for tests and the demo: same accounts and ACL as a real one."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hub.api.files import write_atomically
from plugins.videotron.accounts import why_not_start, write_accounts
from plugins.videotron.protocol import DEFAULT_NAMESPACE
from plugins.videotron.settings import HUB_ACCOUNT

START_WITHIN_S = 10.0
STOP_WITHIN_S = 5.0
CONFIG = """\
listener {port} 127.0.0.1
{user}allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
use_username_as_clientid true
max_queued_messages 1000
max_packet_size 1100000
set_tcp_nodelay true
persistence {persistence}
persistence_location {folder}/
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
"""


class BrokerDidNotStart(RuntimeError):
    """The text has the last lines of the broker's log."""


@dataclass(slots=True, kw_only=True)
class LocalBroker:
    """A broker process; `hub_password` is for the account `siarhub`, `passwords` for each player's."""

    folder: Path
    port: int
    namespace: str
    hub_password: str
    passwords: Mapping[str, str]
    host: str = "127.0.0.1"
    hub_username: str = HUB_ACCOUNT
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Start it (again) and return when it accepts connections. Raises: BrokerDidNotStart."""
        if why := why_not_start(await asyncio.to_thread((self.folder / "acl").read_text)):
            raise BrokerDidNotStart(why)
        self._process = await asyncio.create_subprocess_exec(
            _program(),
            "-c",
            str(self.folder / "mosquitto.conf"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await self._listening(self._process)
        except TimeoutError:
            await self.kill()
            raise BrokerDidNotStart(self._last_words()) from None

    async def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """End it with SIGTERM; with SIGKILL when it does not obey."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def _listening(self, process: asyncio.subprocess.Process) -> None:
        while True:
            if process.returncode is not None:
                raise BrokerDidNotStart(self._last_words())
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.02)  # another process: there is no event to await
                continue
            writer.close()
            await writer.wait_closed()
            return

    def _last_words(self) -> str:
        log = self.folder / "mosquitto.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "mosquitto wrote no log"


@asynccontextmanager
async def local_broker(
    folder: Path,
    players: Sequence[str],
    *,
    namespace: str = DEFAULT_NAMESPACE,
    port: int | None = None,
    persistence: bool = False,
) -> AsyncIterator[LocalBroker]:
    """A running broker with an account for the hub and for each player; its files stand in `folder`."""
    folder = await asyncio.to_thread(folder.resolve)
    passwords = dict(await asyncio.to_thread(write_accounts, folder, namespace, players, hub=HUB_ACCOUNT))
    broker = LocalBroker(
        folder=folder,
        port=port or _free_port(),
        namespace=namespace,
        hub_password=passwords.pop(HUB_ACCOUNT),
        passwords=passwords,
    )
    config = CONFIG.format(
        port=broker.port,
        folder=folder,
        persistence="true" if persistence else "false",
        user="user root\n" if os.geteuid() == 0 else "",  # else it drops to an account that cannot read the folder
    )
    await asyncio.to_thread(write_atomically, folder / "mosquitto.conf", config)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


def _program() -> str:
    """Debian keeps it in /usr/sbin, which is not in everybody's PATH."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BrokerDidNotStart("mosquitto is not installed: apt-get install mosquitto")
    return program


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
