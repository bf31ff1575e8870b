"""Decide, before anything runs, how each rendition is made and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from hub.api.models import Asset, AudioProfile, MediaInfo, MediaKind, Pages, Profile, ThumbnailProfile, VideoProfile
from hub.media.details import VideoDetails
from hub.media.sizes import CONTAINER_BYTES, likely_bytes, most_bytes
from hub.media.sniff import is_animation, is_one_picture

MAX_LEVEL = 42  # 1080p at 60 pictures a second: what small players and LED processors decode in hardware
MOST_PACKETS = 15_000  # ten minutes at 25 a second: a longer film is worth its encoding
PLAIN_PROFILES = frozenset({"Constrained Baseline", "Baseline", "Main", "High"})
HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})
LOUDNESS_WITHIN_LU = 0.3  # of the profile's: nearer no gain is sure to bring it
SOUND_CODECS = {"wav": "pcm_s16le", "mp3": "mp3"}  # container -> the codec that a profile means by it


class Way(StrEnum):
    """How a rendition comes to be. A byte copy is not among them: the container is always written by us."""

    REMUX = "remux"  # the same coded picture or sound (`-c copy`), in a new container without any foreign data
    ENCODE = "encode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rendition: the way, every reason for it, how long it lasts, its likely size and the greatest possible one."""

    profile: Profile
    way: Way
    reasons: tuple[str, ...]
    duration_s: float
    expected_bytes: int
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscodePlan:
    """`runs` are the processes: each decodes the asset once for all of its steps."""

    runs: tuple[tuple[Step, ...], ...]
    impossible: tuple[tuple[Profile, str], ...]  # a profile and why the asset cannot have it

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for run in self.runs for step in run)

    @property
    def expected_bytes(self) -> int:
        return sum(step.expected_bytes for step in self.steps)

    @property
    def most_bytes(self) -> int:
        return sum(step.most_bytes for step in self.steps)


NO_PICTURE = "This file has no picture, but a screen needs one. Drop a video, a picture or a PDF."
NO_SOUND = "This file has no sound, but the radio needs it. Drop an audio file, or a video with sound."
TOO_LONG = "This recording lasts {seconds} seconds, but at most {limit} can be used there. Cut it and drop it again."
TOO_SHORT = "This recording lasts {seconds} seconds, but at least {limit} are needed there. Drop a longer one."
SWITCHED_OFF = "whatever fits is encoded too (remux_compliant = false)"  # a reason in a plan, for technicians
ODD_SIZE = "The screen's size in the settings is odd; H.264 needs an even width and height. Tell the technician."


def plan(
    asset: Asset, profiles: Sequence[Profile], details: VideoDetails | None = None, *, remux: bool = True
) -> TranscodePlan:
    """The plan for these profiles. Without `details` no picture is remuxed, and without `remux` nothing at all."""
    impossible = tuple((profile, why) for profile in profiles if (why := _obstacle(asset.media, profile)))
    hopeless = {profile for profile, _ in impossible}
    steps = [_step(asset.media, profile, details, remux=remux) for profile in profiles if profile not in hopeless]
    encoded = tuple(step for step in steps if step.way is Way.ENCODE)
    remuxed = tuple((step,) for step in steps if step.way is Way.REMUX)
    return TranscodePlan(runs=(*remuxed, *((encoded,) if encoded else ())), impossible=impossible)


def duration_of(media: MediaInfo, profile: Profile) -> float:
    """Seconds that the rendition will last. An animation is shown whole, as often as fills a still's time."""
    if is_one_picture(media) and isinstance(profile, VideoProfile):
        return profile.still_s
    if is_animation(media) and media.duration_s and isinstance(profile, VideoProfile):
        return media.duration_s * max(1, ceil(profile.still_s / media.duration_s - 0.01))
    if media.duration_s is not None:
        return media.duration_s
    return profile.still_s * pages_of(media, profile) if isinstance(profile, VideoProfile) else 0.0


