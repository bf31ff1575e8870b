"""The player's own key: one for ever, nobody else's, and told when something is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from plugins.videotron.player.identity import FILE, Identity, forget_identity


def test_is_made_once_and_stays(tmp_path: Path) -> None:
    first = Identity.load_or_make(tmp_path)
    again = Identity.load_or_make(tmp_path)

    assert first.public == again.public
    assert len(first.public) == 32
    assert (first.told, again.told) == ("", "")
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    Ed25519PublicKey.from_public_bytes(first.public).verify(again.sign(b"proof"), b"proof")


@pytest.mark.parametrize("spoiled", [b"", b"-----BEGIN", b"\0" * 100, b"x" * 50_000])
def test_a_spoiled_key_is_set_aside_and_told(tmp_path: Path, spoiled: bytes) -> None:
    before = Identity.load_or_make(tmp_path)
    (tmp_path / FILE).write_bytes(spoiled)

    after = Identity.load_or_make(tmp_path)

    assert after.public != before.public
    assert "enrol it anew" in after.told
    [aside] = tmp_path.glob(f"{FILE}.spoiled-*")
    assert aside.read_bytes() == spoiled
    assert Identity.load_or_make(tmp_path).told == ""


def test_a_key_that_others_could_read_is_closed_and_told(tmp_path: Path) -> None:
    before = Identity.load_or_make(tmp_path)
    (tmp_path / FILE).chmod(0o644)

    after = Identity.load_or_make(tmp_path)

    assert after.public == before.public
    assert "others could read" in after.told
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_read_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        Identity.load_or_make(tmp_path)

    assert (tmp_path / FILE).readlink() == tmp_path / "elsewhere"


def test_after_forgetting_there_is_another_key(tmp_path: Path) -> None:
    before = Identity.load_or_make(tmp_path)

    forget_identity(tmp_path)

    assert Identity.load_or_make(tmp_path).public != before.public


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_writes_for_the_player_belongs_to_the_player(tmp_path: Path) -> None:
    os.chown(tmp_path, 23456, 23457)

    Identity.load_or_make(tmp_path)

    owner = (tmp_path / FILE).stat()
    assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (23456, 23457, 0o600)


def test_the_private_key_does_not_show_in_a_log(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path)

    assert "PRIVATE" not in repr(identity)
