"""What deciding between remux and encode needs to know of a video, beyond `MediaInfo`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hub.api.models import Asset, MediaInfo
from hub.media.headers import first, read_streams, unbelieved
from hub.media.settings import MediaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDetails:
    """Facts of the first video stream; the gaps are in seconds, from its packets."""

    h264_profile: str = ""
    level: int = 0  # 41 is 4.1
    progressive: bool = False
    color_space: str = ""
    color_range: str = ""
    bitrate_kbps: int = 0
    longest_keyframe_gap_s: float = 0.0
    constant_rate: bool = False
    picture_s: float = 0.0  # from the first picture to the end of the last one: the sound may be longer


def basic_details(media: MediaInfo) -> VideoDetails:
    """What a decode needs to know, from what was measured before."""
    return VideoDetails(progressive=not media.interlaced, color_space=media.color_space)


async def read_details(asset: Asset, settings: MediaSettings, *, packets: bool) -> VideoDetails:
    """Ask ffprobe; with `packets` also walk them for keyframes and the constancy of the frame rate.

    Raises: Refusal, RetryLater.
    """
    more = ("-show_packets", "-select_streams", "V:0") if packets else ("-select_streams", "V:0")
    entries = (
        "packet=pts_time,duration_time,size,flags:stream:stream_disposition:format" if packets else "stream:format"
    )
    with tempfile.TemporaryDirectory(prefix="siarhub-probe-") as folder:
        found = await read_streams(
            asset.path, Path(folder), asset.media.container, settings, *more, "-show_entries", entries
        )
    with unbelieved():
        stream = first(found["streams"], "video") or {}
        details = VideoDetails(
            h264_profile=str(stream.get("profile", "")),
            level=int(stream.get("level") or 0),
            progressive=stream.get("field_order", "progressive") == "progressive",
            color_space=str(stream.get("color_space", "")),
            color_range=str(stream.get("color_range", "")),
        )
        return _with_packets(details, found.get("packets", []), asset.media.fps) if packets else details


def _with_packets(details: VideoDetails, packets: Sequence[Mapping[str, Any]], fps: float | None) -> VideoDetails:
    times = sorted(float(packet["pts_time"]) for packet in packets if "pts_time" in packet)
    keys = sorted(
        float(packet["pts_time"]) for packet in packets if "K" in packet.get("flags", "") and "pts_time" in packet
    )
    if len(times) < 2 or not keys or not fps or len(times) != len(packets):
        return details
    step = 1 / fps
    length = times[-1] - times[0] + step
    marks = [*keys, times[-1] + step]
    return VideoDetails(
        h264_profile=details.h264_profile,
        level=details.level,
        progressive=details.progressive,
        color_space=details.color_space,
        color_range=details.color_range,
        bitrate_kbps=round(sum(int(packet.get("size", 0)) for packet in packets) * 8 / length / 1000),
        longest_keyframe_gap_s=max(later - sooner for sooner, later in pairwise(marks)),
        picture_s=length,
        constant_rate=all(abs(later - sooner - step) < step / 4 for sooner, later in pairwise(times)),
    )
