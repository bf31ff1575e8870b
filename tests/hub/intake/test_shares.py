"""Drops through Samba, OpenSSH and rsync, each with its own client: accepted once, with the right bytes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hub.intake.names import display_name
from tests.hub.intake.servers import Rsync, Samba, Sftp, rsync, samba, sftp
from tests.hub.intake.writing import film, made, sha256

WHOLE = film()
LONG_S = 60.0
NAMES = [
    "Imbauan Karhutla – hari ini.mp4",
    "Übung ñ é.mp4",
    "🔥 kebakaran 👩‍🚒.mp4",
    "Jum'at, 50%.mp4",
    "a" * 200 + ".mp4",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module")
def smb(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Samba]:
    with samba(tmp_path_factory.mktemp("server"), base) as server:
        yield server


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sftp]:
    with sftp(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Rsync]:
    with rsync(tmp_path_factory.mktemp("server"), base) as server:
        yield server


@asynccontextmanager
async def client(command: Sequence[str], **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # sftp's ssh, too
        await process.wait()


async def ran(command: Sequence[str]) -> None:
    async with client(command) as process:
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode(errors="replace")


def taken(place: Any) -> list[tuple[str, str]]:
    return [(file.original_name, file.sha256) for one in place.desk.submissions for file in one.files]


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def test_samba_put_and_a_second_put_over_the_same_name(
    place: Any, eventually: Any, smb: Samba, tmp_path: Path
) -> None:
    first, second = made(tmp_path / "satu.mp4", WHOLE), made(tmp_path / "dua.mp4", film(salt=b"dua"))
    async with place.running(incomplete_wait_s=LONG_S):
        await ran(smb.command(place.inbox, f'put "{first}" klip.mp4'))
        await eventually(lambda: len(place.desk.placed) == 1)
        await ran(smb.command(place.inbox, f'put "{second}" klip.mp4'))
        await eventually(lambda: len(place.desk.placed) == 2)

    assert taken(place) == [("klip.mp4", sha256(WHOLE)), ("klip.mp4", sha256(film(salt=b"dua")))]
    assert place.desk.refusals == []


async def test_samba_names_with_spaces_accents_and_emoji(
    place: Any, eventually: Any, smb: Samba, tmp_path: Path
) -> None:
    films = {name: film(1000, salt=name.encode()) for name in NAMES}
    orders = [f'put "{made(tmp_path / str(n), films[name])}" "{name}"' for n, name in enumerate(NAMES)]
    async with place.running(incomplete_wait_s=LONG_S):
        await ran(smb.command(place.inbox, *orders))
        await eventually(lambda: len(place.desk.placed) == len(NAMES))

    assert dict(taken(place)) == {display_name(name): sha256(data) for name, data in films.items()}
    assert set(NAMES) <= place.accepted_names()


async def test_samba_mput_of_a_folder_is_one_item(place: Any, eventually: Any, smb: Samba, tmp_path: Path) -> None:
    folder = tmp_path / "Siaga Karhutla"
    folder.mkdir()
    films = {f"bagian {number}.mp4": film(salt=bytes([number])) for number in range(4)}
    for name, data in films.items():
        made(folder / name, data)
    async with place.running(incomplete_wait_s=LONG_S, folder_quiet_s=1.0):
        await ran(smb.command(place.inbox, "recurse on", "prompt off", f'lcd "{tmp_path}"', f'mput "{folder.name}"'))
        await eventually(lambda: place.desk.placed)

    assert dict(taken(place)) == {name: sha256(data) for name, data in films.items()}
    assert [one.name for one in place.desk.submissions] == [folder.name]


async def test_samba_put_that_broke_off_waits_and_is_taken_when_it_is_put_again(
    place: Any, eventually: Any, smb: Samba, tmp_path: Path
) -> None:
    big = film(40 << 20)  # more than the client holds back
    path = place.inbox / "klip.mp4"
    async with place.running(incomplete_wait_s=LONG_S) as intake:
        async with client(smb.command(place.inbox, "put - klip.mp4"), stdin=asyncio.subprocess.PIPE) as process:
            process.stdin.write(big[: 30 << 20])
            await process.stdin.drain()
            await eventually(lambda: size_of(path) > 1 << 20)
            process.kill()
        await eventually(lambda: any("Bagian akhirnya" in one.why for one in intake.status().waiting))
        assert place.desk.submissions == []
        await ran(smb.command(place.inbox, f'put "{made(tmp_path / "besar.mp4", big)}" klip.mp4'))
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(big))]


async def test_sftp_upload_that_broke_off_is_taken_when_it_is_resumed(
    place: Any, eventually: Any, ssh: Sftp, tmp_path: Path
) -> None:
    source, path = made(tmp_path / "asal.mp4", WHOLE), place.inbox / "klip.mp4"
    slowly = ssh.command(orders(tmp_path, f"put {source} {path}"), "-l", "800", "-R", "1", "-B", "8192")
    async with place.running(incomplete_wait_s=LONG_S) as intake:
        async with client(slowly) as process:
            await eventually(lambda: size_of(path) > 32_000)
            process.kill()
        await eventually(lambda: any("Bagian akhirnya" in one.why for one in intake.status().waiting))
        assert size_of(path) < len(WHOLE)
        await ran(ssh.command(orders(tmp_path, f"reput {source} {path}")))
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


@pytest.mark.parametrize("rename", ["rename", "rename -l"], ids=["rename", "link and unlink"])
async def test_sftp_upload_under_another_name_is_taken_when_it_is_renamed(
    place: Any, eventually: Any, ssh: Sftp, tmp_path: Path, rename: str
) -> None:
    source = made(tmp_path / "asal.mp4", WHOLE, mtime=10**9)
    part, path = place.inbox / "klip.mp4.filepart", place.inbox / "klip.mp4"
    async with place.running(incomplete_wait_s=LONG_S):
        await ran(ssh.command(orders(tmp_path, f"put -p {source} {part}", f"{rename} {part} {path}")))
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(WHOLE))]


@pytest.mark.parametrize("how", ["--times", "--inplace", "--delay-updates"])
async def test_rsync_to_its_daemon_is_taken_once(
    place: Any, eventually: Any, daemon: Rsync, tmp_path: Path, how: str
) -> None:
    films = {f"{number}.mp4": film(salt=bytes([number])) for number in range(3)}
    (tmp_path / "asal").mkdir()
    for name, data in films.items():
        made(tmp_path / "asal" / name, data, mtime=10**9)
    async with place.running(incomplete_wait_s=LONG_S):
        await ran(daemon.command(f"{tmp_path}/asal/", place.inbox, "-r", how))
        await eventually(lambda: len(place.desk.placed) == len(films))

    assert sorted(taken(place)) == [(name, sha256(data)) for name, data in films.items()]
    assert place.desk.refusals == []


async def test_rsync_that_broke_off_and_runs_again_is_taken_once(
    place: Any, eventually: Any, daemon: Rsync, tmp_path: Path
) -> None:
    big = film(4 << 20)
    source, path = made(tmp_path / "klip.mp4", big), place.inbox / "klip.mp4"
    async with place.running(incomplete_wait_s=LONG_S) as intake:
        async with client(daemon.command(source, place.inbox, "--inplace", "--bwlimit=1000")) as process:
            await eventually(lambda: size_of(path) > 0)  # it writes 256 KiB at a time
            process.kill()
        await eventually(lambda: any("Bagian akhirnya" in one.why for one in intake.status().waiting))
        await ran(daemon.command(source, place.inbox, "--inplace"))
        await eventually(lambda: place.desk.placed)

    assert taken(place) == [("klip.mp4", sha256(big))]


def orders(folder: Path, *lines: str) -> Path:
    return made(folder / "perintah", "\n".join(lines).encode() + b"\n")
