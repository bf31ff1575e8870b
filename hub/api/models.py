"""Values that cross the border between the hub and its plugins. Frozen: a plugin may keep them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NewType

Date = date  # Approval has a field `date`, which hides the type of that name from whoever resolves its annotation

ItemNumber = NewType("ItemNumber", str)
"""`IP-yyyy-mm-nnnn`, the month in WITA: ASCII, safe in a path, a topic and a command."""

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""


FALLBACK = "cadangan"
"""The template that a screen shows by itself when it has nothing else that it may show."""


class MediaKind(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"
    DOCUMENT = "document"  # PDF


class Channel(StrEnum):
    VIDEOTRON = "videotron"
    RADIO = "radio"
    ARCHIVE = "arsip"


class Classification(StrEnum):
    """The classes of public information of UU 14/2008."""

    PERIODIC = "berkala"
    IMMEDIATE = "serta-merta"
    ANYTIME = "setiap saat"


class Priority(StrEnum):
    URGENT = "urgent"
    NORMAL = "normal"


class ItemState(StrEnum):
    ACCEPTED = "accepted"  # its window has not begun
    ACTIVE = "active"  # inside its window: may be shown and aired
    ENDED = "ended"  # its window is over
    WITHDRAWN = "withdrawn"  # taken back by a person


class DeliveryState(StrEnum):
    PLANNED = "planned"  # its renditions are wanted
    TRANSCODING = "transcoding"  # a rendition it needs is being made
    READY = "ready"  # its renditions are made and verified
    HANDED_OVER = "handed over"  # sent; the destination has not answered yet
    DELIVERED = "delivered"  # the destination holds it
    PLAYED = "played"  # proved at least once
    FAILED = "failed"  # a person must act
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"  # the item's window closed before it was played


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What ffprobe or pdfinfo measured of one file; None where the kind of media has no such thing."""

    kind: MediaKind
    container: str
    size_bytes: int
    duration_s: float | None = None
    width: int | None = None  # as displayed: rotation applied, pixels as stored
    height: int | None = None
    fps: float | None = None
    rotation: int = 0  # degrees clockwise, of the stored picture
    sample_aspect: str = "1:1"
    pixel_format: str = ""
    color_transfer: str = ""
    color_space: str = ""
    interlaced: bool = False  # or not known to be progressive
    video_codec: str = ""  # "" = no moving or still picture
    audio_codec: str = ""  # "" = no sound
    audio_channels: int | None = None
    sample_rate_hz: int | None = None
    audio_track: int = 0  # which of several sounds all this is about, counted from 0: the one marked as default
    loudness_lufs: float | None = None  # integrated; None = not measured
    true_peak_dbtp: float | None = None
    clipped: bool = False  # the waves of its sound are cut off: it was recorded too loud
    pages: int | None = None  # documents, and pictures of several pages (TIFF)

    @property
    def has_picture(self) -> bool:
        return bool(self.video_codec) or self.kind is MediaKind.DOCUMENT

    @property
    def has_sound(self) -> bool:
        return bool(self.audio_codec)

    @property
    def is_silent(self) -> bool:
        """Whether nothing can be heard in its sound: all of it is below the gate of ITU-R BS.1770 (-70 LUFS)."""
        return self.loudness_lufs is not None and self.loudness_lufs <= -69.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One approved original file. `path` is the hub's own read-only copy, named by hash."""

    sha256: Sha256
    path: Path
    original_name: str  # as dropped: display text only, never a path, an argument or a command
    media: MediaInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What the sidecar claims about the approval of the item."""

    number: str
    date: Date
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An item as it was dropped, before it is accepted and numbered."""

    title: str
    assets: tuple[Asset, ...]
    channels: frozenset[Channel]
    start: datetime  # aware, UTC
    end: datetime  # aware, UTC; the first instant at which the item may no longer be shown
    summary: str = ""
    classification: Classification | None = None
    source: str = ""
    approval: Approval | None = None
    screens: tuple[str, ...] = ()  # names of screens or groups; () = all
    days: tuple[int, ...] = ()  # ISO weekdays on which a screen shows it, Monday = 1, ascending; () = every day
    dayparts: str = ""  # "06:00-09:00, 22:00-05:00": local at each screen, in order; "" = all day
    share: int = 1  # places in one round of a screen's loop, 1 to 10
    template: str = ""  # "banjir": kept ready on the screens, shown only by an emergency order; see FALLBACK
    priority: Priority = Priority.NORMAL
    repeats: ItemNumber | None = None  # the first item with the same bytes ("siarkan ulang")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Draft):
    """One approved piece of information, accepted and numbered."""

    number: ItemNumber
    state: ItemState
    accepted_at: datetime


