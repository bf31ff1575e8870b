"""Builds the ffmpeg command of one run: one decode, an output for each step. The only module that knows ffmpeg-python.

ffmpeg-python only compiles the graph to arguments; nothing from people is ever part of a filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.api.models import AudioProfile, Profile, ThumbnailProfile, VideoProfile
from hub.media.canvas import Source, Stream, clip, thumbnail, upright
from hub.media.inputs import MAX_ALLOC_BYTES, strict_options, url
from hub.media.loudness import Gain
from hub.media.planner import Step, Way
from hub.media.r128 import METER, SPOKEN, STEREO, Filters
from hub.media.settings import MediaSettings

KEYFRAMES = {
    "skip_frame:v": "nokey",
    "skip_loop_filter:v": "all",
    "threads:v": "1",
}  # the loop filter smooths, and finds no fault
STEREO_HZ = 48000  # STEREO brings every sound to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One output of a run."""

    step: Step
    path: Path
    gain: Gain | None = None  # audio profiles that are encoded have one
    meter: bool = False  # let the run say how loud it came out (`r128.readings`)


def command_for(source: Source, targets: Sequence[Target], settings: MediaSettings) -> list[str]:
    """The ffmpeg command that makes all targets from the source in one decode."""
    import ffmpeg

    more = KEYFRAMES if passes_through(targets) and not settings.verify_every_frame else {}
    inputs = [_input(ffmpeg, source, path, settings, more) for path in source.paths]
    pictures = [target for target in targets if _decodes_picture(target)]
    feeds = iter(_share(ffmpeg, inputs, pictures, source))
    sounds = [target for target in targets if _decodes_sound(target, source)]
    heard = iter(_share_sound(inputs[0], len(sounds), source))
    outputs = []
    for target in targets:
        picture = next(feeds) if target in pictures else None
        sound = next(heard) if target in sounds else None
        outputs.append(_output(ffmpeg, inputs[0], picture, sound, target, source, settings))
    if passes_through(targets):
        outputs.append(_keyframes(ffmpeg, inputs[0]))
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    compiled: list[str] = ffmpeg.compile(merged, overwrite_output=True)
    return [compiled[0], *_global_options(targets), *compiled[1:]]


def passes_through(targets: Sequence[Target]) -> bool:
    """Whether the picture is only copied: then the run shows its keyframes to whoever verifies it (`verify.seen`)."""
    return all(target.step.way is Way.REMUX and isinstance(target.step.profile, VideoProfile) for target in targets)


def extension(profile: Profile) -> str:
    if isinstance(profile, AudioProfile):
        return profile.container
    return "mp4" if isinstance(profile, VideoProfile) else "jpg"


def _global_options(targets: Sequence[Target]) -> list[str]:
    speaks = passes_through(targets) or any(target.meter for target in targets)
    return [
        *("-nostdin", "-hide_banner", *(SPOKEN if speaks else ("-v", "error"))),
        *("-xerror", "-progress", "pipe:1", "-stats_period", "1", "-max_alloc", str(MAX_ALLOC_BYTES)),
    ]


def _input(ffmpeg: Any, source: Source, path: Path, settings: MediaSettings, more: Mapping[str, str]) -> Stream:
    options: Mapping[str, str] = {**strict_options(source.container, settings), **more}
    if settings.threads and not more:
        options = {**options, "threads": str(settings.threads)}
    if source.decoder is not None:
        options = {**options, "c:v": source.decoder}
    if source.is_still:
        options = {**options, "framerate": "25"}
    elif source.container == "apng":
        options = {**options, "ignore_loop": "0", "max_fps": "0"}
    return ffmpeg.input(url(path), **options)


def _keyframes(ffmpeg: Any, media: Stream) -> Stream:
    return ffmpeg.output(media["V:0"].filter("showinfo"), "-", f="null", fps_mode="passthrough")


def _decodes_picture(target: Target) -> bool:
    return not isinstance(target.step.profile, AudioProfile) and target.step.way is Way.ENCODE


def _decodes_sound(target: Target, source: Source) -> bool:
    if isinstance(target.step.profile, AudioProfile):
        return target.step.way is Way.ENCODE
    return isinstance(target.step.profile, VideoProfile) and target.step.profile.with_sound and source.media.has_sound


def _share(ffmpeg: Any, inputs: Sequence[Stream], targets: Sequence[Target], source: Source) -> list[list[Stream]]:
    """For each output a stream per page. A stream that several use must be split, and all of a split must be used."""
    sizes = [target.step.profile for target in targets if not isinstance(target.step.profile, AudioProfile)]
    if not sizes:
        return []
    cover = max(one.width for one in sizes), max(one.height for one in sizes)
    screens = sum(isinstance(one, VideoProfile) for one in sizes)
    prepared = [upright(ffmpeg, page["V:0"], source, cover, screens=screens) for page in inputs]
    if len(sizes) == 1:
        return [prepared]
    splits = [page.filter_multi_output("split", len(sizes)) for page in prepared]
    return [[split[index] for split in splits] for index in range(len(sizes))]


