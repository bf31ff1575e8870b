"""From a submission and its measured media to the draft of an item. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePath
from zoneinfo import ZoneInfo

from hub.api import Approval, Asset, Channel, Draft, MediaKind
from hub.intake.approval import Refused, judge_approval
from hub.intake.desk import Submission
from hub.intake.settings import ApprovalLevel
from hub.intake.sidecar import Sidecar
from hub.messages import Refusal

TEMPLATE_LASTS = timedelta(days=5 * 365 + 1)


def make_draft(
    submission: Submission,
    assets: Sequence[Asset],
    *,
    level: ApprovalLevel,
    default_days: int,
    now: datetime,
    zone: ZoneInfo,
) -> Draft:
    """The item as it was dropped, not yet accepted. Raises: Refusal that says what is wrong and what to do."""
    sidecar = submission.sidecar or Sidecar()
    approval = _approved(submission, level, now.astimezone(zone))
    start, end = _window(sidecar, default_days, now, zone)
    return Draft(
        title=sidecar.title or _title_of(submission),
        assets=tuple(assets),
        channels=_channels_of_template(sidecar, assets) if sidecar.template else _channels(sidecar.channels, assets),
        start=start,
        end=end,
        summary=sidecar.summary,
        classification=sidecar.classification,
        source=sidecar.source,
        approval=approval,
        screens=sidecar.screens,
        days=sidecar.days,
        dayparts=sidecar.dayparts,
        share=sidecar.share,
        template=sidecar.template,
        priority=sidecar.priority,
    )


def _approved(submission: Submission, level: ApprovalLevel, local: datetime) -> Approval | None:
    verdict = judge_approval(submission.sidecar, level, today=local.date())
    if isinstance(verdict, Refused):
        raise verdict.why
    return verdict.approval


def _title_of(submission: Submission) -> str:
    stem = submission.name if submission.folder else PurePath(submission.name).stem
    return " ".join(stem.replace("_", " ").split())[:200] or submission.name


def _window(sidecar: Sidecar, default_days: int, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    start = sidecar.start or now
    lasts = TEMPLATE_LASTS if sidecar.template else timedelta(days=default_days)
    end = sidecar.end or max(start, now) + lasts
    if end <= now:
        raise Refusal(
            "The item's time ended at {end}, so it would never be shown. Please correct Selesai and drop it again.",
            end=_last(end, zone),
        )
    if start >= end:
        raise Refusal(
            "The item would begin ({start}) after its end ({end}). Please correct Mulai or Selesai and drop it again.",
            start=_local(start, zone),
            end=_last(end, zone),
        )
    return start, end


def _channels(named: frozenset[Channel] | None, assets: Sequence[Asset]) -> frozenset[Channel]:
    if named is None:
        by_kind = {Channel.RADIO if a.media.kind is MediaKind.AUDIO else Channel.VIDEOTRON for a in assets}
        return frozenset(by_kind | {Channel.ARCHIVE})
    if Channel.VIDEOTRON in named and not any(_shows(asset) for asset in assets):
        raise Refusal(
            "The sidecar asks for the videotron, but there is no picture to show. Add a video, an image or a PDF, or "
            "take videotron out of Saluran."
        )
    if Channel.RADIO in named and not any(asset.media.has_sound for asset in assets):
        raise Refusal(
            "The sidecar asks for the radio, but there is no sound to air. Add an audio file, or take radio out of "
            "Saluran."
        )
    return named | {Channel.ARCHIVE}


def _channels_of_template(sidecar: Sidecar, assets: Sequence[Asset]) -> frozenset[Channel]:
    """A template waits on the screens alone: nothing else may show or air it before somebody orders it."""
    if sidecar.days or sidecar.dayparts or sidecar.share != 1:
        raise Refusal(
            "A template (Templat: {name}) waits outside the daily round, since it may be needed at any time. Please "
            "take Hari, Jam and Porsi out of its sidecar, or take Templat out to show it in the daily round.",
            name=sidecar.template,
        )
    if not (sidecar.channels or {Channel.VIDEOTRON}) <= {Channel.VIDEOTRON, Channel.ARCHIVE}:
        raise Refusal(
            "A template (Templat: {name}) is for the videotron only. Please take radio out of Saluran, and drop what "
            "is to be aired as an item of its own.",
            name=sidecar.template,
        )
    return _channels(frozenset({Channel.VIDEOTRON}), assets)


def _shows(asset: Asset) -> bool:
    """A picture on an audio file is only its cover."""
    return asset.media.kind is not MediaKind.AUDIO and asset.media.has_picture


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%d-%m-%Y %H:%M}"


def _last(end: datetime, zone: ZoneInfo) -> str:
    """An end as people write it: a date without a time means that whole day, so midnight is not said as the next."""
    local = end.astimezone(zone)
    return _local(end - timedelta(minutes=1) if not (local.hour or local.minute) else end, zone)
