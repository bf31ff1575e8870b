"""A program of ours as a process that can be killed and started again, one step at a time, without asyncio."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
POLL_S = 0.05


class Victim:
    """One run after the other of the same command; `log` has what all of them wrote."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, strace: Sequence[str] = ()) -> None:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "SIARHUB_CONFIG": ""}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*strace, *self._command], cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the process that was started: its strace's, if it has one."""
        return self._process.pid if self._process is not None else None

    @property
    def killed(self) -> bool:
        """It ended by SIGKILL (strace ends as its program did)."""
        return self._process is not None and self._process.poll() == -signal.SIGKILL

    def kill(self) -> None:
        """SIGKILL to it, and to the strace before it."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """In order; by force after a while."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def wait_until(self, check: Callable[[], bool], within_s: float) -> bool:
        """Whether that came true in time while it ran."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if check():
                return True
            if not self.running:
                return False
            time.sleep(POLL_S)  # another process: there is no event to await
        return False

    def words(self, characters: int = 1500) -> str:
        return self.log.read_text(errors="replace")[-characters:]


def write_config(path: Path, tables: Mapping[str, Mapping[str, object]]) -> Path:
    """A TOML file of plain tables."""
    lines = []
    for name, values in tables.items():
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value, default=str)}" for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def hub_tables(folder: Path, **intake: Any) -> dict[str, dict[str, object]]:
    """The tables of a hub below `folder` that takes what is dropped at once, with no plugin but the archive."""
    return {
        "hub": {"root": folder / "srv", "state_dir": folder / "state", "plugin_dir": folder / "plugins"},
        "approval": {"level": "none"},
        "intake": {"quiet_for_s": 0.05, "folder_quiet_s": 0.1, "sidecar_wait_s": 5.0, "min_free_bytes": 1 << 20}
        | intake,
        "plugins.videotron": {"enabled": False},
        "plugins.radio": {"enabled": False},
    }
