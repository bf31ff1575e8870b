"""Builds the ffmpeg command of one run: one decode, an output for each step. The only module that knows ffmpeg-python.

ffmpeg-python only compiles the graph to arguments; nothing from people is ever part of a filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.api.models import AudioProfile, Fit, MediaInfo, MediaKind, Profile, VideoProfile
from hub.media.details import VideoDetails
from hub.media.inputs import MAX_ALLOC_BYTES, strict_options, url
from hub.media.planner import HDR_TRANSFERS, Step, Way, pages_of
from hub.media.settings import MediaSettings

Stream = Any  # ffmpeg-python has no types

STEREO: tuple[tuple[str, tuple[int, ...], dict[str, str]], ...] = (
    ("aresample", (48000,), {}),
    ("aformat", (), {"channel_layouts": "stereo"}),
)
"""Every sound becomes stereo before it is measured: a mono file measures 3 LU too low (research: radio, section 6)."""

TONE_MAP = (
    ("zscale", {"t": "linear", "npl": 100}),
    ("format", {"pix_fmts": "gbrpf32le"}),
    ("zscale", {"p": "bt709"}),
    ("tonemap", {"tonemap": "hable", "desat": 0}),
    ("zscale", {"t": "bt709", "m": "bt709", "r": "tv"}),
)
_ALPHA = ("rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya8", "ya16", "pal8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What is done to the sound for one audio profile."""

    gain_db: float
    ceiling_dbtp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a run reads: the asset, or the drawn pages of a PDF."""

    media: MediaInfo
    paths: tuple[Path, ...]
    details: VideoDetails

    @property
    def container(self) -> str:
        return "png" if self.media.kind is MediaKind.DOCUMENT else self.media.container

    @property
    def is_still(self) -> bool:
        return self.media.kind in (MediaKind.IMAGE, MediaKind.DOCUMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One output of a run."""

    step: Step
    path: Path
    gain: Gain | None = None  # audio profiles have one


def command_for(source: Source, targets: Sequence[Target], settings: MediaSettings) -> list[str]:
    """The ffmpeg command that makes all targets from the source in one decode."""
    import ffmpeg

    inputs = [_input(ffmpeg, source, path, settings) for path in source.paths]
    pictures = [target for target in targets if _encodes_picture(target)]
    feeds = iter(_share(inputs, len(pictures), source))
    sounds = [target for target in targets if _uses_sound(target, source)]
    heard = iter(_share_sound(inputs[0], len(sounds)))
    outputs = []
    for target in targets:
        picture = next(feeds) if target in pictures else None
        sound = next(heard) if target in sounds else None
        outputs.append(_output(ffmpeg, inputs[0], picture, sound, target, source, settings))
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    compiled: list[str] = ffmpeg.compile(merged, overwrite_output=True)
    return [compiled[0], *_global_options(), *compiled[1:]]


def extension(profile: Profile) -> str:
    return "mp4" if isinstance(profile, VideoProfile) else profile.container


def sound_filter() -> str:
    """The same way to stereo, as text, for a measurement."""
    return ",".join(
        name + ("=" + ":".join([*map(str, args), *(f"{k}={v}" for k, v in options.items())]) if args or options else "")
        for name, args, options in STEREO
    )


def _global_options() -> list[str]:
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-xerror", "-progress", "pipe:1", "-stats_period", "0.5"),
        *("-max_alloc", str(MAX_ALLOC_BYTES)),
    ]


def _input(ffmpeg: Any, source: Source, path: Path, settings: MediaSettings) -> Stream:
    options: Mapping[str, str] = strict_options(source.container, settings)
    if source.is_still:
        options = {**options, "framerate": "25"} if source.container != "gif" else options
    return ffmpeg.input(url(path), **options)


def _encodes_picture(target: Target) -> bool:
    return isinstance(target.step.profile, VideoProfile) and target.step.way is Way.ENCODE


def _uses_sound(target: Target, source: Source) -> bool:
    if isinstance(target.step.profile, AudioProfile):
        return True
    return target.step.profile.with_sound and source.media.has_sound


def _share(inputs: Sequence[Stream], count: int, source: Source) -> list[list[Stream]]:
    """For each output a stream per page. A stream that several use must be split, and all of a split must be used."""
    if count == 0:
        return []
    prepared = [_upright(page["v:0"], source) for page in inputs]
    if count == 1:
        return [prepared]
    splits = [page.filter_multi_output("split", count) for page in prepared]
    return [[split[index] for split in splits] for index in range(count)]