def pages_of(media: MediaInfo, profile: VideoProfile | ThumbnailProfile) -> int:
    return (media.pages or 1) if isinstance(profile, VideoProfile) and profile.pages is Pages.ALL else 1


def seems_compliant(media: MediaInfo, profile: VideoProfile) -> bool:
    """Whether it is worth reading the packets: everything that `MediaInfo` knows fits, and they are not too many."""
    return not _differences(media, profile) and (media.duration_s or 0) * profile.fps <= MOST_PACKETS


def _obstacle(media: MediaInfo, profile: Profile) -> str:
    if isinstance(profile, VideoProfile | ThumbnailProfile) and not media.has_picture:
        return NO_PICTURE
    if isinstance(profile, AudioProfile) and not media.has_sound:
        return NO_SOUND
    if isinstance(profile, VideoProfile) and (profile.width % 2 or profile.height % 2):
        return ODD_SIZE
    if isinstance(profile, ThumbnailProfile):
        return ""
    if duration_of(media, profile) > profile.max_duration_s + 0.5:
        return TOO_LONG
    if isinstance(profile, AudioProfile) and duration_of(media, profile) < profile.min_duration_s:
        return TOO_SHORT
    return ""


def _step(media: MediaInfo, profile: Profile, details: VideoDetails | None, *, remux: bool) -> Step:
    reasons = _reasons(media, profile, details) if remux else (*_known_differences(media, profile), SWITCHED_OFF)
    seconds = duration_of(media, profile)
    most = most_bytes(profile, seconds)
    return Step(
        profile=profile,
        way=Way.ENCODE if reasons else Way.REMUX,
        reasons=reasons or _fitness(media, profile, details),
        duration_s=seconds,
        expected_bytes=likely_bytes(media, profile, seconds)
        if reasons
        else min(most, _remuxed(media, seconds, details)),
        most_bytes=most,
    )


def _fitness(media: MediaInfo, profile: Profile, details: VideoDetails | None) -> tuple[str, ...]:
    """Why this may be remuxed, with what was measured."""
    if not isinstance(profile, VideoProfile):
        heard = f"{media.loudness_lufs:.1f} LUFS, true peak {media.true_peak_dbtp:.1f} dBTP"
        return "already as the air needs it", f"{media.audio_codec}, {media.sample_rate_hz} Hz, stereo, {heard}"
    known = details or VideoDetails()
    coded = f"H.264 {known.h264_profile} {known.level / 10:g}, {known.bitrate_kbps} kb/s"
    shape = f"{media.width}x{media.height} at {media.fps:g} pictures a second, a keyframe each"
    return "already as the screen needs it", f"{coded}, {shape} {known.longest_keyframe_gap_s:.1f} s"


def _remuxed(media: MediaInfo, seconds: float, details: VideoDetails | None) -> int:
    kbps = details.bitrate_kbps if details else 0
    return (ceil(seconds * kbps * 125) if kbps else media.size_bytes) + CONTAINER_BYTES


def _reasons(media: MediaInfo, profile: Profile, details: VideoDetails | None) -> tuple[str, ...]:
    """Why this must be encoded; () when it may be remuxed."""
    if isinstance(profile, AudioProfile):
        return _sound_differences(media, profile)
    if isinstance(profile, ThumbnailProfile):
        return ("a thumbnail is always drawn",)
    reasons = _differences(media, profile)
    if not reasons:
        reasons = ("its details are not known",) if details is None else _finer_differences(media, details, profile)
    return reasons


def _known_differences(media: MediaInfo, profile: Profile) -> tuple[str, ...]:
    if isinstance(profile, AudioProfile):
        return _sound_differences(media, profile)
    return _differences(media, profile) if isinstance(profile, VideoProfile) else ()


def _sound_differences(media: MediaInfo, profile: AudioProfile) -> tuple[str, ...]:
    codec = SOUND_CODECS.get(profile.container, profile.container)
    checks = (
        (media.audio_codec == codec, f"sound is {media.audio_codec}, not {codec}"),
        (media.audio_channels == 2, f"{media.audio_channels} channels, not 2"),
        (media.sample_rate_hz == profile.sample_rate_hz, f"{media.sample_rate_hz} Hz, not {profile.sample_rate_hz}"),
        _bitrate_check(media, profile),
        *_loudness_checks(media, profile),
    )
    return tuple(why for fits, why in checks if not fits)


