"""The filters that bring a picture to a screen: upright, progressive, opaque, standard range, the exact size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from hub.api.models import Fit, MediaInfo, MediaKind, ThumbnailProfile, VideoProfile
from hub.media.details import VideoDetails
from hub.media.planner import HDR_TRANSFERS, duration_of, pages_of
from hub.media.sniff import is_animation, is_drawn

Stream = Any  # ffmpeg-python has no types

MUCH_SMALLER = Fraction(3, 4)
REFERENCE_WHITE = 203  # cd/m2 of paper in an HDR picture (ITU-R BT.2408): what a screen's own white is
BRIGHTEST = 1000 / REFERENCE_WHITE  # what is shown as full white; few films are graded brighter
TONE_MAP = (
    ("zscale", {"t": "linear", "npl": REFERENCE_WHITE}),
    ("format", {"pix_fmts": "gbrpf32le"}),
    ("zscale", {"p": "bt709"}),
    ("tonemap", {"tonemap": "mobius", "param": 0.3, "peak": f"{BRIGHTEST:.3f}", "desat": 0}),
    ("zscale", {"t": "bt709", "m": "bt709", "r": "tv"}),
)
FILMED_HDR = {"color_primaries": "bt2020", "colorspace": "bt2020nc"}
DRAWN_HDR = {"color_primaries": "bt2020", "colorspace": "gbr", "range": "pc"}
_FILMED = ("yuv420p", "yuv422p", "yuv411p", "yuv444p")
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
    def decoder(self) -> str | None:
        """The decoder of the picture, where it is not the usual one: only libvpx sees the alpha of WebM."""
        if self.media.pixel_format != "yuva420p":
            return None
        return {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(self.media.video_codec)

    @property
    def is_still(self) -> bool:
        return self.media.kind in (MediaKind.IMAGE, MediaKind.DOCUMENT)


def upright(ffmpeg: Any, picture: Stream, source: Source, cover: tuple[int, int], *, screens: int) -> Stream:
    """What every output needs alike: progressive, standard range, opaque; none of the `screens` exceeds `cover`."""
    media = source.media
    if is_drawn(media):
        return _tone_mapped(picture, DRAWN_HDR, source)
    if min(media.width or 0, media.height or 0) > 2 and (media.interlaced or media.pixel_format.startswith(_FILMED)):
        # A stream may be called progressive and still hold interlaced pictures; others pass this filter untouched.
        picture = picture.filter("yadif", deint="interlaced")
    if media.color_transfer in HDR_TRANSFERS:
        picture = _tone_mapped(_no_larger(picture, media, cover), FILMED_HDR, source)
    elif screens > 1:
        picture = _shared_size(picture, media, cover)
    return _on_white(ffmpeg, picture) if media.pixel_format.startswith(_ALPHA) else picture


def clip(ffmpeg: Any, pages: Sequence[Stream], profile: VideoProfile, source: Source) -> Stream:
    """The moving picture of one screen, as long as the plan says."""
    if source.is_still:
        stills = [_held(_fitted(page, profile, source), profile) for page in pages[: pages_of(source.media, profile)]]
        return stills[0] if len(stills) == 1 else ffmpeg.concat(*stills, v=1, a=0)
    frames = max(1, round(duration_of(source.media, profile) * profile.fps))
    # The first picture stands from the beginning and the last one to the end, however long the sound is.
    constant = _fitted(pages[0], profile, source).filter("fps", profile.fps, start_time=0)
    if not is_animation(source.media):
        constant = constant.filter("tpad", stop=-1, stop_mode="clone")
    return constant.filter("trim", end_frame=frames)


def thumbnail(picture: Stream, profile: ThumbnailProfile, duration_s: float, source: Source) -> Stream:
    """The picture a tenth into the video: the first one is often black. Full range, as JPEG has it."""
    if duration_s and not source.is_still:
        picture = picture.filter("trim", start=f"{duration_s / 10:.3f}")
        picture = picture.filter("trim", end_frame=1)  # or every picture behind it would be scaled, too
    labels = {"out_range": "pc", "out_color_matrix": "bt601", **_unlabelled(source)}
    return (
        picture.filter("scale", *_inside(profile.width, profile.height), **labels)
        .filter("format", pix_fmts="yuvj420p")
        .filter("setsar", 1)
    )


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


def _shared_size(picture: Stream, media: MediaInfo, cover: tuple[int, int]) -> Stream:
    """For several screens: the largest size once, from which the smaller ones are made, where that saves much."""
    width, height = media.width or 1, media.height or 1
    share = max(Fraction(cover[0], width), Fraction(cover[1], height))
    if share > MUCH_SMALLER or media.sample_aspect != "1:1":
        return picture
    size = [2 * ceil(side * share / 2) for side in (width, height)]
    return picture.filter("scale", *size, force_original_aspect_ratio="increase", force_divisible_by=2)


def _no_larger(picture: Stream, media: MediaInfo, cover: tuple[int, int]) -> Stream:
    """Smaller before the costly part, in the picture's own pixels, colours and range."""
    width, height = media.width or 1, media.height or 1
    share = max(cover[0] / width, cover[1] / height)
    if share >= 0.9:
        return picture
    return picture.filter("scale", f"trunc(iw*{share:.5f}/2+1)*2", f"trunc(ih*{share:.5f}/2+1)*2")


