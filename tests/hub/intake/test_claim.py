"""The vault keeps what was accepted."""

from __future__ import annotations

import os
from pathlib import Path

from hub.intake.claim import Vault


def test_copies_of_what_was_refused_are_forgotten_and_the_others_kept(tmp_path: Path) -> None:
    vault = Vault(tmp_path, min_free_bytes=0)
    vault.prepare()
    for digest in ("aa" + "0" * 62, "bb" + "1" * 62):
        (tmp_path / digest[:2]).mkdir()
        (tmp_path / digest[:2] / digest).write_text("original")

    assert vault.beginnings() == ["aa", "bb"]
    assert [vault.forget_all_but({"aa" + "0" * 62}, beginning) for beginning in vault.beginnings()] == [0, 1]

    assert [path.name for path in tmp_path.glob("??/*")] == ["aa" + "0" * 62]


def test_a_copy_that_is_claimed_again_is_touched_and_one_that_is_gone_is_missed(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault", min_free_bytes=0)
    copy = tmp_path / "copy"
    copy.write_bytes(b"x")
    os.utime(copy, times=(0, 0))

    assert vault.touch(copy)
    assert copy.stat().st_mtime > 0
    copy.unlink()
    assert not vault.touch(copy)
