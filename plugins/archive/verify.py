"""Full verification of a bag by our own code: what a clerk, an auditor or a nightly check relies on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from hub.api import Sha256
from hub.api.files import sha256_of
from plugins.archive.bag import (
    DECLARATION,
    MANIFEST,
    PAYLOAD,
    TAG_MANIFEST,
    WORK,
    Bag,
    BagDamaged,
    Oxum,
    parse_manifest,
)

SETTLE_WITHIN_S = 3.0


def verify(folder: Path) -> list[str]:
    """Everything that is wrong with the bag in `folder`, a sentence each; empty when it is whole. Blocks."""
    try:
        return list(_problems(folder))
    except (BagDamaged, OSError) as error:
        return [str(error)]


def _problems(folder: Path) -> Iterator[str]:
    bag = Bag(folder)
    if not _settled(bag):
        yield f"{WORK}: filing was cut short; start the hub, which completes it, and verify again"
    listed = bag.manifest()
    found = dict(_payload(folder))
    yield from _wrong_declaration(folder)
    yield from _wrong_tags(folder)
    yield from (f"{path}: listed in {MANIFEST} but missing" for path in sorted(listed.keys() - found.keys()))
    yield from (f"{path}: not listed in {MANIFEST}" for path in sorted(found.keys() - listed.keys()))
    actual, stated = Oxum(sum(found.values()), len(found)), bag.oxum()
    if actual != stated:
        yield f"bag-info.txt: Payload-Oxum says {stated}, the payload has {actual}"
    for path in sorted(listed.keys() & found.keys()):
        yield from _wrong_content(folder, path, listed[path])


def _settled(bag: Bag) -> bool:
    """Wait out an append that is being completed just now: that takes moments."""
    deadline = time.monotonic() + SETTLE_WITHIN_S
    while bag.unfinished and time.monotonic() < deadline:
        time.sleep(0.05)
    return not bag.unfinished


def _payload(folder: Path) -> Iterator[tuple[str, int]]:
    for parent, folders, names in os.walk(folder / PAYLOAD, onerror=_raise):
        folders.sort()
        for name in names:
            path = Path(parent, name)
            yield path.relative_to(folder).as_posix(), path.lstat().st_size


def _raise(error: OSError) -> None:
    raise error


def _wrong_declaration(folder: Path) -> Iterator[str]:
    path = folder / "bagit.txt"
    if not path.is_file() or path.read_text(encoding="utf-8") != DECLARATION:
        yield "bagit.txt: is not the declaration of a BagIt 1.0 bag"


def _wrong_tags(folder: Path) -> Iterator[str]:
    tags = parse_manifest((folder / TAG_MANIFEST).read_bytes())
    yield from (
        f"{name}: not listed in {TAG_MANIFEST}" for name in ("bagit.txt", "bag-info.txt", MANIFEST) if name not in tags
    )
    for name, digest in tags.items():
        yield from _wrong_content(folder, name, digest)


def _wrong_content(folder: Path, name: str, digest: Sha256) -> Iterator[str]:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        yield f"{name}: is missing or not a file"
        return
    try:
        if sha256_of(path) != digest:
            yield f"{name}: its content was changed (SHA-256 differs)"
    except OSError as error:
        yield f"{name}: cannot be read: {error.strerror}"