def _bitrate_check(media: MediaInfo, profile: AudioProfile) -> tuple[bool, str]:
    """A sound without compression has the bitrate that it has; a picture beside it makes the file's meaningless."""
    if profile.container != "mp3" or media.audio_codec != "mp3":
        return True, ""
    if media.has_picture or not media.duration_s:
        return False, "its bitrate is not known"
    kbps = media.size_bytes / media.duration_s / 125
    return kbps <= profile.bitrate_kbps * 1.05, f"{kbps:.0f} kb/s, above {profile.bitrate_kbps}"


def _loudness_checks(media: MediaInfo, profile: AudioProfile) -> tuple[tuple[bool, str], ...]:
    loudness, peak = media.loudness_lufs, media.true_peak_dbtp
    if loudness is None or peak is None:
        return ((False, "its loudness is not known"),)
    near = round(abs(loudness - profile.loudness_lufs), 2) <= LOUDNESS_WITHIN_LU
    return (
        (near, f"loudness is {loudness:.1f} LUFS, not {profile.loudness_lufs:g}"),
        (peak <= profile.true_peak_dbtp, f"true peak is {peak:.1f} dBTP, above {profile.true_peak_dbtp:g}"),
    )


def _differences(media: MediaInfo, profile: VideoProfile) -> tuple[str, ...]:
    if media.kind is not MediaKind.VIDEO:
        return (f"{media.kind.value} becomes a clip of {profile.still_s:g} s a page",)
    size = f"{media.width}x{media.height}"
    checks = (
        (not is_one_picture(media), f"a single picture becomes a clip of {profile.still_s:g} s"),
        (media.video_codec == "h264", f"codec is {media.video_codec}, not h264"),
        (size == f"{profile.width}x{profile.height}", f"size is {size}, not {profile.width}x{profile.height}"),
        (media.rotation == 0, f"picture is stored turned by {media.rotation} degrees"),
        (media.sample_aspect == "1:1", f"pixels are {media.sample_aspect}, not square"),
        (media.pixel_format == "yuv420p", f"pixel format is {media.pixel_format}, not yuv420p"),
        (media.color_transfer not in HDR_TRANSFERS, f"HDR ({media.color_transfer}) must be tone-mapped"),
        (_is_rate(media.fps, profile.fps), f"{media.fps or 0:g} pictures a second, not {profile.fps}"),
    )
    return tuple(why for fits, why in checks if not fits)


def _finer_differences(media: MediaInfo, details: VideoDetails, profile: VideoProfile) -> tuple[str, ...]:
    gap = details.longest_keyframe_gap_s
    checks = (
        (details.h264_profile in PLAIN_PROFILES, f"H.264 profile is {details.h264_profile or 'unknown'}"),
        (0 < details.level <= MAX_LEVEL, f"H.264 level is {details.level / 10:g}, above {MAX_LEVEL / 10:g}"),
        (details.progressive, "picture is interlaced"),
        (details.color_range in ("", "tv", "unknown"), "colours are full range"),
        (details.color_space in ("", "bt709", "unknown"), f"colour space is {details.color_space}"),
        (details.constant_rate, "frame rate is not constant"),
        (
            details.picture_s > (media.duration_s or 0) - 0.5,
            f"picture lasts {details.picture_s:.1f} s, the sound longer",
        ),
        (
            0 < details.bitrate_kbps <= profile.max_bitrate_kbps,
            f"{details.bitrate_kbps} kb/s, above {profile.max_bitrate_kbps}",
        ),
        (0 < gap <= profile.keyframe_every_s + 0.1, f"keyframes are {gap:.1f} s apart"),
    )
    return tuple(why for fits, why in checks if not fits)


def _is_rate(fps: float | None, wanted: int) -> bool:
    return fps is not None and abs(fps - wanted) < 0.001
