"""The receipt that stands beside an accepted original, in the words and the times of the office. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date

from hub.api import FALLBACK, DeliveryState, Item, ItemState, MediaInfo
from hub.intake.rhythm import spell_days
from hub.messages import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """How one delivery of the item stands."""

    destination: str
    state: DeliveryState
    reason: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPlay:
    """The first proved playback or airing at one destination."""

    destination: str
    at: datetime
    on_air: bool = False  # radio


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """How this office reads: its language, catalogue and time."""

    language: str  # of Babel: "id", "en"
    catalogue: Catalogue
    zone: ZoneInfo


def render_receipt(
    item: Item,
    office: Office,
    *,
    deliveries: Sequence[DeliveryLine] = (),
    plays: Sequence[FirstPlay] = (),
    filed: str | None = None,
    withdrawn_because: str = "",
) -> str:
    """The whole text of a receipt as of now; the same arguments give the same text."""
    say = office.catalogue
    blocks = [
        [say("RECEIPT {number}", number=item.number)],
        _facts(item, office, withdrawn_because),
        _files(item, office),
        _remarks(item, office),
        _deliveries(deliveries, office),
        _plays(plays, office),
        [say("Filed in: {path}", path=filed)] if filed else [],
        [say("The hub keeps this text up to date. Please keep it with the file.")],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def spell_date(day: date, office: Office) -> str:
    """`3 November 2026` in the office's language."""
    return format_date(day, "d MMMM yyyy", locale=office.language)


def spell_time(moment: datetime, office: Office) -> str:
    """`3 November 2026 08.00 WITA`."""
    local = moment.astimezone(office.zone)
    return f"{spell_date(local.date(), office)} {local:%H.%M} {local.tzname()}"


def _facts(item: Item, office: Office, withdrawn_because: str) -> list[str]:
    say = office.catalogue
    lines = [
        say("Title: {title}", title=item.title),
        say("Accepted: {when}", when=spell_time(item.accepted_at, office)),
        say("State: {state}", state=_state(item, office)),
    ]
    if item.state is ItemState.WITHDRAWN and withdrawn_because:
        lines.append(say("Reason of the withdrawal: {reason}", reason=withdrawn_because))
    if item.repeats:
        lines.append(say("Disseminated again; first as: {number}", number=item.repeats))
    lines += _template(item, office) if item.template else _window(item, office)
    lines.append(say("Channels: {channels}", channels=", ".join(sorted(channel.value for channel in item.channels))))
    if item.screens:
        lines.append(say("Screens: {screens}", screens=", ".join(item.screens)))
    return [*lines, *_rhythm(item, office), _approval(item, office)]


def _state(item: Item, office: Office) -> str:
    waits = item.template and item.state in (ItemState.ACCEPTED, ItemState.ACTIVE)
    return office.catalogue("kept ready") if waits else state_word(item.state, office)


def _window(item: Item, office: Office) -> list[str]:
    say = office.catalogue
    return [
        say("Shown from: {when}", when=spell_time(item.start, office)),
        say("Shown until: {when}", when=spell_time(item.end, office)),
    ]


def _template(item: Item, office: Office) -> list[str]:
    say = office.catalogue
    if item.template == FALLBACK:
        what = say("Template: {name}. A screen shows it by itself when it has nothing else to show.", name=FALLBACK)
    else:
        what = say("Template: {name}. It is shown only by an emergency order.", name=item.template)
    return [
        what,
        say("Kept ready from: {when}", when=spell_time(item.start, office)),
        say("Kept ready until: {when}", when=spell_time(item.end, office)),
    ]


def _rhythm(item: Item, office: Office) -> list[str]:
    """How it comes round on the screens, as far as the sidecar says so."""
    say = office.catalogue
    lines = []
    if item.days:
        lines.append(say("Days on the screens: {days}", days=spell_days(item.days, office.language)))
    if item.dayparts:
        lines.append(say("Times of day: {dayparts}", dayparts=item.dayparts))
    if item.share != 1:
        lines.append(say("Share of the screens' round: {share} times", share=item.share))
    return lines


def _approval(item: Item, office: Office) -> str:
    if item.approval is None:
        return office.catalogue("Approval: no proof was asked for")
    return office.catalogue(
        "Approval: {number}, {date}, {approver}",
        number=item.approval.number,
        date=spell_date(item.approval.date, office),
        approver=item.approval.approver,
    )


def _files(item: Item, office: Office) -> list[str]:
    say = office.catalogue
    return [say("Files:")] + [f"- {asset.original_name}\n  SHA-256 {asset.sha256}" for asset in item.assets]


def _remarks(item: Item, office: Office) -> list[str]:
    """What was found in the files that refuses nobody, but that somebody should know."""
    say = office.catalogue
    lines = [(_remark(asset.media), asset.original_name) for asset in item.assets]
    return [say(remark, file=name) for remark, name in lines if remark]


def _remark(media: MediaInfo) -> str:
    if media.clipped:
        return (
            "Note: the sound of {file} is distorted, because it was recorded too loud. It is used as it is; a cleaner "
            "recording would be better."
        )
    if media.is_silent:
        return "Note: {file} has a sound track, but nothing can be heard in it."
    return ""


def _deliveries(deliveries: Sequence[DeliveryLine], office: Office) -> list[str]:
    say = office.catalogue
    if not deliveries:
        return []
    lines = [say("Where it stands:")]
    for delivery in deliveries:
        when = f" ({spell_time(delivery.updated_at, office)})" if delivery.updated_at else ""
        lines.append(f"- {delivery.destination}: {state_word(delivery.state, office)}{when}")
        if delivery.reason:
            lines.append(f"  {delivery.reason}")
    return lines


def _plays(plays: Sequence[FirstPlay], office: Office) -> list[str]:
    say = office.catalogue
    lines = [
        say(
            "- {destination}: first aired {when}" if play.on_air else "- {destination}: first shown {when}",
            destination=play.destination,
            when=spell_time(play.at, office),
        )
        for play in sorted(plays, key=lambda play: play.at)
    ]
    return [say("Proved:"), *lines] if lines else []


def state_word(state: DeliveryState | ItemState, office: Office) -> str:
    """The state as people say it; the English word is the state's own value."""
    return office.catalogue(state.value)
