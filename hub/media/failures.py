"""Why a rendition was not made, in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from hub.api.models import AudioProfile, MediaInfo, Profile, ThumbnailProfile
from hub.media.planner import duration_of
from hub.media.runner import Finished, Stopped
from hub.media.settings import MediaSettings

NO_SPACE = (
    "There is too little disk space to convert this file: {free} MiB are free, {needed} MiB are needed. "
    "It goes on by itself when there is space."
)
INTERRUPTED = "Converting this file was interrupted ({why}). It is tried again by itself."
TOOK_TOO_LONG = (
    "Converting this file took longer than {minutes} minutes and was ended. Cut it, or export it in a smaller size."
)
TOO_HEAVY = (
    "Converting this file was interrupted {tries} times, for want of memory or without any progress. Export it again "
    "in a smaller size (such as 1920 x 1080), or ask the technician to look into it."
)
NOT_CONVERTED = (
    "This file could not be converted, although it looked whole. Export it again as MP4 (H.264, AAC), WAV or JPG."
)


def explain(finished: Finished, settings: MediaSettings, *, transient: bool) -> tuple[str, Mapping[str, object]]:
    """The catalogue message and its values for a run that failed."""
    if transient:
        why = "disk full" if finished.disk_full else "out of memory" if finished.out_of_memory else "no progress"
        return INTERRUPTED, {"why": why}
    if finished.stopped is Stopped.DEADLINE:
        return TOOK_TOO_LONG, {"minutes": round(settings.transcode_within_s / 60)}
    return NOT_CONVERTED, {}


def values_for(media: MediaInfo, profile: Profile) -> Mapping[str, object]:
    """What fills the planner's messages (TOO_LONG, TOO_SHORT)."""
    seconds = duration_of(media, profile)
    short = isinstance(profile, AudioProfile) and seconds < profile.min_duration_s
    longest = 0.0 if isinstance(profile, ThumbnailProfile) else profile.max_duration_s
    limit = profile.min_duration_s if short and isinstance(profile, AudioProfile) else longest
    return {"seconds": round(seconds, 1), "limit": f"{limit:g}"}