def _share_sound(media: Stream, count: int, source: Source) -> list[Stream]:
    if count == 0:
        return []
    stereo = _through(media[f"a:{source.media.audio_track}"], STEREO)
    if count == 1:
        return [stereo]
    split = stereo.filter_multi_output("asplit", count)
    return [split[index] for index in range(count)]


def _through(stream: Stream, filters: Filters) -> Stream:
    for name, args, options in filters:
        stream = stream.filter(name, *args, **options)
    return stream


def _output(
    ffmpeg: Any,
    media: Stream,
    pages: list[Stream] | None,
    sound: Stream | None,
    target: Target,
    source: Source,
    settings: MediaSettings,
) -> Stream:
    profile = target.step.profile
    options = _common_options(target)
    if isinstance(profile, AudioProfile):
        levelled = media[f"a:{source.media.audio_track}"] if sound is None else _levelled(sound, target, profile)
        return ffmpeg.output(levelled, url(target.path), **options, **_audio_codec(profile, copy=sound is None))
    if isinstance(profile, ThumbnailProfile):
        assert pages is not None  # noqa: S101 - a thumbnail is always encoded
        picture = thumbnail(pages[0], profile, target.step.duration_s, source)
        return ffmpeg.output(picture, url(target.path), **_jpeg(profile))
    if pages is None:
        streams, options = [media["V:0"]], {**options, "c:v": "copy"}
    else:
        streams, options = [clip(ffmpeg, pages, profile, source)], {**options, **_h264(profile, settings)}
    if sound is not None:
        streams, options = [*streams, sound], {**options, "c:a": "aac", "b:a": "128k", "ar": 48000, "ac": 2}
    return ffmpeg.output(*streams, url(target.path), **options, movflags="+faststart", write_tmcd=0, f="mp4")


def _common_options(target: Target) -> dict[str, Any]:
    return {
        "t": f"{target.step.duration_s + 1:.3f}",  # behind -i: in front of it a time gap makes ffmpeg hang
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
    }


def _levelled(sound: Stream, target: Target, profile: AudioProfile) -> Stream:
    """Gain; where peaks would come too high a limiter at 192 kHz, where it sees them between the samples."""
    gain = target.gain
    assert gain is not None  # noqa: S101 - whoever encodes a sound has measured it
    levelled = sound.filter("volume", f"{gain.gain_db:.3f}dB")
    if gain.limits:
        limit = f"{10 ** (gain.ceiling_dbtp / 20):.6f}"
        levelled = levelled.filter("aresample", 192000)
        levelled = levelled.filter("alimiter", limit=limit, level="false", attack=2, release=60)
    if gain.limits or profile.sample_rate_hz != STEREO_HZ:
        levelled = levelled.filter("aresample", profile.sample_rate_hz)
    return _through(levelled, METER) if target.meter else levelled


def _audio_codec(profile: AudioProfile, *, copy: bool) -> dict[str, Any]:
    if copy:
        return {"c:a": "copy", "f": profile.container, **({"id3v2_version": 0} if profile.container == "mp3" else {})}
    common = {"ar": profile.sample_rate_hz, "ac": 2, "flags": "+bitexact", "f": profile.container}
    if profile.container == "mp3":
        return {**common, "c:a": "libmp3lame", "b:a": f"{profile.bitrate_kbps}k", "id3v2_version": 0}
    return {**common, "c:a": "pcm_s16le"}


def _h264(profile: VideoProfile, settings: MediaSettings) -> dict[str, Any]:
    return {
        "c:v": "libx264",
        "preset": profile.preset,
        "crf": profile.crf,
        "profile:v": "high",
        "pix_fmt": "yuv420p",
        "maxrate": f"{profile.max_bitrate_kbps}k",
        "bufsize": f"{2 * profile.max_bitrate_kbps}k",
        "g": profile.fps * profile.keyframe_every_s,
        "r": profile.fps,
        "flags": "+bitexact",
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
        **({"threads": settings.threads} if settings.threads else {}),
    }


def _jpeg(profile: ThumbnailProfile) -> dict[str, Any]:
    still = {"frames:v": 1, "c:v": "mjpeg", "q:v": profile.quality, "f": "image2", "update": 1}
    return {**still, "map_metadata": -1, "fflags": "+bitexact", "flags": "+bitexact"}
