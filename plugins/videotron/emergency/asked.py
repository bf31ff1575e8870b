"""What an emergency order asks for: its words, checked against the screens that there are. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hub.api import HubError, Order
from plugins.videotron.protocol import Mode
from plugins.videotron.settings import ScreenSettings

EMERGENCY, BLACKOUT, CLEAR = "videotron.emergency", "videotron.blackout", "videotron.clear"
NAMES = frozenset({EMERGENCY, BLACKOUT, CLEAR})
EVERY = frozenset({"all", "semua"})
LONGEST = timedelta(days=7)
USUAL = timedelta(hours=2)
_REFERENCE = re.compile(r"DARURAT-\d{8}-\d{6}\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class NotAsked(HubError):
    """The order cannot be carried out as it stands. `message` is a catalogue entry, `values` fill it."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message.format(**values))
        self.message = message
        self.values = values


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    mode: Mode
    screens: tuple[str, ...]
    until: datetime | None
    template: str = ""
    item: str = ""
    file: str = ""  # the SHA-256 of a file that is dropped for it,
    reference: str = ""  # and the approval number in its sidecar


def understood(order: Order, screens: Mapping[str, ScreenSettings], now: datetime) -> Asked:
    """What the order asks for. Raises: NotAsked."""
    chosen = chosen_screens(order.args.get("screens", ""), screens)
    if order.name == CLEAR:
        return Asked(mode=Mode.NONE, screens=chosen, until=None)
    until = _until(order.args.get("until", ""), now)
    if order.name == BLACKOUT:
        return Asked(mode=Mode.BLACKOUT, screens=chosen, until=until)
    template, item, file = (order.args.get(key, "") for key in ("template", "item", "file"))
    if sum(bool(one) for one in (template, item, file)) != 1 or (file and not _SHA256.match(file)):
        raise NotAsked("An emergency shows one template, one item or one file; this order does not say which.")
    return Asked(
        mode=Mode.EMERGENCY,
        screens=chosen,
        until=until or now + USUAL,
        template=template,
        item=item,
        file=file,
        reference=order.args.get("reference", ""),
    )


def reference_at(now: datetime) -> str:
    """The approval number in the sidecar of a file that is dropped for an emergency now; local time."""
    return f"DARURAT-{now:%Y%m%d-%H%M%S}"


def is_reference(number: str) -> bool:
    """Whether such a file has it. Also when its emergency was cleared before it came, it is nothing for the loop."""
    return bool(_REFERENCE.match(number))


def chosen_screens(text: str, screens: Mapping[str, ScreenSettings]) -> tuple[str, ...]:
    """The screens that a list of names and groups means. Raises: NotAsked with the nearest of an unknown one."""
    named = {name.strip().lower() for name in text.split(",") if name.strip()}
    if not named:
        raise NotAsked("Name the screens or groups, separated by commas, or: all.")
    if not screens:
        raise NotAsked("There is no screen yet: name them in siarhub.toml ([plugins.videotron.screens.<id>]).")
    if named & EVERY:
        return tuple(sorted(screens))
    known = sorted({*screens, *(group for screen in screens.values() for group in screen.groups)})
    for name in sorted(named - set(known)):
        raise unknown(name, known)
    return tuple(sorted(one for one, screen in screens.items() if one in named or named & set(screen.groups)))


def unknown(name: str, known: Collection[str]) -> NotAsked:
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return NotAsked("No screen or group is named {name}. Did you mean {nearest}?", name=name, nearest=near[0])
    there = ", ".join(sorted(known))
    return NotAsked("No screen or group is named {name}. There are: {known}.", name=name, known=there)


def _until(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        raise NotAsked('The end "{text}" was not understood; a time with its offset belongs here.', text=text[:60])
    if until <= now:
        raise NotAsked("The end {until} has passed already.", until=f"{until:%Y-%m-%d %H:%M}")
    if until > now + LONGEST:
        raise NotAsked(
            "The end {until} is more than {days} days away. Give an earlier one, and the order again when it is near.",
            until=f"{until:%Y-%m-%d %H:%M}",
            days=LONGEST.days,
        )
    return until.astimezone(UTC)
