"""How large a rendition will be: what is likely, and what it cannot exceed. Pure."""

from __future__ import annotations

from math import ceil

from hub.api.models import AudioProfile, MediaInfo, MediaKind, Profile, VideoProfile

CONTAINER_BYTES = 65_536
AAC_KBPS = 128
COMMON_KBPS = 1850  # libx264 veryfast, crf 23, 1280x720 at 25 a second: talking heads, landscapes, captions
COMMON_PIXELS = 1280 * 720
STILL_BITS = 0.35  # a pixel of a keyframe that repeats the one before
_PICTURE_ENTRY_BYTES = 16  # of each picture, in the tables of an MP4


def likely_bytes(media: MediaInfo, profile: Profile, seconds: float) -> int:
    """What encoding this probably gives. Ordinary content: noise gives more, up to `most_bytes`, slides give less."""
    if not isinstance(profile, VideoProfile):
        return max(1, most_bytes(profile, seconds) - CONTAINER_BYTES)
    picture = _still_kbps(profile) if media.kind is not MediaKind.VIDEO else _moving_kbps(media, profile)
    sound = AAC_KBPS if profile.with_sound and media.has_sound else 0
    likely = ceil(seconds * (picture + sound) * 125) + _container_bytes(profile, seconds)
    return min(likely, most_bytes(profile, seconds))


def most_bytes(profile: Profile, seconds: float) -> int:
    """More it cannot be: x264 keeps to the greatest bitrate, and its buffer of two seconds."""
    if isinstance(profile, AudioProfile):
        rate = profile.bitrate_kbps * 125 if profile.container == "mp3" else profile.sample_rate_hz * 4
        return ceil(seconds * rate) + CONTAINER_BYTES
    if isinstance(profile, VideoProfile):
        kbps = profile.max_bitrate_kbps + (AAC_KBPS if profile.with_sound else 0)
        return ceil((seconds + 2) * kbps * 125) + _container_bytes(profile, seconds)
    return 1 << 20  # a small picture


def _moving_kbps(media: MediaInfo, profile: VideoProfile) -> float:
    pixels = profile.width * profile.height
    finer = 2.0 ** ((23 - profile.crf) / 6) * _PRESET_SIZE.get(profile.preset, 1.0)
    usual: float = COMMON_KBPS * (pixels / COMMON_PIXELS) ** 0.75 * (profile.fps / 25) ** 0.7 * finer
    if not media.duration_s:
        return usual
    # A source that needed fewer bits (slides, a fixed camera) needs few again.
    source = media.size_bytes / media.duration_s / 125
    larger = max(1.0, pixels / max(1, (media.width or 0) * (media.height or 0)))
    return min(usual, source * 1.2 * larger)


def _still_kbps(profile: VideoProfile) -> float:
    return profile.width * profile.height * STILL_BITS / 1000 / profile.keyframe_every_s


def _container_bytes(profile: VideoProfile, seconds: float) -> int:
    return CONTAINER_BYTES // 4 + ceil(seconds * profile.fps) * _PICTURE_ENTRY_BYTES


_PRESET_SIZE = {"ultrafast": 2.2, "superfast": 1.4, "faster": 1.05, "fast": 1.1, "medium": 1.1, "slow": 1.05}
