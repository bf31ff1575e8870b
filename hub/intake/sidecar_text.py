"""From the bytes of a sidecar to its fields: lenient `Kunci: nilai` text, or strict JSON."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from hub.intake.keys import Field, field_of
from hub.intake.names import display_text
from hub.messages import Refusal

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
_COLON = re.compile("\\s*[:=：]\\s*")
_LISTS = frozenset({Field.CHANNELS, Field.SCREENS, Field.DAYS, Field.DAYPARTS})
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "”", "«": "»"}


def read_fields(data: bytes, *, is_json: bool) -> Mapping[Field, str]:
    """The fields that are filled in, as text. Raises: Refusal that says what to correct."""
    if len(data) > MAX_BYTES:
        raise Refusal("The sidecar is larger than 64 kB. A sidecar is a short text; please shorten it.")
    text = _decode(data)
    return _from_json(text) if is_json else _from_lines(text)


def _decode(data: bytes) -> str:
    """Text as Notepad, Word or a Mac may have saved it."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return _checked(data[len(mark) :].decode(encoding, "replace"))
    if data[:4:2].strip(b"\0") and data[1:4:2] and not data[1:4:2].strip(b"\0"):
        return _checked(data.decode("utf-16-le", "replace"))
    try:
        return _checked(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _checked(data.decode("cp1252", "replace"))


def _checked(text: str) -> str:
    if "\0" in text:
        raise Refusal("The sidecar is not a plain text. Please write it with Notepad and save it as .txt.")
    return text


def _from_lines(text: str) -> dict[Field, str]:
    found: dict[Field, str] = {}
    last: Field | None = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        shown = display_text(line)
        if not shown or shown[0] in "#;" or not shown.strip("-=_*. "):
            continue
        pair = _COLON.split(shown, maxsplit=1)
        if len(pair) == 2 and pair[0]:
            last = field_of(pair[0])
            _add(found, last, pair[0], pair[1])
        elif last is Field.SUMMARY and last in found:
            found[last] += f" {shown}"
        else:
            raise Refusal(
                'Line {number} of the sidecar was not understood: "{line}". Each line is written like this: Judul: '
                "Imbauan Siaga Karhutla.",
                number=number,
                line=shown[:80],
            )
    return {field: value for field, value in found.items() if value}


def _from_json(text: str) -> dict[Field, str]:
    _check_depth(text)
    try:
        document = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        where = f"{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else "?"
        raise Refusal(
            "The .json sidecar is not valid JSON (at line:column {where}). Please correct it, or write a .txt sidecar.",
            where=where,
        ) from error
    if not isinstance(document, dict):
        raise Refusal("The .json sidecar must be one object: {{ ... }}. Please correct it, or write a .txt sidecar.")
    found: dict[Field, str] = {}
    for key, value in _flat(document):
        field = field_of(display_text(key))
        _add(found, field, key, _text_of(key, field, value))
    return {field: value for field, value in found.items() if value}


def _flat(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """`{"approval": {"number": ...}}` as `approval number`."""
    pairs: list[tuple[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            pairs += [(f"approval {inner}", v) for inner, v in value.items() if _is_approval(key)]
            if not _is_approval(key):
                raise _not_text(key)
        else:
            pairs.append((key, value))
    return pairs


def _is_approval(key: str) -> bool:
    return display_text(key).casefold() in ("approval", "persetujuan")


def _text_of(key: str, field: Field, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return " ".join(display_text(line) for line in value.splitlines()).strip()
    if isinstance(value, list) and field in _LISTS and all(isinstance(part, str) for part in value):
        return ", ".join(display_text(part) for part in value)
    if field is Field.SHARE and type(value) is int and abs(value) < 1000:
        return str(value)
    raise _not_text(key)


def _add(found: dict[Field, str], field: Field, key: str, value: str) -> None:
    if found.get(field):
        raise Refusal(
            'The sidecar says "{key}" twice. Please keep one of the two and drop it again.', key=display_text(key)[:80]
        )
    found[field] = _unquoted(value.strip())


def _unquoted(value: str) -> str:
    while len(value) >= 2 and _QUOTES.get(value[0]) == value[-1]:
        value = value[1:-1].strip()
    return value


def _check_depth(text: str) -> None:
    """Before the parser sees it: it goes as deep as the text says."""
    depth = 0
    for sign in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAX_DEPTH:
            raise Refusal("The .json sidecar is nested too deeply. Please use one simple object.")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Refusal(
                'The sidecar says "{key}" twice. Please keep one of the two and drop it again.',
                key=display_text(key)[:80],
            )
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _not_text(key: str) -> Refusal:
    return Refusal(
        'The value of "{key}" in the .json sidecar must be a text in quotation marks.', key=display_text(key)[:80]
    )
