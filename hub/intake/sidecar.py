"""What a sidecar says about its media, and the note that withdraws an item. Parsed once, trusted inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from hub.api import Channel, Classification, ItemNumber, Priority
from hub.intake.keys import Field
from hub.intake.moments import parse_date, parse_end, parse_start
from hub.intake.rhythm import parse_dayparts, parse_days, parse_share, parse_template
from hub.intake.sidecar_text import read_fields
from hub.messages import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """None or empty where the sidecar does not say."""

    title: str = ""
    summary: str = ""
    classification: Classification | None = None
    source: str = ""
    approval_number: str = ""
    approval_date: date | None = None
    approver: str = ""
    channels: frozenset[Channel] | None = None
    screens: tuple[str, ...] = ()
    start: datetime | None = None  # aware, UTC
    end: datetime | None = None  # aware, UTC; the first instant outside
    days: tuple[int, ...] = ()
    dayparts: str = ""  # "06:00-09:00, 16:00-21:00"
    share: int = 1
    template: str = ""
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalNote:
    """Somebody asks to take an item back."""

    number: ItemNumber
    reason: str


def parse_sidecar(data: bytes, *, is_json: bool, zone: ZoneInfo) -> Sidecar:
    """The sidecar of a media file. Raises: Refusal that says what to correct."""
    fields = read_fields(data, is_json=is_json)
    if Field.WITHDRAW in fields or Field.REASON in fields:
        raise Refusal(
            'This text has the name of a media file, but it asks to withdraw an item ("Tarik" or "Alasan"). Drop a '
            "withdrawal note alone, under a name of its own; drop the media file again with its sidecar."
        )
    return _sidecar(fields, zone)


def says_urgent(data: bytes, *, is_json: bool) -> bool:
    """Whether the sidecar asks to be first. Raises: Refusal when it cannot be read at all."""
    plain = data.replace(b"\0", b"").lower()
    if not any(word.encode() in plain for word in _URGENT):  # most do not; this is asked of every drop
        return False
    return _plain(read_fields(data, is_json=is_json).get(Field.PRIORITY, "")) in _URGENT


def parse_note(data: bytes, *, is_json: bool) -> WithdrawalNote | None:
    """The withdrawal that a lone text asks for; None when it does not. Raises: Refusal when it does so wrongly."""
    try:
        fields = read_fields(data, is_json=is_json)
    except Refusal:
        if _looks_like_a_note(data):
            raise
        return None
    if Field.WITHDRAW not in fields:
        return None
    number = re.sub(r"\s", "", fields[Field.WITHDRAW]).upper()
    if not re.fullmatch(r"IP-\d{4}-(0[1-9]|1[0-2])-\d{4,6}", number, re.ASCII):
        raise Refusal(
            'The number "{number}" is no item number. Write it like this: Tarik: IP-2026-11-0007.', number=number[:40]
        )
    if not fields.get(Field.REASON):
        raise Refusal("The withdrawal note gives no reason. Please add a line: Alasan: ... and drop it again.")
    others = sorted(field.value for field in fields if field not in (Field.WITHDRAW, Field.REASON))
    if others:
        raise Refusal('A withdrawal note has only "Tarik" and "Alasan", not: {others}.', others=", ".join(others))
    return WithdrawalNote(number=ItemNumber(number), reason=_short(fields, Field.REASON, 1000))


def _looks_like_a_note(data: bytes) -> bool:
    """Whether the first key is Tarik, however the rest reads."""
    plain = data[:400].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \r\n{\"'\t").lower()
    return plain.startswith((b"tarik", b"withdraw"))


def _sidecar(fields: Mapping[Field, str], zone: ZoneInfo) -> Sidecar:
    start = fields.get(Field.START)
    end = fields.get(Field.END)
    approved_on = fields.get(Field.APPROVAL_DATE)
    return Sidecar(
        title=_short(fields, Field.TITLE, 200),
        summary=_short(fields, Field.SUMMARY, 4000),
        classification=_classification(fields.get(Field.CLASSIFICATION, "")),
        source=_short(fields, Field.SOURCE, 200),
        approval_number=_short(fields, Field.APPROVAL_NUMBER, 200),
        approval_date=parse_date(approved_on, field=Field.APPROVAL_DATE) if approved_on else None,
        approver=_short(fields, Field.APPROVER, 200),
        channels=_channels(fields.get(Field.CHANNELS, "")),
        screens=_screens(fields.get(Field.SCREENS, "")),
        start=parse_start(start, field=Field.START, zone=zone) if start else None,
        end=parse_end(end, field=Field.END, zone=zone) if end else None,
        days=parse_days(fields.get(Field.DAYS, ""), field=Field.DAYS),
        dayparts=parse_dayparts(fields.get(Field.DAYPARTS, ""), field=Field.DAYPARTS),
        share=parse_share(fields.get(Field.SHARE, ""), field=Field.SHARE),
        template=parse_template(fields.get(Field.TEMPLATE, ""), field=Field.TEMPLATE),
        priority=_priority(fields.get(Field.PRIORITY, "")),
    )


def _short(fields: Mapping[Field, str], field: Field, longest: int) -> str:
    value = fields.get(field, "")
    if len(value) > longest:
        raise Refusal('"{field}" is longer than {longest} characters. Please shorten it.', field=field, longest=longest)
    return value


_CLASSIFICATIONS = {
    "berkala": Classification.PERIODIC,
    "periodic": Classification.PERIODIC,
    "serta merta": Classification.IMMEDIATE,
    "sertamerta": Classification.IMMEDIATE,
    "immediate": Classification.IMMEDIATE,
    "setiap saat": Classification.ANYTIME,
    "anytime": Classification.ANYTIME,
}
_CHANNELS = {
    "videotron": Channel.VIDEOTRON,
    "layar": Channel.VIDEOTRON,
    "led": Channel.VIDEOTRON,
    "radio": Channel.RADIO,
    "radio abdi persada": Channel.RADIO,
    "arsip": Channel.ARCHIVE,
    "archive": Channel.ARCHIVE,
}
_PRIORITIES = {
    "urgent": Priority.URGENT,
    "segera": Priority.URGENT,
    "mendesak": Priority.URGENT,
    "darurat": Priority.URGENT,
    "penting": Priority.URGENT,
    "normal": Priority.NORMAL,
    "biasa": Priority.NORMAL,
}
_URGENT = frozenset(word for word, priority in _PRIORITIES.items() if priority is Priority.URGENT)


def _classification(text: str) -> Classification | None:
    if not text:
        return None
    found = _CLASSIFICATIONS.get(_plain(text))
    if found is None:
        raise _not_one_of(Field.CLASSIFICATION, text, tuple(Classification))
    return found


def _channels(text: str) -> frozenset[Channel] | None:
    """What the sidecar names; the archive files everything, named or not."""
    named = _names(text)
    if any(_plain(name) in ("semua", "all") for name in named):
        return frozenset(Channel)
    unknown = [name for name in named if _plain(name) not in _CHANNELS]
    if unknown:
        raise _not_one_of(Field.CHANNELS, unknown[0], tuple(Channel))
    return frozenset({_CHANNELS[_plain(name)] for name in named} | {Channel.ARCHIVE}) if named else None


def _screens(text: str) -> tuple[str, ...]:
    named = _names(text)
    if len(named) > 200 or any(len(name) > 60 for name in named):
        raise Refusal("The list of screens is too long. Please name screens or groups, separated by commas.")
    return () if any(_plain(name) in ("semua", "all") for name in named) else tuple(dict.fromkeys(named))


def _priority(text: str) -> Priority:
    if not text:
        return Priority.NORMAL
    found = _PRIORITIES.get(_plain(text))
    if found is None:
        raise _not_one_of(Field.PRIORITY, text, ("segera", "biasa"))
    return found


def _names(text: str) -> list[str]:
    return [name.strip() for name in re.split(r"[,;+]| dan | and | & ", text) if name.strip()]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\s_-]+", " ", text.casefold()).split())


def _not_one_of(field: Field, value: str, known: tuple[str, ...]) -> Refusal:
    return Refusal(
        '"{value}" is not known for "{field}". Choose from: {known}.',
        value=value[:80],
        field=field.value,
        known=", ".join(known),
    )
