"""Where the kernel cannot say who writes, `siarhub check` says so and the longer quiet time is used."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.intake.leases import lease_problem, rights_problem
from hub.intake.watcher import WatchMode
from tests.hub.intake.writing import film, made, sha256


def test_leases_work_on_an_ordinary_filesystem(tmp_path: Path) -> None:
    assert lease_problem(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder seen through FUSE, as with sshfs or a cloud drive."""
    source, mount = tmp_path / "asal", tmp_path / "fuse"
    source.mkdir()
    mount.mkdir()
    if not shutil.which("bindfs"):
        pytest.skip("bindfs is not installed")
    done = subprocess.run(["bindfs", str(source), str(mount)], capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.skip(f"may not mount FUSE here: {done.stderr.strip()}")
    try:
        yield mount
    finally:
        unmount = ["fusermount", "-u", "-z"] if shutil.which("fusermount") else ["umount", "-l"]
        subprocess.run([*unmount, str(mount)], check=True, timeout=20)


def test_a_mounted_fuse_is_told(mounted: Path) -> None:
    assert "fuse" in (lease_problem(mounted) or "")


async def test_on_fuse_a_drop_is_taken_after_the_longer_quiet_time(place: Any, eventually: Any, mounted: Path) -> None:
    place = replace(place, root=mounted / "root")
    place.drop("klip.mp4", b"isi")
    async with place.running(quiet_without_lease_s=1.0, poll_every_s=0.1) as intake:
        clock = asyncio.get_running_loop()
        began = clock.time()
        await eventually(lambda: any("Mungkin masih" in one.why for one in intake.status().waiting))
        await eventually(lambda: place.desk.placed)

        assert clock.time() - began >= 0.9
        assert intake.status().watch is WatchMode.POLLING


async def test_on_fuse_a_missing_end_is_seen_all_the_same(place: Any, eventually: Any, mounted: Path) -> None:
    place = replace(place, root=mounted / "root")
    path = place.drop("klip.mp4", film()[:100_000])
    async with place.running(quiet_without_lease_s=0.3, poll_every_s=0.1, incomplete_wait_s=60.0) as intake:
        await eventually(lambda: any("Bagian akhirnya" in one.why for one in intake.status().waiting))
        made(path, film())
        await eventually(lambda: place.desk.placed)

    assert [file.sha256 for file in place.desk.submissions[0].files] == [sha256(film())]


def test_a_hub_without_the_capability_is_told_where_others_may_drop(tmp_path: Path) -> None:
    folder = tmp_path / "Disetujui"
    folder.mkdir()
    shell = "import os, sys\nos.setgid(65534)\nos.setuid(65534)\nprint(flush=True)\nsys.stdin.read()"
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody without capabilities")
    with subprocess.Popen(["/usr/bin/python3", "-c", shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as nobody:
        assert nobody.stdout
        assert nobody.stdout.readline()

        folder.chmod(0o755)
        assert rights_problem(folder, nobody.pid) is None
        folder.chmod(0o2770)
        assert "CAP_LEASE" in (rights_problem(folder, nobody.pid) or "")
        assert rights_problem(folder, os.getpid()) is None
