from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.api import Approval, Channel, Draft, MediaKind, Sha256
from hub.intake.desk import ClaimedFile, Submission
from hub.intake.draft import make_draft
from hub.intake.settings import ApprovalLevel
from hub.intake.sidecar import Sidecar
from hub.messages import Refusal
from hub.testing import NOON, make_asset, make_media

FILE = ClaimedFile(sha256=Sha256("a" * 64), vault_path=Path("/v"), original_name="a.mp4", size_bytes=1)
PROOF = Sidecar(approval_number="188", approval_date=date(2026, 11, 3), approver="Kadis")


def draft(
    *kinds: MediaKind, sidecar: Sidecar | None = PROOF, level: ApprovalLevel = ApprovalLevel.RECORD, **media: Any
) -> Draft:
    assets = [make_asset(media=make_media(kind, **media)) for kind in kinds or (MediaKind.VIDEO,)]
    submission = Submission(name="Siaga_Karhutla 2026.mp4", files=(FILE,), sidecar=sidecar, folder=False)
    zone = ZoneInfo("Asia/Makassar")
    return make_draft(submission, assets, level=level, default_days=30, now=NOON, zone=zone)


@pytest.mark.parametrize(
    ("kinds", "channels"),
    [
        ((MediaKind.VIDEO,), {Channel.VIDEOTRON, Channel.ARCHIVE}),
        ((MediaKind.IMAGE,), {Channel.VIDEOTRON, Channel.ARCHIVE}),
        ((MediaKind.DOCUMENT,), {Channel.VIDEOTRON, Channel.ARCHIVE}),
        ((MediaKind.AUDIO,), {Channel.RADIO, Channel.ARCHIVE}),
        ((MediaKind.VIDEO, MediaKind.AUDIO), set(Channel)),
    ],
)
def test_channels_follow_the_kind_of_media(kinds: tuple[MediaKind, ...], channels: set[Channel]) -> None:
    assert draft(*kinds).channels == channels


def test_a_video_goes_on_air_when_the_sidecar_says_so() -> None:
    sidecar = replace(PROOF, channels=frozenset({Channel.RADIO}))

    assert draft(MediaKind.VIDEO, sidecar=sidecar).channels == {Channel.RADIO, Channel.ARCHIVE}


@pytest.mark.parametrize(
    ("kind", "channel", "media"),
    [
        (MediaKind.AUDIO, Channel.VIDEOTRON, {"video_codec": "mjpeg"}),  # its cover is no picture
        (MediaKind.VIDEO, Channel.RADIO, {"audio_codec": ""}),
        (MediaKind.IMAGE, Channel.RADIO, {}),
    ],
)
def test_a_channel_that_the_media_cannot_serve_is_refused(kind: MediaKind, channel: Channel, media: Any) -> None:
    with pytest.raises(Refusal):
        draft(kind, sidecar=replace(PROOF, channels=frozenset({channel})), **media)


def test_without_more_words_an_item_is_named_by_its_file_and_lasts_thirty_days() -> None:
    made = draft()

    assert made.title == "Siaga Karhutla 2026"
    assert (made.start, made.end) == (NOON, NOON + timedelta(days=30))
    assert made.approval == Approval(number="188", date=date(2026, 11, 3), approver="Kadis")


@pytest.mark.parametrize(
    "changes",
    [
        {"end": NOON},
        {"start": NOON + timedelta(days=2), "end": NOON + timedelta(days=1)},
        {"approver": ""},
        {"approval_number": ""},
        {"approval_date": None},
        {"approval_date": date(2026, 11, 23)},
    ],
)
def test_a_window_or_a_proof_that_cannot_be_is_refused(changes: Any) -> None:
    with pytest.raises(Refusal):
        draft(sidecar=replace(PROOF, **changes))


def test_the_policy_decides_whether_a_sidecar_is_needed() -> None:
    with pytest.raises(Refusal):
        draft(sidecar=None)

    assert draft(sidecar=None, level=ApprovalLevel.NONE).approval is None
    assert draft(sidecar=Sidecar(approver="Kadis"), level=ApprovalLevel.NONE).approval is None


def test_an_approval_of_today_counts_by_the_local_day() -> None:
    assert NOON.astimezone(ZoneInfo("Asia/Makassar")).date() == date(2026, 11, 22)
    assert draft(sidecar=replace(PROOF, approval_date=date(2026, 11, 22))).approval is not None
    assert datetime(2026, 11, 22, 16, tzinfo=UTC) > NOON


def test_an_end_in_the_past_is_told_as_it_was_written_and_not_as_a_late_beginning() -> None:
    over = replace(PROOF, end=datetime(2019, 12, 31, 16, tzinfo=UTC))  # "Selesai: 31 Desember 2019", WITA

    with pytest.raises(Refusal) as refused:
        draft(sidecar=over)

    assert "ended at 31-12-2019 23:59" in str(refused.value)


def test_how_it_comes_round_is_taken_from_the_sidecar() -> None:
    made = draft(sidecar=replace(PROOF, days=(1, 7), dayparts="22:00-05:00", share=3))

    assert (made.days, made.dayparts, made.share, made.template) == ((1, 7), "22:00-05:00", 3, "")


def test_a_template_waits_on_the_screens_alone_for_five_years() -> None:
    made = draft(MediaKind.VIDEO, MediaKind.AUDIO, sidecar=replace(PROOF, template="banjir"))

    assert made.template == "banjir"
    assert made.channels == {Channel.VIDEOTRON, Channel.ARCHIVE}
    assert made.end == NOON + timedelta(days=1826)


def test_a_template_that_says_when_it_ends_ends_then() -> None:
    assert draft(sidecar=replace(PROOF, template="banjir", end=NOON + timedelta(days=2))).end == NOON + timedelta(
        days=2
    )


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (MediaKind.VIDEO, {"days": (1,)}, "Hari"),
        (MediaKind.VIDEO, {"dayparts": "06:00-09:00"}, "Jam"),
        (MediaKind.VIDEO, {"share": 2}, "Porsi"),
        (MediaKind.VIDEO, {"channels": frozenset({Channel.RADIO, Channel.VIDEOTRON})}, "radio"),
        (MediaKind.AUDIO, {}, "picture"),
    ],
)
def test_a_template_that_cannot_wait_for_its_order_is_refused(kind: MediaKind, changes: Any, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        draft(kind, sidecar=replace(PROOF, template="banjir", **changes))

    assert said in str(refused.value)