class Fit(StrEnum):
    FIT = "fit"  # whole picture, black bars
    FILL = "fill"  # stretched to the screen
    CROP = "crop"  # screen filled, edges cut


class Pages(StrEnum):
    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoProfile:
    """H.264 in MP4 at the exact size of a screen. Stills and PDF pages become clips of `still_s` seconds a page."""

    width: int
    height: int
    fit: Fit = Fit.FIT
    fps: int = 25
    crf: int = 23
    preset: str = "veryfast"
    max_bitrate_kbps: int = 6000
    keyframe_every_s: int = 2
    with_sound: bool = False
    still_s: float = 10.0
    pages: Pages = Pages.FIRST
    max_duration_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioProfile:
    """Stereo sound at one loudness: ebur128 measure, one gain, true-peak limit (research: EBU R128, ITU-R BS.1770)."""

    loudness_lufs: float = -16.0
    true_peak_dbtp: float = -1.5
    sample_rate_hz: int = 48000
    container: str = "wav"  # "wav" (s16le) or "mp3"
    bitrate_kbps: int = 192  # mp3 only
    min_duration_s: float = 0.5
    max_duration_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailProfile:
    """One small JPEG for lists and pages: the picture a tenth into a video, or the still itself, inside a box."""

    width: int = 480
    height: int = 270
    quality: int = 4  # ffmpeg's qscale: 2 is best, 31 worst


Profile = VideoProfile | AudioProfile | ThumbnailProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A rendition that a delivery needs: this asset in this profile."""

    asset: Sha256
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """A verified file made from an asset by a profile. `path` is read-only and named by its hash."""

    asset: Sha256
    profile: Profile
    path: Path
    sha256: Sha256
    media: MediaInfo
    loudness_lufs: float | None = None  # measured after; audio profiles only
    true_peak_dbtp: float | None = None
    limited_db: float | None = None  # how much the limiter took


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One item to be brought to one destination. `key` is unique within the plugin and makes the effect happen once."""

    key: str
    item: ItemNumber
    destination: str
    wants: tuple[Want, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentDelivery:
    """A delivery of the asking plugin, with all it needs to reconcile its destination."""

    delivery: Delivery
    state: DeliveryState
    item: Item
    renditions: tuple[Rendition, ...]  # in the order of delivery.wants; () until all are made


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The destination holds the item now."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Handed over; the receipt comes later as a `Delivered` fact (a screen may be dark for weeks)."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the hub has come with transcoding one asset just now."""

    asset: Sha256
    item: ItemNumber
    title: str
    name: str  # the asset's file as dropped: display text only
    part: float  # 0.0 to 1.0 of the making; at 1.0 what was made is being checked
    speed: float | None  # times real time; None when it cannot be told yet
    left_s: float | None  # seconds until it is done, as far as can be told; None until it is planned
    outputs: tuple[str, ...]  # what is made, in a few words each
    urgent: bool = False


class HealthState(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"  # works, but somebody should look
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    state: HealthState
    summary: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A task that the hub keeps running for a plugin until shutdown; it is cancelled to stop it."""

    name: str
    run: Callable[[], Awaitable[None]]
    stop_within: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A person's order: a row in the ledger, carried out by the daemon alone."""

    id: int
    name: str  # "videotron.clear": the part before the dot is the plugin that carries it out
    args: Mapping[str, str]
    who: str
    why: str
    given_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    done: bool
    message: str
