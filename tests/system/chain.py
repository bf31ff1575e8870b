"""The whole chain on a stage of its own: real Mosquitto, ffmpeg, Liquidsoap, mpv, and the hub as a process."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.api import Fact
from hub.demo.stage import Stage, program
from hub.ledger import facts as ledger_facts
from hub.ledger.database import open_for_reading

WITHIN_S = 90.0


class Chain:
    """A running stage, driven and judged as a user would."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.inbox = stage.root / "Disetujui"

    def drop(self, source: Path, name: str | None = None) -> Path:
        """Copy a file into Disetujui, as a person does."""
        target = self.inbox / (name or source.name)
        shutil.copyfile(source, target)
        return target

    def items(self) -> list[dict[str, Any]]:
        """`siarhub items --json`."""
        return list(json.loads(self.siarhub("items", "--json").stdout))

    def siarhub(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program("siarhub"), *arguments, "--config", str(self.stage.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def facts(self, kind: type[Fact]) -> list[Any]:
        ledger = open_for_reading(self.stage.state_dir / "ledger.db")
        try:
            return [
                entry.fact for entry in ledger_facts.entries(ledger, limit=1_000_000) if isinstance(entry.fact, kind)
            ]
        finally:
            ledger.close()

    async def until(self, what: str, check: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
        """Wait until another process has done something; fails naming it."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if found := await asyncio.to_thread(check):
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"not within {within_s:.0f} s: {what}\n{self._last_words()}")

    def receipts(self) -> list[Path]:
        return sorted((self.stage.root / "Diterima").rglob("*.tanda-terima.txt"))

    def reasons(self) -> list[Path]:
        return sorted((self.stage.root / "Ditolak").rglob("*.alasan.txt"))

    def month_folders(self) -> list[Path]:
        return sorted(path.parent for path in (self.stage.root / "Arsip").glob("*/*/bagit.txt"))

    def _last_words(self) -> str:
        return self.stage.hub.log.read_text(errors="replace")[-4000:]


def verify_bag(folder: Path) -> str:
    """What `sha256sum -c --strict` and bagit-python say against a month folder; '' when both agree that it is whole."""
    for one in sorted(folder.glob("*manifest-sha256.txt")):
        command = ["sha256sum", "-c", "--strict", "--quiet", one.name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stdout + done.stderr
    command = [program("python"), "-W", "ignore", "-m", "bagit", "--validate", "--quiet", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""
