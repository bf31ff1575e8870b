"""config/siarhub.toml says what the settings are."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "siarhub.toml"


def test_the_shipped_settings_are_what_the_program_says_they_are() -> None:
    assert SHIPPED.exists(), "make it: python -m hub.settings > config/siarhub.toml"

    printed = subprocess.run(
        [sys.executable, "-m", "hub.settings"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert printed.returncode == 0, printed.stderr
    assert SHIPPED.read_text() == printed.stdout, "make it anew: python -m hub.settings > config/siarhub.toml"


def test_the_shipped_settings_are_valid_toml() -> None:
    assert SHIPPED.exists(), "make it: python -m hub.settings > config/siarhub.toml"

    assert tomllib.loads(SHIPPED.read_text())
