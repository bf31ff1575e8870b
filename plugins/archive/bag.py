"""A month's folder as a BagIt 1.0 bag (RFC 8493) that grows: valid after every append, and after recovery of any kill.

One append is one folder of payload. Its files are written whole in `.kerja` beside the payload, synced, and named in an
intent; then one rename puts the folder in its place, and the manifests follow. A kill before the rename leaves nothing
of it; a kill after it is completed from the intent. Payload that is listed is never written again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.api import Sha256
from hub.api.files import fsync_folder, sha256_of, write_atomically
from plugins.archive.intent import Intent
from plugins.archive.payload import PayloadFile, write_payload

PAYLOAD = "data"
WORK = ".kerja"
GROWING = "berjalan"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

_INTENT = "niat.json"
_STAGED = "isi"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_OXUM = re.compile(r"^Payload-Oxum: (\d+)\.(\d+)$", re.MULTILINE)


class BagDamaged(Exception):
    """The bag is not as this program left it; nothing more is written to it until a person has looked."""


@dataclass(frozen=True, slots=True)
class Oxum:
    """Payload-Oxum: how many bytes in how many files."""

    size: int
    count: int

    def __str__(self) -> str:
        return f"{self.size}.{self.count}"


class Bag:
    """The bag in one folder. Every method blocks; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._work = folder / WORK

    @property
    def exists(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    @property
    def unfinished(self) -> bool:
        """An append is under way, or was cut short: payload and manifests may not agree yet."""
        return (self._work / _INTENT).exists()

    def manifest(self) -> dict[str, Sha256]:
        """Path of each payload file with its SHA-256. Raises: BagDamaged, OSError."""
        return parse_manifest(self._manifest_bytes())

    def oxum(self) -> Oxum:
        """What bag-info.txt says of the payload. Raises: BagDamaged, OSError."""
        if not self.exists:
            return Oxum(0, 0)
        match = _OXUM.search(self._tag_file("bag-info.txt").decode(errors="replace"))
        if match is None:
            raise BagDamaged(f"{self.folder.name}/bag-info.txt: Payload-Oxum is missing")
        return Oxum(int(match[1]), int(match[2]))

    def append(self, place: str, files: Sequence[PayloadFile], tags: Mapping[str, str]) -> None:
        """Put `files` in the new folder `place` (`data` or below it), all or none, and bring the manifests up to date.

        `tags` are the tag files by name; `{oxum}` in them becomes the new Payload-Oxum.
        Raises: SourceChanged, BagDamaged, OSError; a retry is always safe.
        """
        self.recover()
        self._refuse_damage()
        if (self.folder / place).exists():
            raise BagDamaged(f"{self.folder.name}/{place} stands there already, put there by somebody else")
        before, oxum = self._manifest_bytes(), self.oxum()
        try:
            sizes = self._stage(files)
            parent = make_folders(self.folder, Path(place).parent.as_posix())
        except BaseException:
            shutil.rmtree(self._work, ignore_errors=True)
            raise
        total = Oxum(oxum.size + sum(size for _, size in sizes.values()), oxum.count + len(sizes))
        intent = Intent(
            place=place,
            files={f"{place}/{name}": digest for name, (digest, _) in sizes.items()},
            before=hashlib.sha256(before).hexdigest(),
            tags={name: text.replace("{oxum}", str(total)) for name, text in tags.items()},
        )
        fsync_folder(parent)
        write_atomically(self._work / _INTENT, intent.to_json())
        self._complete(intent, before)

    def recover(self) -> None:
        """Complete what a kill cut short if its payload is in place, else throw it away. Repeatable.

        Raises: BagDamaged, OSError.
        """
        if not self._work.exists():
            return
        intent_path = self._work / _INTENT
        if intent_path.is_file():
            try:
                intent = Intent.from_json(intent_path.read_text(encoding="utf-8"))
            except (ValueError, TypeError) as error:
                raise BagDamaged(f"{self.folder.name}/{WORK}/{_INTENT} cannot be read: {error}") from error
            self._settle(intent)
        if self._work.exists():
            shutil.rmtree(self._work)

    def sweep(self) -> None:
        """Remove what atomic writes left when they were killed."""
        for folder in (self.folder, self.folder / GROWING):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)

    def _settle(self, intent: Intent) -> None:
        target, listed = self.folder / intent.place, self._manifest_bytes()
        if (self._work / _STAGED).exists() or not target.exists():
            return  # the rename did not happen
        if hashlib.sha256(listed).hexdigest() == intent.before:
            if self._holds(intent):
                self._complete(intent, listed)
            else:  # never listed, so never promised: out with it, and it is filed again from its originals
                target.rename(self._work / "batal")
                fsync_folder(target.parent)
        elif all(parse_manifest(listed).get(path) == digest for path, digest in intent.files.items()):
            self._write_tags(intent, listed)
        else:
            raise BagDamaged(
                f"{self.folder.name}/{MANIFEST} was changed by somebody else while an item was being filed"
            )

    def _holds(self, intent: Intent) -> bool:
        try:
            return all(sha256_of(self.folder / path) == digest for path, digest in intent.files.items())
        except FileNotFoundError:
            return False

    def _complete(self, intent: Intent, before: bytes) -> None:
        target = self.folder / intent.place
        if (self._work / _STAGED).exists():
            # One rename for all files of the item; onto a folder that is not empty it fails: nothing is overwritten.
            (self._work / _STAGED).rename(target)
        fsync_folder(target.parent)
        listed = format_manifest({**parse_manifest(before), **intent.files})
        write_atomically(self.folder / MANIFEST, listed)
        self._write_tags(intent, listed)
        (self._work / _INTENT).unlink()
        fsync_folder(self._work)
        shutil.rmtree(self._work)

    def _write_tags(self, intent: Intent, listed: bytes) -> None:
        contents = {name: text.encode() for name, text in intent.tags.items()}
        for name, content in contents.items():
            path = self.folder / name
            if not path.is_file() or path.read_bytes() != content:
                write_atomically(path, content)
        contents[MANIFEST] = listed
        digests = {name: Sha256(hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
        write_atomically(self.folder / TAG_MANIFEST, format_manifest(digests))

    def _stage(self, files: Sequence[PayloadFile]) -> dict[str, tuple[Sha256, int]]:
        staged = make_folders(self.folder, f"{WORK}/{_STAGED}")
        written = {file.name: write_payload(staged / file.name, file) for file in files}
        fsync_folder(staged)
        fsync_folder(self._work)
        return written

    def _refuse_damage(self) -> None:
        """Never list a changed manifest as the right one."""
        if not self.exists:
            return
        tags = parse_manifest(self._tag_file(TAG_MANIFEST))
        if tags.get(MANIFEST) != hashlib.sha256(self._manifest_bytes()).hexdigest():
            raise BagDamaged(f"{self.folder.name}/{MANIFEST} is not the one that {TAG_MANIFEST} names")

    def _tag_file(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise BagDamaged(f"{self.folder.name}/{name} is missing") from error

    def _manifest_bytes(self) -> bytes:
        try:
            return (self.folder / MANIFEST).read_bytes()
        except FileNotFoundError:
            return b""


def parse_manifest(content: bytes) -> dict[str, Sha256]:
    """Paths with their SHA-256. Raises: BagDamaged on a line that is none of ours."""
    entries: dict[str, Sha256] = {}
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise BagDamaged(f"a manifest is not UTF-8: {error}") from error
    for line in lines[:-1]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BagDamaged(f"a manifest has a line that cannot be read: {line[:80]!r}")
        entries[match[2]] = Sha256(match[1])
    if lines[-1]:
        raise BagDamaged("a manifest does not end with a whole line")
    return entries


def format_manifest(entries: Mapping[str, Sha256]) -> bytes:
    """The lines of a manifest, sorted by path: what `sha256sum -c` reads."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(entries.items())).encode()


def make_folders(root: Path, place: str) -> Path:
    """The folder `place` below `root`, made durably with what is missing above it; people may read it, not write it."""
    folder = root
    for part in Path(place).parts:
        folder = folder / part
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
            fsync_folder(folder.parent)
    return folder
