"""What is left on a disk after its power was cut: rebuilt from a trace of all writes, syncs and renames of a program.

After the ALICE study (Pillai and others, OSDI 2014): a write is there once its file was synced, a name its folder.
A disk may have more than that, in any order between files; `Loss` names what this one has of the rest.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CALLS = (
    "openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "mkdir", "mkdirat", "sendto",
)  # fmt: skip
_CALL = re.compile(r"(\d+) +(.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_DONE = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: .*)?$", re.DOTALL)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")
SECTOR = 512


class Loss(StrEnum):
    """What became of what nobody had synced."""

    ALL = "all"  # gone
    DATA = "data"  # the names are there, what stood in the files is not
    SOME = "some"  # a part of the names, and sectors here and there


def tracing(trace: Path) -> list[str]:
    """The command's beginning that writes down what `Disk.replay` needs; children are let go."""
    strace = ("strace", "-f", "-b", "execve", "-qq", "--signal=none", "-y", "-xx", "-s", "4000000")
    return [*strace, "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]


@dataclass(slots=True)
class _File:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    words: str
    result: int

    @property
    def strings(self) -> list[bytes]:
        return [_bytes(found) for found in _STRING.findall(self.words)]

    @property
    def fd(self) -> tuple[int, str]:
        """The number and the path of the first descriptor; "" for one whose file has no name any more."""
        match = _FD.match(self.words)
        if match is None or match[3]:
            return -1, ""
        return int(match[1]), _bytes(match[2]).decode(errors="replace")

    @property
    def last_number(self) -> int:
        return int(self.words.rpartition(",")[2])


class Disk:
    """A folder as its disk has it: what programs see, and what a power cut leaves of that."""

    def __init__(self, folder: Path) -> None:
        """As it is now: all of it synced."""
        self._folder = str(folder)
        self._names: dict[str, _File] = {}
        self._folders: set[str] = set()
        self._positions: dict[int, int] = {}
        self._pending: list[tuple[str, str | None, _File | None]] = []  # folder's changes: (name, old name, its file)
        self.sent: list[bytes] = []  # to the network
        for path in folder.rglob("*"):
            if path.is_dir():
                self._folders.add(str(path))
            elif path.is_file():
                data = path.read_bytes()
                self._names[str(path)] = _File(bytearray(data), data)
        self._durable = dict(self._names)

    def replay(self, trace: Path) -> Iterator[int]:
        """Do what the trace says, a step after the other; yields after each that changes something here."""
        for number, call in enumerate(_calls(trace)):
            if call.name == "sendto":
                self.sent += call.strings[:1]
            elif call.result >= 0 and self._do(call):
                yield number

    def cut(self, target: Path, loss: Loss, chance: random.Random) -> None:
        """Put into `target` what a power cut now would leave."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in sorted(self._folders):
            (target / Path(name).relative_to(self._folder)).mkdir(parents=True, exist_ok=True)
        for name, file in self._left(loss, chance).items():
            path = target / Path(name).relative_to(self._folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_content(file, loss, chance))
            path.chmod(0o600)

    def _left(self, loss: Loss, chance: random.Random) -> Mapping[str, _File]:
        if loss is Loss.ALL:
            return self._durable
        if loss is Loss.DATA:
            return self._names
        left = dict(self._durable)
        for change in self._pending[: chance.randint(0, len(self._pending))]:
            _apply(left, *change)
        return left

    # --- the calls

    def _do(self, call: _Call) -> bool:
        match call.name:
            case "openat":
                return self._open(call)
            case "write" | "pwrite64":
                return self._write(call)
            case "ftruncate":
                return self._truncate(call)
            case "fsync" | "fdatasync":
                return self._sync(call)
            case "mkdir" | "mkdirat":
                return self._make_folder(call)
        return self._rename(call)

    def _open(self, call: _Call) -> bool:
        name = call.strings[-1].decode(errors="replace")
        self._positions[call.result] = 0
        if not self._is_here(name) or ("O_CREAT" not in call.words and "O_TRUNC" not in call.words):
            return False
        if name not in self._names:
            return self._change(name, None, _File())
        if "O_TRUNC" in call.words:
            self._names[name].data.clear()
        return True

    def _write(self, call: _Call) -> bool:
        number, name = call.fd
        file = self._names.get(name)
        if file is None:
            return False
        data = call.strings[0][: call.result]
        at = call.last_number if call.name == "pwrite64" else self._positions.get(number, 0)
        self._positions[number] = at + len(data)
        if len(file.data) < at:
            file.data.extend(bytes(at - len(file.data)))
        file.data[at : at + len(data)] = data
        return True

    def _truncate(self, call: _Call) -> bool:
        file, size = self._names.get(call.fd[1]), call.last_number
        if file is None:
            return False
        file.data = bytearray(bytes(file.data[:size]).ljust(size, b"\0"))
        return True

    def _sync(self, call: _Call) -> bool:
        name = call.fd[1]
        if file := self._names.get(name):
            file.synced = bytes(file.data)
            return True
        if not self._is_here(name):
            return False
        rest = []
        for change in self._pending:
            if str(Path(change[0]).parent) == name:
                _apply(self._durable, *change)
            else:
                rest.append(change)
        self._pending = rest
        return True

    def _make_folder(self, call: _Call) -> bool:
        name = call.strings[-1].decode(errors="replace")
        if self._is_here(name):
            self._folders.add(name)
        return self._is_here(name)

    def _rename(self, call: _Call) -> bool:
        names = [one.decode(errors="replace") for one in call.strings]
        if names[0] not in self._names:
            return False
        if call.name.startswith("unlink"):
            return self._change(names[0], None, None)
        return self._change(names[1], names[0], self._names[names[0]])

    def _change(self, name: str, before: str | None, file: _File | None) -> bool:
        _apply(self._names, name, before, file)
        self._pending.append((name, before, file))
        return True

    def _is_here(self, name: str) -> bool:
        return name == self._folder or name.startswith(self._folder + "/")


def _apply(names: dict[str, _File], name: str, before: str | None, file: _File | None) -> None:
    if before is not None:
        names.pop(before, None)
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _content(file: _File, loss: Loss, chance: random.Random) -> bytes:
    if loss is not Loss.SOME or file.synced == file.data:
        return file.synced
    now, size = bytes(file.data), chance.choice((len(file.synced), len(file.data)))
    sectors = range(0, size, SECTOR)
    left = b"".join(
        (now if chance.random() < 0.5 else file.synced)[at : at + SECTOR].ljust(SECTOR, b"\0") for at in sectors
    )
    return left[:size]


def _calls(trace: Path) -> Iterator[_Call]:
    """The calls in the order in which they ended."""
    begun: dict[str, str] = {}
    with trace.open(encoding="ascii", errors="replace") as file:
        for line in file:
            match = _CALL.match(line.rstrip("\n"))
            if match is None:
                continue
            thread, text = match[1], match[2]
            if text.endswith(_UNFINISHED):
                begun[thread] = text.removesuffix(_UNFINISHED)
                continue
            if found := _RESUMED.match(text):
                text = begun.pop(thread, "") + text[found.end() :]
            if done := _DONE.match(text):
                yield _Call(done[1], done[2], int(done[3]))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
