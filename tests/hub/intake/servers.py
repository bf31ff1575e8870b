"""The servers through which offices drop files, as Debian ships them: our own processes, on free ports of loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

READY_WITHIN_S = 30.0
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def tool(name: str, package: str) -> str:
    """The full path of a program, which sshd wants to know; skips the test where the package is missing."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return found


@dataclass(frozen=True, kw_only=True)
class Samba:
    """A share of `base` that everybody may write, and its client."""

    base: Path
    port: int

    def command(self, folder: Path, *orders: str) -> list[str]:
        """A client that carries out these orders in a folder of the share."""
        place = str(folder.relative_to(self.base)).replace("/", "\\")
        client = [tool("smbclient", "smbclient"), "-N", "-p", str(self.port), "//127.0.0.1/siar"]
        return [*client, "-D", place, "-c", "; ".join(orders)]


@dataclass(frozen=True, kw_only=True)
class Sftp:
    """OpenSSH with internal-sftp, and its client; it sees the whole file system, as this user."""

    folder: Path
    port: int

    def command(self, orders: Path, *options: str) -> list[str]:
        trust = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.folder / 'known'}"]
        login = ["-i", str(self.folder / "user"), "-o", "IdentitiesOnly=yes", "-F", "none"]
        client = [tool("sftp", "openssh-client"), "-q", "-b", str(orders), "-P", str(self.port)]
        return [*client, *trust, *login, *options, f"{getpass.getuser()}@127.0.0.1"]


@dataclass(frozen=True, kw_only=True)
class Rsync:
    """A module of the rsync daemon on `base`."""

    base: Path
    port: int

    def command(self, source: Path | str, folder: Path, *options: str) -> list[str]:
        target = f"rsync://127.0.0.1:{self.port}/siar/{folder.relative_to(self.base)}/"
        return [tool("rsync", "rsync"), *options, str(source), target]


@contextmanager
def samba(folder: Path, base: Path) -> Iterator[Samba]:
    program, port, state = tool("smbd", "samba"), free_port(), folder / "samba"
    state.mkdir()
    lines = ["[global]", "server role = standalone server", "bind interfaces only = yes", "interfaces = 127.0.0.1"]
    lines += [f"smb ports = {port}", "map to guest = Bad User", f"guest account = {getpass.getuser()}"]
    lines += ["load printers = no", "printcap name = /dev/null", "disable spoolss = yes", "log level = 1"]
    kinds = ("private dir", "lock directory", "state directory", "cache directory", "pid directory", "ncalrpc dir")
    lines += [f"{kind} = {state}" for kind in kinds]
    lines += ["[siar]", f"path = {base}", "guest ok = yes", "read only = no"]
    (state / "smb.conf").write_text("\n".join(lines) + "\n")
    with serving(
        [program, "--foreground", "--no-process-group", "--debug-stdout", "-s", str(state / "smb.conf")],
        port,
        state / "log",
    ):
        yield Samba(base=base, port=port)


@contextmanager
def sftp(folder: Path) -> Iterator[Sftp]:
    program, port, home = tool("sshd", "openssh-server"), free_port(), folder / "ssh"
    home.mkdir()
    for name in ("host", "user"):
        keygen = [tool("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)]
        subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL, timeout=30)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its unit would make it
    lines = [f"ListenAddress 127.0.0.1:{port}", f"HostKey {home / 'host'}", f"AuthorizedKeysFile {home / 'user.pub'}"]
    lines += ["StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin prohibit-password"]
    lines += ["PidFile none", "Subsystem sftp internal-sftp", "ForceCommand internal-sftp"]
    (home / "conf").write_text("\n".join(lines) + "\n")
    with serving([program, "-D", "-e", "-f", str(home / "conf")], port, home / "log"):
        yield Sftp(folder=home, port=port)


@contextmanager
def rsync(folder: Path, base: Path) -> Iterator[Rsync]:
    program, port, home = tool("rsync", "rsync"), free_port(), folder / "rsync"
    home.mkdir()
    lines = [f"pid file = {home / 'pid'}", f"lock file = {home / 'lock'}", "use chroot = no"]
    lines += [f"uid = {os.geteuid()}", f"gid = {os.getegid()}"] if os.geteuid() == 0 else []
    (home / "conf").write_text("\n".join([*lines, "[siar]", f"path = {base}", "read only = no"]) + "\n")
    command = [program, "--daemon", "--no-detach", f"--config={home / 'conf'}", "--address=127.0.0.1", f"--port={port}"]
    with serving(command, port, home / "log"):
        yield Rsync(base=base, port=port)


@contextmanager
def serving(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """The server, answering; afterwards it and its children are gone."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )  # a group of its own: smbd ends its whole group
    try:
        _wait_for(process, port, log)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.05)
    said = f"{process.args[0]!r} does not answer: {log.read_text(errors='replace')[-2000:]}"  # type: ignore[index]
    if os.geteuid() != 0:
        pytest.skip(f"{said} (it may need root)")
    raise AssertionError(said)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