def _on_white(ffmpeg: Any, picture: Stream) -> Stream:
    """Lay a transparent picture on paper of its own size and times."""
    split = picture.filter("format", pix_fmts="gbrap").filter_multi_output("split", 2)
    paper = split[0].filter("lutrgb", r=255, g=255, b=255, a=255)
    return ffmpeg.overlay(paper, split[1], format="gbrp", eof_action="endall").filter("format", pix_fmts="gbrp")


def _held(picture: Stream, profile: VideoProfile) -> Stream:
    frames = max(1, round(profile.still_s * profile.fps))
    looped = picture.filter("trim", end_frame=1).filter("loop", loop=frames - 1, size=1)
    return looped.filter("setpts", f"N/({profile.fps}*TB)").filter("fps", profile.fps)


def _fitted(picture: Stream, profile: VideoProfile, source: Source) -> Stream:
    """Exactly the screen's size, BT.709, limited range, square pixels."""
    width, height = profile.width, profile.height
    size: tuple[object, object] = (width, height)
    if profile.fit is Fit.FIT:
        size = _inside(width, height)
    elif profile.fit is Fit.CROP:
        picture = picture.filter(
            "crop", f"min(iw,max(2,ih*{width}/{height}/sar))", f"min(ih,max(2,iw*sar*{height}/{width}))"
        )
    colours = {"out_color_matrix": "bt709", "out_range": "tv", **_unlabelled(source)}
    if (source.media.height or 0) > 16 * height or (source.media.width or 0) > 16 * width:
        colours["flags"] = "area"  # the usual one reaches no further, and refuses
    fitted = picture.filter("scale", *size, **colours).filter("format", pix_fmts="yuv420p")
    if profile.fit is Fit.FIT:
        fitted = fitted.filter("pad", width, height, "(ow-iw)/2", "(oh-ih)/2", "black")
    return fitted.filter("setsar", 1)


def _inside(width: int, height: int) -> tuple[str, str]:
    """The largest even size of the picture's own shape within these, whatever the shape of its pixels."""
    return (
        f"max(2,min({width},2*round({height}*dar/2)))",
        f"max(2,min({height},2*round({width}/dar/2)))",
    )


def _unlabelled(source: Source) -> dict[str, str]:
    """HD video without a label is BT.709 by custom; the scaler would take it for BT.601."""
    unlabelled = source.details.color_space in ("", "unknown") and source.media.pixel_format.startswith("yuv")
    is_hd = (source.media.height or 0) >= 720 and not source.is_still
    hdr = source.media.color_transfer in HDR_TRANSFERS  # labelled by the tone mapping
    return {"in_color_matrix": "bt709"} if unlabelled and is_hd and not hdr else {}
