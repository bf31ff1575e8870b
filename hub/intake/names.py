"""File names: hostile text until it went through here.

A dropped name is any bytes but "/" and NUL; Python carries invalid UTF-8 as surrogates (PEP 383), which neither JSON,
SQLite nor a terminal take.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import PurePath

RECEIPT_SUFFIX = ".tanda-terima.txt"
REASON_SUFFIX = ".alasan.txt"
README_NAME = "BACA-SAYA.txt"
EXAMPLE_NAME = "contoh-info.txt"

NAME_BYTES = 255  # of ext4, XFS, btrfs
ARCHIVE_NAME_BYTES = 120

# Matched against `same_name_key`, so all of it is in small letters.
_PARTIAL_BEGINNINGS = (".syncthing", "~syncthing")
_PARTIAL_ENDINGS = (".part", ".filepart", ".tmp", ".crdownload", ".partial", ".!ut")
_IGNORED_BEGINNINGS = (".", "~$", *_PARTIAL_BEGINNINGS)
_IGNORED_ENDINGS = (*_PARTIAL_ENDINGS, RECEIPT_SUFFIX, REASON_SUFFIX)
_IGNORED_NAMES = frozenset({
    "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information", "lost+found",
    README_NAME.casefold(), EXAMPLE_NAME.casefold(),
})  # fmt: skip

_FORBIDDEN = frozenset('%\\<>:"/|?*')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONGEST_EXTENSION = 16


def display_text(text: str) -> str:
    """The text for people's eyes: one line, NFC, without control, bidi and other invisible characters."""
    if text.isascii() and text.isprintable():
        return text.strip()
    spaced = "".join(" " if c in "\t\n\r\v\f\x85\u2028\u2029\xa0" else c for c in unicodedata.normalize("NFC", text))
    return "".join(c for c in spaced if unicodedata.category(c) not in _HIDDEN_CATEGORIES).strip()


def display_name(name: str) -> str:
    """Any dropped name, safe to show, to log and to keep; bytes that are no UTF-8 appear as `\\xff`."""
    shown = display_text(os.fsencode(name).decode("utf-8", "backslashreplace"))
    return shown or "(unnamed)"


def archive_name(name: str) -> str:
    """The name under which a file may stand in the archive: fit for Windows, BagIt and sha256sum; <= 120 bytes."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace")).replace("\ufffd", "_")
    kept = "".join(c for c in text if c not in _FORBIDDEN and unicodedata.category(c) not in _HIDDEN_CATEGORIES)
    kept = re.sub(r"\s", " ", kept).strip(" .")
    if not kept or _RESERVED.match(kept):
        kept = f"_{kept}"
    return fit(kept, ARCHIVE_NAME_BYTES).strip(" .")


def is_ignored(name: str) -> bool:
    """Whether this entry of the watched folder is nobody's drop: temporary, hidden, made by a system or by the hub."""
    key = same_name_key(name)  # not a pattern: this is asked for every entry in every round
    return key.startswith(_IGNORED_BEGINNINGS) or key.endswith(_IGNORED_ENDINGS) or key in _IGNORED_NAMES


def is_partial(name: str) -> bool:
    """Whether the name says that an upload is still going on."""
    key = same_name_key(name)
    return key.startswith(_PARTIAL_BEGINNINGS) or key.endswith(_PARTIAL_ENDINGS)


def same_name_key(name: str) -> str:
    """Equal for names that Windows or a Mac would take for the same."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def stem_of(name: str) -> str:
    """The name without its last ending: `clip.mp4.part` is on its way to `clip.mp4`."""
    at = name.rfind(".")
    return name[:at] if 0 < at < len(name) - 1 else name


def receipt_name(name: str) -> str:
    """Where the receipt of `name` stands, beside it."""
    return suffixed(name, RECEIPT_SUFFIX)


def reason_name(name: str) -> str:
    """Where the reason why `name` was refused stands, beside it."""
    return suffixed(name, REASON_SUFFIX)


def suffixed(name: str, suffix: str) -> str:
    """`name` + `suffix` in 255 bytes: a longer one is cut, and told from its like by a piece of its hash."""
    if len(os.fsencode(name + suffix)) <= NAME_BYTES:
        return name + suffix
    mark = "~" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8] + suffix
    return _cut(name, NAME_BYTES - len(mark)) + mark


def free_names(names: Sequence[str], taken: Callable[[str], bool]) -> list[str]:
    """The names as they are or, when one is taken, all with the same number: `a (2).mp4`, `a (2).txt`.

    A name that begins with the last one (`a.mp4.txt`) goes on beginning with it.
    """
    number = 1
    while True:
        candidates = _numbered_together(names, number)
        if not any(taken(name) for name in candidates):
            return candidates
        number += 1


def is_numbered_from(name: str, original: str) -> bool:
    """Whether `name` is `original`, or `free_names` made it of it."""
    marks = [int(digits) for digits in re.findall(r" \((\d{1,6})\)", name)]
    return name == original or any(mark > 1 and numbered(original, mark) == name for mark in marks)


def numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    stem, extension = _split(name)
    mark = f" ({number}){extension}"
    return _cut(stem, NAME_BYTES - len(os.fsencode(mark))) + mark


def fit(name: str, limit: int) -> str:
    """`name` in at most `limit` bytes, its extension kept."""
    if len(os.fsencode(name)) <= limit:
        return name
    stem, extension = _split(name)
    return _cut(stem, limit - len(os.fsencode(extension))).rstrip(" .") + extension


def _numbered_together(names: Sequence[str], number: int) -> list[str]:
    anchor = names[-1]
    new_anchor = numbered(anchor, number)
    return [
        new_anchor + name[len(anchor) :] if name.startswith(anchor) else numbered(name, number) for name in names[:-1]
    ] + [new_anchor]


def _split(name: str) -> tuple[str, str]:
    extension = PurePath(name).suffix
    if not extension or len(os.fsencode(extension)) > _LONGEST_EXTENSION:
        return name, ""
    return name[: -len(extension)], extension


def _cut(text: str, limit: int) -> str:
    """The longest beginning of `text` in `limit` bytes that does not cut a character."""
    while len(os.fsencode(text)) > limit:
        text = text[:-1]
    return text