def _share_sound(media: Stream, count: int) -> list[Stream]:
    if count == 0:
        return []
    stereo = media["a:0"]
    for name, args, options in STEREO:
        stereo = stereo.filter(name, *args, **options)
    if count == 1:
        return [stereo]
    split = stereo.filter_multi_output("asplit", count)
    return [split[index] for index in range(count)]


def _upright(picture: Stream, source: Source) -> Stream:
    """What every output needs alike: progressive, standard range, square pixels."""
    if not (source.is_still or source.details.progressive):
        picture = picture.filter("yadif", deint="interlaced")
    if source.media.color_transfer in HDR_TRANSFERS:
        for name, options in TONE_MAP:
            picture = picture.filter(name, **options)
    if source.media.pixel_format.startswith(_ALPHA):
        picture = _on_white(picture)
    if source.media.sample_aspect != "1:1":
        picture = picture.filter("scale", "trunc(iw*sar/2+0.5)*2", "ih")
    return picture


def _on_white(picture: Stream) -> Stream:
    """Lay a transparent picture on paper: each colour becomes colour * alpha + white * (1 - alpha)."""
    blend = {name: f"{name}(X,Y)*alpha(X,Y)/255+255-alpha(X,Y)" for name in ("r", "g", "b")}
    return picture.filter("format", pix_fmts="gbrap").filter("geq", **blend, a=255).filter("format", pix_fmts="gbrp")


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
        assert sound is not None and target.gain is not None  # noqa: S101, PT018 - the planner sees to it
        return ffmpeg.output(
            _levelled(sound, target.gain, profile), url(target.path), **options, **_audio_codec(profile)
        )
    if pages is None:
        streams, options = [media["v:0"]], {**options, "c:v": "copy"}
    else:
        streams, options = [_clip(ffmpeg, pages, profile, source)], {**options, **_h264(profile, settings)}
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


def _levelled(sound: Stream, gain: Gain, profile: AudioProfile) -> Stream:
    """Gain, then a limiter at 192 kHz, where it sees the peaks between the samples."""
    limit = 10 ** (gain.ceiling_dbtp / 20)
    return (
        sound.filter("volume", f"{gain.gain_db:.3f}dB")
        .filter("aresample", 192000)
        .filter("alimiter", limit=f"{limit:.6f}", level="false", attack=2, release=60)
        .filter("aresample", profile.sample_rate_hz)
    )


def _audio_codec(profile: AudioProfile) -> dict[str, Any]:
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


def _clip(ffmpeg: Any, pages: list[Stream], profile: VideoProfile, source: Source) -> Stream:
    if not source.is_still:
        return _fitted(pages[0], profile, source).filter("fps", profile.fps)
    stills = [_held(_fitted(page, profile, source), profile) for page in pages[: pages_of(source.media, profile)]]
    return stills[0] if len(stills) == 1 else ffmpeg.concat(*stills, v=1, a=0)


def _held(picture: Stream, profile: VideoProfile) -> Stream:
    frames = max(1, round(profile.still_s * profile.fps))
    looped = picture.filter("trim", end_frame=1).filter("loop", loop=frames - 1, size=1)
    return looped.filter("setpts", f"N/({profile.fps}*TB)").filter("fps", profile.fps)


def _fitted(picture: Stream, profile: VideoProfile, source: Source) -> Stream:
    """Exactly the screen's size, BT.709, limited range, square pixels."""
    width, height = profile.width, profile.height
    colours = {"out_color_matrix": "bt709", "out_range": "tv", **_unlabelled(source)}
    if profile.fit is Fit.FILL:
        fitted = picture.filter("scale", width, height, **colours)
    else:
        ratio = "decrease" if profile.fit is Fit.FIT else "increase"
        keep = {"force_original_aspect_ratio": ratio, "force_divisible_by": 2}
        fitted = picture.filter("scale", width, height, **keep, **colours)
    fitted = fitted.filter("format", pix_fmts="yuv420p")
    if profile.fit is Fit.FIT:
        fitted = fitted.filter("pad", width, height, "(ow-iw)/2", "(oh-ih)/2", "black")
    elif profile.fit is Fit.CROP:
        fitted = fitted.filter("crop", width, height)
    return fitted.filter("setsar", 1)


def _unlabelled(source: Source) -> dict[str, str]:
    """HD video without a label is BT.709 by custom; the scaler would take it for BT.601."""
    unlabelled = source.details.color_space in ("", "unknown") and source.media.pixel_format.startswith("yuv")
    is_hd = (source.media.height or 0) >= 720 and not source.is_still
    hdr = source.media.color_transfer in HDR_TRANSFERS  # labelled by the tone mapping
    return {"in_color_matrix": "bt709"} if unlabelled and is_hd and not hdr else {}
