"""Look at a picture, or draw it anew, with Pillow in the jail: upright, in sRGB, on white, as plain PNG.

Run as a file by `hub.media.pictures` (`python -I -S drawing.py ...`). It imports what it needs, puts itself in the
jail, and only then opens the picture: of the whole system it sees that one file and the folder it draws in. The one
decoder that the container needs is called by name, so that no other ever meets the bytes. Arguments: those of
`jail.py`, `--`, and

    library=PATH      where Python finds the hub, Pillow and pillow-heif; may be given several times
    container= path= pixels=   what to open, and the most pixels it may have
    report=1          only print which containers cannot be read here, a line each; nothing is opened
    pages=            look at this many pages at most; 0: all
    folder= width= height= animated=   draw into `folder`, no smaller than covers `width` x `height`; else look only

Prints one line of JSON (`hub.media.pictures.Facts`). Exit code 3: damaged, or of a kind that Pillow cannot read;
4: more pixels than allowed.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

DAMAGED, TOO_LARGE = 3, 4
DECODERS = {
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "png": ("PIL.PngImagePlugin", "PngImageFile"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "heic": ("pillow_heif", "HeifImageFile"),
}
ANIMATED = frozenset({"png", "webp", "gif", "avif"})
ORIENTATION, SUBFILE_TYPE, X_RESOLUTION, Y_RESOLUTION = 0x0112, 254, 282, 283  # EXIF and TIFF tags
TRANSFERS = {16: "smpte2084", 18: "arib-std-b67"}  # ITU-T H.273, table 3
UNSEEN_MS, USUAL_MS = 10, 100  # a frame that asks for 10 ms or less gets 100 ms, as in every browser

Picture = Any  # PIL.Image.Image: its classes exist only once `library` is known


def main(words: list[str]) -> None:
    end = words.index("--")
    options = [word.partition("=")[::2] for word in words[end + 1 :]]
    one = dict(options)
    sys.path += [path for name, path in options if name == "library"]
    if one.get("report") == "1":
        print("\n".join(unreadable()))  # noqa: T201 - the parent reads it
        return
    # All that a decoder imports only while it works; in the jail it would be out of reach.
    import copy  # noqa: F401

    from PIL import Image, ImageCms, ImageColor, ImagePalette, TiffImagePlugin  # noqa: F401

    Image.preinit()  # `save` would do it

    decoder = getattr(import_module(DECODERS[one["container"]][0]), DECODERS[one["container"]][1])
    from hub.media import easel, jail

    jail.enter(words[:end])
    Image.MAX_IMAGE_PIXELS = int(one["pixels"])
    try:
        with open(one["path"], "rb") as file:  # noqa: PTH123 - pathlib is a third of the start-up time
            paper = None
            if "folder" in one:
                paper = (easel.Film if one["animated"] == "1" else easel.Pages)(one["folder"])
            facts = _look_or_draw(decoder(file), one, paper)
    except _TooLargeError:
        sys.exit(TOO_LARGE)
    except Exception as error:  # noqa: BLE001 - whatever a decoder stumbles over is the file's fault
        print(f"{type(error).__name__}: {error}"[:300], file=sys.stderr)  # noqa: T201 - the parent reads it
        sys.exit(DAMAGED)
    print(json.dumps(facts))  # noqa: T201 - the parent reads it


class _TooLargeError(Exception):
    """More pixels than allowed."""


def unreadable() -> list[str]:
    """The containers that nothing installed here can read."""
    return [container for container, decoder in DECODERS.items() if not _is_there(*decoder)]


def _is_there(module: str, name: str) -> bool:
    try:
        if module == "pillow_heif":
            import_module("_pillow_heif")  # without it pillow_heif can be imported all the same
        found = import_module(module)
    except ImportError:
        return False
    return hasattr(found, name) and bool(getattr(found, "SUPPORTED", True))


def _look_or_draw(picture: Picture, one: dict[str, str], paper: Any) -> dict[str, object]:
    container, pixels = one["container"], int(one["pixels"])
    cover = int(one.get("width") or 0), int(one.get("height") or 0)
    facts: dict[str, object] = {}
    times = []
    for frame in _frames(picture, container, pixels, int(one.get("pages") or 0)):
        orientation = _orientation(frame)
        facts = facts or _facts(frame, orientation, one)
        times.append(_milliseconds(frame))
        if paper is not None:
            paper.add(_plain(frame, orientation, container, cover), times[-1])
    if not times:
        raise ValueError("no picture in it")
    if paper is not None:
        paper.finish()
    pages = len(times) if container == "tiff" else 1
    return {**facts, "pages": pages, "frames": len(times) // pages, "duration_ms": sum(times)}


def _frames(picture: Picture, container: str, pixels: int, most: int) -> Iterator[Picture]:
    """Each picture of an animation, each page of a TIFF, decoded; of all else the one that the file calls its own."""
    wanted = 0
    for number in range(sys.maxsize):
        if picture.width * picture.height > pixels:
            raise _TooLargeError
        if _counts(picture, container, number):
            picture.load()
            wanted += 1
            yield picture
        if container not in (*ANIMATED, "tiff") or wanted == most > 0 or not _next(picture, container, number + 1):
            return


def _counts(picture: Picture, container: str, number: int) -> bool:
    """Not the thumbnail or mask inside a TIFF, nor the picture that an APNG keeps for those who cannot play it."""
    if container == "tiff":
        return not int(picture.tag_v2.get(SUBFILE_TYPE, 0)) & 5
    return not (container == "png" and number == 0 and picture.n_frames > 1 and picture.default_image)


def _next(picture: Picture, container: str, number: int) -> bool:
    if container not in ("gif", "tiff"):
        if number < picture.n_frames:
            picture.seek(number)
            return True
        return False
    try:
        picture.seek(number)
    except EOFError:
        return False
    return True


def _facts(picture: Picture, orientation: int, one: dict[str, str]) -> dict[str, object]:
    width, height = _square(picture, one["container"])
    return {
        "width": height if orientation > 4 else width,
        "height": width if orientation > 4 else height,
        "rotation": {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(orientation, 0),
        "mode": picture.mode,
        "transfer": _transfer(picture, one["path"]),
    }


def _orientation(picture: Picture) -> int:
    try:
        found = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged notes about a picture do not damage the picture
        return 1
    return found if found in range(1, 9) else 1


def _transfer(picture: Picture, path: str) -> str:
    """ "" unless it is HDR: the `nclx` colours of HEIF and AVIF, which Pillow does not tell of the latter."""
    with open(path, "rb") as file:  # noqa: PTH123 - see above
        head = file.read(1 << 16)
    at = head.find(b"colrnclx") if head[4:8] == b"ftyp" and "icc_profile" not in picture.info else -1
    return TRANSFERS.get(int.from_bytes(head[at + 10 : at + 12], "big"), "") if at >= 0 else ""


def _milliseconds(picture: Picture) -> int:
    asked = round(picture.info.get("duration") or 0)
    return min(asked, 60_000) if asked > UNSEEN_MS else USUAL_MS


def _plain(picture: Picture, orientation: int, container: str, cover: tuple[int, int]) -> Picture:
    """The picture in 8-bit sRGB, upright, without alpha, no larger than it has to be."""
    from PIL import Image

    profile = picture.info.get("icc_profile")
    turned = (cover[1], cover[0]) if orientation > 4 else cover
    size = _square(picture, container)
    share = max(turned[0] / size[0], turned[1] / size[1])
    wanted = size if share >= 1 else (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    plain = _on_white(_eight_bit(picture))
    if plain.size != wanted:
        plain = plain.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    plain = _in_srgb(plain, profile)
    turn = (None, *(Image.Transpose(number) for number in (0, 3, 1, 5, 4, 6, 2)))[orientation - 1]
    return plain if turn is None else plain.transpose(turn)


def _square(picture: Picture, container: str) -> tuple[int, int]:
    """The size with square pixels: a page from a fax machine has 204 dots an inch across, and 98 down."""
    width, height = picture.size
    if container != "tiff":
        return width, height
    try:
        ratio = float(picture.tag_v2[Y_RESOLUTION]) / float(picture.tag_v2[X_RESOLUTION])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return width, height
    return (width, max(1, round(height / ratio))) if 0.25 < ratio < 0.9 else (width, height)


def _eight_bit(picture: Picture) -> Picture:
    if not picture.mode.startswith(("I", "F")):
        return picture
    high = picture.getextrema()[1]
    top = 1 if high <= 1 else 255 if high <= 255 and picture.mode != "I;16" else 65535
    if picture.mode.startswith("I;16"):
        return picture.point(lambda value: value * (1 / 257)).convert("L") if top == 65535 else picture.convert("L")
    return picture.point(lambda value: value * (255 / top) + 0).convert("L")


def _on_white(picture: Picture) -> Picture:
    from PIL import Image

    if picture.mode in ("1", "P", "PA", "La", "RGBa", "RGBX", "HSV") and not picture.has_transparency_data:
        return picture.convert("L" if picture.mode == "1" else "RGB")
    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    paper = Image.new("RGB", layer.size, "white")
    paper.paste(layer, mask=layer.getchannel("A"))
    return paper


def _in_srgb(picture: Picture, profile: bytes | None) -> Picture:
    """As the picture's own colour profile means it; without one, or with a broken one, as it stands."""
    from PIL import ImageCms

    if picture.mode != "LAB" and not profile:
        return picture.convert("RGB")
    try:
        space = ImageCms.ImageCmsProfile(
            ImageCms.createProfile("LAB") if picture.mode == "LAB" else io.BytesIO(profile or b"")
        )
        if space.profile.xcolor_space.strip() == "RGB":
            picture = picture.convert("RGB")
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        drawn = ImageCms.profileToProfile(
            picture, space, ImageCms.createProfile("sRGB"), intent, outputMode="RGB", flags=flags
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture.convert("RGB")
    return drawn


if __name__ == "__main__":
    main(sys.argv[1:])
