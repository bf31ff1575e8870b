"""What is brought over from another file system is never in fewer places than one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.intake.ferry import HIDDEN, bring, brought, leave

THEN = {"accept": "TANDA TERIMA"}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "Unggahan"
    (folder / "paket").mkdir(parents=True)
    (folder / "paket" / "a.mp4").write_bytes(b"a")
    (folder / "paket" / "b.mp4").write_bytes(b"b")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "Diterima").mkdir()
    return tmp_path / "Diterima"


def copies(target: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted(target.rglob("*.mp4")))


def test_a_folder_that_cannot_go_after_its_files_went_is_left_empty_and_the_copy_kept(
    inbox: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "rmdir", forbidden)

    one = bring(inbox, ["paket"], target, then=THEN, reserve_bytes=0)

    assert list(copies(one.folder)) == [b"a", b"b"]
    assert list((inbox / "paket").iterdir()) == []


def test_what_may_not_be_taken_out_at_all_is_not_copied_either(
    inbox: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def forbidden(path: Path, missing_ok: bool = False) -> None:
        if path.is_relative_to(inbox):
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", forbidden)

    with pytest.raises(PermissionError):
        bring(inbox, ["paket"], target, then=THEN, reserve_bytes=0)

    assert list(copies(inbox)) == [b"a", b"b"]
    assert not (target / HIDDEN).exists()


def test_what_joined_the_folder_meanwhile_stays_there(inbox: Path, target: Path) -> None:
    one = bring(inbox, ["paket"], target, then=THEN, reserve_bytes=0)
    (inbox / "paket").mkdir()
    (inbox / "paket" / "c.mp4").write_bytes(b"c")

    (again,) = brought(target)  # as after a kill: what was copied is taken out once more

    assert again == one
    assert list(copies(inbox)) == [b"c"]
    assert list(copies(one.folder)) == [b"a", b"b"]


def test_a_copy_that_a_kill_cut_short_is_thrown_away(inbox: Path, target: Path) -> None:
    half = target / HIDDEN / "0123.part"
    half.mkdir(parents=True)
    (half / "a.mp4").write_bytes(b"sete")

    assert list(brought(target)) == []
    assert not half.exists()
    assert list(copies(inbox)) == [b"a", b"b"]


def test_a_hidden_folder_is_left_only_when_nothing_is_in_it(inbox: Path, target: Path) -> None:
    one = bring(inbox, ["paket"], target, then=THEN, reserve_bytes=0)

    leave(one.folder)
    assert list(copies(one.folder)) == [b"a", b"b"]

    (one.folder / "paket").rename(target / "paket")
    leave(one.folder)
    assert not (target / HIDDEN).exists()


def test_nothing_is_begun_without_space_for_it(inbox: Path, target: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        bring(inbox, ["paket"], target, then=THEN, reserve_bytes=1 << 60)

    assert list(copies(inbox)) == [b"a", b"b"]
    assert list(copies(target)) == []
