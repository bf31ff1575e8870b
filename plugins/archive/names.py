"""File names that every system can hold, list and verify: Windows, SMB, `sha256sum -c`, every BagIt validator.

NFC; no control, format or separator characters, none of `% \\ < > : " / | ? *`; no space or dot at either end; no DOS
device name; no two names in a folder equal after case folding; bounded length. The original name stays in rekam.json.
"""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 120
NAMELESS = "tanpa nama"

_FORBIDDEN = frozenset('%\\<>:"/|?*')
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)[ ]*(\.|$)", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}$")


def safe_name(text: str, *, max_bytes: int = MAX_BYTES) -> str:
    """`text` as one safe part of a path, at most `max_bytes` long in UTF-8."""
    kept = "".join(_clean(char) for char in unicodedata.normalize("NFC", text))
    name = _cut(_trim(" ".join(kept.split())), max_bytes) or NAMELESS
    return _cut(f"_{name}", max_bytes) if _DEVICE.match(name) else name


def safe_file_name(original: str, *, max_bytes: int = MAX_BYTES) -> str:
    """A safe name for a file; a long one loses the end of its stem, never its suffix."""
    name = safe_name(original, max_bytes=max(len(original.encode(errors="replace")) * 4, max_bytes))
    match = _SUFFIX.search(name)
    suffix = match[0] if match else ""
    stem = name[: len(name) - len(suffix)]
    return safe_name(stem, max_bytes=max_bytes - len(suffix)) + suffix


def unique_name(name: str, taken: set[str], *, max_bytes: int = MAX_BYTES) -> str:
    """`name`, numbered when another in `taken` differs only in case or composition; the result is added to `taken`."""
    candidate, count = name, 1
    match = _SUFFIX.search(name)
    suffix = match[0] if match else ""
    while same_key(candidate) in taken:
        count += 1
        ending = f" ({count}){suffix}"
        candidate = _cut(name[: len(name) - len(suffix)], max_bytes - len(ending.encode())) + ending
    taken.add(same_key(candidate))
    return candidate


def same_key(name: str) -> str:
    """Equal for names that some file system takes for the same one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _clean(char: str) -> str:
    if char.isspace() or char in _FORBIDDEN:
        return " "
    return "" if unicodedata.category(char) in _DROPPED_CATEGORIES else char


def _trim(name: str) -> str:
    return name.strip(" .")


def _cut(name: str, max_bytes: int) -> str:
    return _trim(name.encode()[:max_bytes].decode(errors="ignore"))
