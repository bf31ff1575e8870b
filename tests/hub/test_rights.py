"""What the group that may give orders can do in the hub's own folder."""

from __future__ import annotations

import os
from pathlib import Path

from hub.daemon import _prepare


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_originals_and_renditions_are_the_hubs_alone_whatever_they_were_before(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        (tmp_path / "vault" / "aa").mkdir(parents=True)

        _prepare(tmp_path)
    finally:
        os.umask(before)

    assert {name: rights(tmp_path / name) for name in ("vault", "renditions", "plugins")} == {
        "vault": 0o700,
        "renditions": 0o700,
        "plugins": 0o750,
    }
