from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.intake.watcher import Watcher, WatchMode, filesystem_of

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:40 / /srv rw shared:20 - ext4 /dev/vdb rw
41 40 0:41 / /srv/si\040ar rw shared:21 - cifs //server/bagi rw
42 22 0:42 / /mnt/awan rw - fuse.sshfs x rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/srv/si ar/Disetujui", "cifs"), ("/srv/siar", "ext4"), ("/mnt/awan/x", "fuse.sshfs"), ("/home", "ext4")],
)
def test_the_mount_that_holds_the_folder_is_found(folder: str, kind: str) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == kind


@pytest.fixture
def woken() -> threading.Event:
    return threading.Event()


@pytest.fixture
def watcher(tmp_path: Path, woken: threading.Event) -> Any:
    (tmp_path / "Disetujui").mkdir()
    watcher = Watcher(tmp_path / "Disetujui", wake=woken.set, log=structlog.get_logger("watcher"))
    watcher.ensure()
    woken.clear()
    yield watcher
    watcher.stop()


@pytest.mark.parametrize("how", ["copied", "moved in", "renamed", "folder moved in", "inside a folder"])
def test_every_kind_of_drop_wakes(watcher: Watcher, woken: threading.Event, tmp_path: Path, how: str) -> None:
    inbox = tmp_path / "Disetujui"
    outside = tmp_path / "luar"
    if how == "copied":
        (inbox / "a.mp4").write_bytes(b"a")
    elif how == "moved in":
        outside.write_bytes(b"a")
        outside.rename(inbox / "a.mp4")
    elif how == "renamed":
        (inbox / "a.part").write_bytes(b"a")
        assert woken.wait(5)
        woken.clear()
        (inbox / "a.part").rename(inbox / "a.mp4")
    else:
        outside.mkdir()
        outside.rename(inbox / "paket")
        if how == "inside a folder":
            assert woken.wait(5)
            woken.clear()
            (inbox / "paket" / "a.mp4").write_bytes(b"a")

    assert woken.wait(5)


def test_a_folder_that_was_made_anew_is_watched_again(watcher: Watcher, woken: threading.Event, tmp_path: Path) -> None:
    inbox = tmp_path / "Disetujui"
    inbox.rename(tmp_path / "lama")
    inbox.mkdir()
    watcher.ensure()
    woken.clear()

    (inbox / "a.mp4").write_bytes(b"a")

    assert woken.wait(5)
    assert watcher.mode is WatchMode.EVENTS


def test_a_dead_observer_is_replaced(watcher: Watcher, woken: threading.Event, tmp_path: Path) -> None:
    dead = watcher._observer
    assert dead is not None
    dead.stop()
    dead.join()

    watcher.ensure()
    woken.clear()
    (tmp_path / "Disetujui" / "a.mp4").write_bytes(b"a")

    assert watcher._observer is not dead
    assert woken.wait(5)


def test_an_overflow_of_the_kernel_s_queue_asks_for_a_look(watcher: Watcher, woken: threading.Event) -> None:
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")

    assert woken.is_set()
