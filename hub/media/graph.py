"""Builds the ffmpeg command of one run: one decode, an output for each step. The only module that knows ffmpeg-python.

ffmpeg-python only compiles the graph to arguments; nothing from people is ever part of a filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.api.models import AudioProfile, Fit, MediaInfo, MediaKind, Profile, ThumbnailProfile, VideoProfile
from hub.media.details import VideoDetails
from hub.media.inputs import MAX_ALLOC_BYTES, strict_options, url
from hub.media.loudness import Gain
from hub.media.planner import HDR_TRANSFERS, Step, Way, duration_of, pages_of
from hub.media.r128 import METER, SPOKEN, STEREO, Filters
from hub.media.settings import MediaSettings
from hub.media.sniff import is_animation, is_drawn

Stream = Any  # ffmpeg-python has no types
KEYFRAMES = {"skip_frame:v": "nokey", "skip_loop_filter:v": "all"}  # the loop filter smooths, and finds no fault
STEREO_HZ = 48000  # STEREO brings every sound to it

TONE_MAP = (
    ("zscale", {"t": "linear", "npl": 100}),
    ("format", {"pix_fmts": "gbrpf32le"}),
    ("zscale", {"p": "bt709"}),
    ("tonemap", {"tonemap": "hable", "desat": 0}),
    ("zscale", {"t": "bt709", "m": "bt709", "r": "tv"}),
)
FILMED_HDR = {"color_primaries": "bt2020", "colorspace": "bt2020nc"}
DRAWN_HDR = {"color_primaries": "bt2020", "colorspace": "gbr", "range": "pc"}
_ALPHA = ("rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya8", "ya16", "pal8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a run reads: the asset, or what was drawn of a picture or a PDF (`hub.media.pictures.draw`)."""

    media: MediaInfo
    paths: tuple[Path, ...]
    details: VideoDetails

    @property
    def container(self) -> str:
        if not is_drawn(self.media):
            return self.media.container
        return "apng" if is_animation(self.media) else "png"

    @property
    def is_still(self) -> bool:
        return self.media.kind in (MediaKind.IMAGE, MediaKind.DOCUMENT)


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
    feeds = iter(_share(inputs, len(pictures), source))
    sounds = [target for target in targets if _decodes_sound(target, source)]
    heard = iter(_share_sound(inputs[0], len(sounds)))
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
        *("-xerror", "-progress", "pipe:1", "-stats_period", "0.5", "-max_alloc", str(MAX_ALLOC_BYTES)),
    ]


def _input(ffmpeg: Any, source: Source, path: Path, settings: MediaSettings, more: Mapping[str, str]) -> Stream:
    options: Mapping[str, str] = {**strict_options(source.container, settings), **more}
    if settings.threads:
        options = {**options, "threads": str(settings.threads)}
    if source.is_still:
        options = {**options, "framerate": "25"}
    elif source.container == "apng":
        options = {**options, "ignore_loop": "0", "max_fps": "0"}
    return ffmpeg.input(url(path), **options)


def _keyframes(ffmpeg: Any, media: Stream) -> Stream:
    return ffmpeg.output(media["v:0"].filter("showinfo"), "-", f="null", fps_mode="passthrough")


def _decodes_picture(target: Target) -> bool:
    return not isinstance(target.step.profile, AudioProfile) and target.step.way is Way.ENCODE


def _decodes_sound(target: Target, source: Source) -> bool:
    if isinstance(target.step.profile, AudioProfile):
        return target.step.way is Way.ENCODE
    return isinstance(target.step.profile, VideoProfile) and target.step.profile.with_sound and source.media.has_sound


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
    stereo = _through(media["a:0"], STEREO)
    if count == 1:
        return [stereo]
    split = stereo.filter_multi_output("asplit", count)
    return [split[index] for index in range(count)]


def _through(stream: Stream, filters: Filters) -> Stream:
    for name, args, options in filters:
        stream = stream.filter(name, *args, **options)
    return stream


def _upright(picture: Stream, source: Source) -> Stream:
    """What every output needs alike: progressive, standard range, square pixels."""
    if is_drawn(source.media):
        return _tone_mapped(picture, DRAWN_HDR, source)
    if not source.details.progressive:
        picture = picture.filter("yadif", deint="interlaced")
    picture = _tone_mapped(picture, FILMED_HDR, source)
    if source.media.pixel_format.startswith(_ALPHA):
        picture = _on_white(picture)
    if source.media.sample_aspect != "1:1":
        picture = picture.filter("scale", "trunc(iw*sar/2+0.5)*2", "ih")
    return picture


def _tone_mapped(picture: Stream, colours: Mapping[str, str], source: Source) -> Stream:
    """Standard range, as ITU-R BT.709 has it. Labels that are missing are taken for those of ITU-R BT.2100."""
    if source.media.color_transfer not in HDR_TRANSFERS:
        return picture
    if source.media.color_space not in ("", "unknown", "reserved"):
        colours = {name: value for name, value in colours.items() if name != "colorspace"}
    picture = picture.filter("setparams", color_trc=source.media.color_transfer, **colours)
    for name, options in TONE_MAP:
        picture = picture.filter(name, **options)
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
        levelled = media["a:0"] if sound is None else _levelled(sound, target, profile)
        return ffmpeg.output(levelled, url(target.path), **options, **_audio_codec(profile, copy=sound is None))
    if isinstance(profile, ThumbnailProfile):
        assert pages is not None  # noqa: S101 - a thumbnail is always encoded
        picture = _thumbnail(pages[0], profile, target.step.duration_s, source)
        return ffmpeg.output(picture, url(target.path), **_jpeg(profile))
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


def _thumbnail(picture: Stream, profile: ThumbnailProfile, duration_s: float, source: Source) -> Stream:
    """The picture a tenth into the video: the first one is often black. Full range, as JPEG has it."""
    if duration_s and not source.is_still:
        picture = picture.filter("trim", start=f"{duration_s / 10:.3f}")
    small = {"force_original_aspect_ratio": "decrease", "out_range": "pc", "out_color_matrix": "bt601"}
    picture = picture.filter("scale", profile.width, profile.height, **small, **_unlabelled(source))
    return picture.filter("format", pix_fmts="yuvj420p").filter("setsar", 1)


def _jpeg(profile: ThumbnailProfile) -> dict[str, Any]:
    still = {"frames:v": 1, "c:v": "mjpeg", "q:v": profile.quality, "f": "image2", "update": 1}
    return {**still, "map_metadata": -1, "fflags": "+bitexact", "flags": "+bitexact"}


def _clip(ffmpeg: Any, pages: list[Stream], profile: VideoProfile, source: Source) -> Stream:
    if is_animation(source.media):
        frames = round(duration_of(source.media, profile) * profile.fps)
        return _fitted(pages[0], profile, source).filter("fps", profile.fps).filter("trim", end_frame=max(1, frames))
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
