"""Bringing a drop over from another file system, where it cannot simply be renamed; repeatable after a kill.

It is copied whole into a hidden folder beside where it goes, made durable, and only then taken out of the watched
folder. From the hidden folder it moves on like any other drop. A copy without the ending `.part` is whole.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from hub.api.files import CHUNK_BYTES, fsync_folder, write_atomically
from hub.intake.evidence import Evidence, Parts, evidence_of, opened
from hub.messages import Refusal

HIDDEN = ".siarhub-pindahan"
_PLAN = ".plan.json"
_UNFINISHED = ".part"
Seen = dict[Parts, Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A drop that stands whole in a hidden folder, and what was to be done with it."""

    folder: Path
    names: tuple[str, ...]  # those that did not move on yet, the anchor last
    then: dict[str, Any]


def bring(inbox: Path, names: Sequence[str], target: Path, *, then: dict[str, Any], reserve_bytes: int) -> Brought:
    """Copy the drop to a hidden folder in `target`, then take it out of `inbox`. Blocks.

    Raises: FileNotFoundError when it changed meanwhile, Refusal for what cannot be copied (a pipe), other OSError; all
    stands as it did then.
    """
    seen = _seen(inbox, names)
    _check_space(seen, target, reserve_bytes)
    folder = target / HIDDEN / secrets.token_hex(8)
    unfinished = folder.with_name(folder.name + _UNFINISHED)
    unfinished.mkdir(parents=True)
    try:
        fsync_folder(target)  # the name of the hidden folder; what is in it is made durable as it comes
        for name in names:
            _copy(inbox, (name,), unfinished)
        if _seen(inbox, names) != seen:
            raise FileNotFoundError(errno.ENOENT, "it changed meanwhile", str(inbox / names[-1]))
        write_atomically(unfinished / _PLAN, json.dumps(_document(inbox, names, seen, then)))
        unfinished.rename(folder)
        fsync_folder(folder.parent)
        _take_out(inbox, names[-1], seen)  # whoever may not take the anchor out may take nothing
    except BaseException:
        for copy in (unfinished, folder):
            shutil.rmtree(copy, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()
        raise
    _take_out_rest(inbox, names, seen)
    return Brought(folder=folder, names=tuple(names), then=then)


def brought(target: Path) -> Iterator[Brought]:
    """What a crash left on its way to `target`. Half copies are thrown away: what they were made of stands. Blocks."""
    with suppress(FileNotFoundError):
        for folder in sorted((target / HIDDEN).iterdir()):
            if folder.name.endswith(_UNFINISHED):
                shutil.rmtree(folder, ignore_errors=True)
            elif (folder / _PLAN).exists():
                yield _resumed(folder)
            else:
                leave(folder)


def leave(folder: Path) -> None:
    """The hidden folder is done with, if all of it has moved on. Blocks."""
    if any(entry.name != _PLAN for entry in folder.iterdir()):
        return
    with suppress(OSError):
        (folder / _PLAN).unlink(missing_ok=True)
        folder.rmdir()
        folder.parent.rmdir()  # when it was the last


def _resumed(folder: Path) -> Brought:
    plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    seen = {tuple(parts): Evidence(**evidence) for parts, evidence in plan["seen"]}
    inbox, names = Path(plan["inbox"]), plan["names"]
    _take_out_rest(inbox, names, seen)
    there = tuple(name for name in names if os.path.lexists(folder / name))
    return Brought(folder=folder, names=there, then=plan["then"])


def _document(inbox: Path, names: Sequence[str], seen: Seen, then: dict[str, Any]) -> dict[str, Any]:
    fields = Evidence.__slots__
    noted = [[list(parts), dict(zip(fields, astuple(one), strict=True))] for parts, one in seen.items()]
    return {"inbox": str(inbox), "names": list(names), "seen": noted, "then": then}


def _seen(inbox: Path, names: Sequence[str]) -> Seen:
    """The evidence of each file and folder of it, folders before what is in them."""
    found: Seen = {}
    todo: list[Parts] = [(name,) for name in names]
    while todo:
        parts = todo.pop()
        status = inbox.joinpath(*parts).lstat()
        found[parts] = evidence_of(status)
        if stat.S_ISDIR(status.st_mode):
            todo += [(*parts, inner.name) for inner in inbox.joinpath(*parts).iterdir()]
    return found


def _check_space(seen: Seen, target: Path, reserve_bytes: int) -> None:
    status = os.statvfs(target)
    if status.f_bavail * status.f_frsize - sum(one.size for one in seen.values()) < reserve_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))


def _copy(inbox: Path, parts: Parts, into: Path) -> None:
    """One entry with all that is in it, durable. Symbolic links stay links; nothing is followed."""
    source, target = inbox.joinpath(*parts), into.joinpath(*parts)
    status = source.lstat()
    if stat.S_ISDIR(status.st_mode):
        target.mkdir()
        for inner in source.iterdir():
            _copy(inbox, (*parts, inner.name), into)
    elif stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(status.st_mode):
        with opened(inbox, parts) as fd:
            _copy_bytes(fd, target, status)
    else:
        raise Refusal("It stands on another disk and is no ordinary file. Please take it away yourself.")
    fsync_folder(target.parent)


def _copy_bytes(source: int, target: Path, status: os.stat_result) -> None:
    with target.open("xb") as writer:
        while chunk := os.read(source, CHUNK_BYTES):
            writer.write(chunk)
        writer.flush()
        os.fchmod(writer.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(writer.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(writer.fileno())


def _take_out_rest(inbox: Path, names: Sequence[str], seen: Seen) -> None:
    for name in reversed(names):
        with suppress(OSError):  # the mount is away, or somebody forbids it: what stays is a drop of its own
            _take_out(inbox, name, seen)


def _take_out(inbox: Path, name: str, seen: Seen) -> None:
    """Remove exactly what was copied: what came or changed since stays.

    Raises: OSError when nothing could be removed. After the first the copy is all there is, whatever else fails.
    """
    removed = False
    for parts, evidence in reversed(seen.items()):  # what is in a folder before the folder
        if parts[0] == name:
            try:
                removed |= _remove(inbox.joinpath(*parts), evidence)
            except FileNotFoundError:
                continue
            except OSError:
                if not removed:
                    raise
    with suppress(OSError):
        fsync_folder(inbox)


def _remove(path: Path, evidence: Evidence) -> bool:
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        try:
            path.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return False
        return True
    if evidence_of(status) != evidence:
        return False
    path.unlink()
    return True
