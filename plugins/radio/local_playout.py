"""A Liquidsoap of one's own, with `config/radio.liq`, in a given folder, on a free port.

For tests, demonstrations and `siarhub radio check`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from plugins.radio.liquidsoap import ExecutorLost, ExecutorRefused, Liquidsoap, Status

SCRIPT = Path(__file__).resolve().parents[2] / "config" / "radio.liq"
_SOCKET_PATH_BYTES = 107  # sun_path of unix(7)


class PlayoutNotStarted(Exception):
    """Liquidsoap ended, or did not answer in time; the text says what it wrote last."""


class LocalPlayout:
    """One Liquidsoap process at a time on the same socket, folder and port; it can be killed and started again."""

    def __init__(self, folder: Path, *, output: str = "harbor", script: Path = SCRIPT, port: int | None = None) -> None:
        self.socket = folder / "liq.sock"
        self.media_folder = folder / "media"
        self.as_run = folder / "as-run.jsonl"
        self.log = folder / "liquidsoap.log"
        self.port = port or free_port()
        self.listener_url = f"http://127.0.0.1:{self.port}/siar"
        self._output = output
        self._script = script
        self._process: asyncio.subprocess.Process | None = None
        if len(os.fsencode(self.socket)) > _SOCKET_PATH_BYTES:
            raise ValueError(f"{self.socket}: too long a path for a socket; use a shorter folder")

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    def environment(self) -> Mapping[str, str]:
        ours = {
            "SOCKET": str(self.socket),
            "MEDIA": str(self.media_folder),
            "AS_RUN": str(self.as_run),
            "OUTPUT": self._output,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "MOUNT": "/siar",
            "ALLOW_ROOT": "yes" if os.geteuid() == 0 else "",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SIARHUB_RADIO_")}
        return kept | {f"SIARHUB_RADIO_{name}": value for name, value in ours.items()}

    async def start(self, *, within_s: float = 60.0) -> Status:
        """Start it and wait until it answers. Raises: PlayoutNotStarted."""
        if shutil.which("liquidsoap") is None:
            raise PlayoutNotStarted("liquidsoap is not installed: apt-get install liquidsoap")
        await asyncio.to_thread(self.media_folder.mkdir, parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "liquidsoap",
                str(self._script),
                env=self.environment(),
                cwd=self.media_folder.parent,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal must not end it before its time
            )
        try:
            return await self._answers(within_s)
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End it in order; by force after five seconds. Ends only the process started here."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                await self.kill()

    async def kill(self) -> None:
        """SIGKILL: as a crash does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _answers(self, within_s: float) -> Status:
        process = self._process
        client = Liquidsoap(self.socket, timeout_s=5)
        try:
            async with asyncio.timeout(within_s):
                while process is not None and process.returncode is None:
                    try:
                        return await client.status()
                    except (ExecutorLost, ExecutorRefused):
                        await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise PlayoutNotStarted(f"no answer within {within_s:.0f} s; {self._last_words()}") from error
        finally:
            await client.close()
        raise PlayoutNotStarted(f"it ended; {self._last_words()}")

    def _last_words(self) -> str:
        text = self.log.read_bytes()[-600:].decode("utf-8", "replace").strip()
        return f"it wrote: {text}"


@asynccontextmanager
async def local_playout(folder: Path, *, output: str = "harbor", script: Path = SCRIPT) -> AsyncIterator[LocalPlayout]:
    """A started Liquidsoap; it is ended after the block. Raises: PlayoutNotStarted."""
    playout = LocalPlayout(folder, output=output, script=script)
    await playout.start()
    try:
        yield playout
    finally:
        await playout.stop()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
