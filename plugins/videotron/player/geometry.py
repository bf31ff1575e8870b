"""Where each pixel of a film lies on the output: 1:1 at an offset, in one piece or folded into strips. Pure."""

from __future__ import annotations

from plugins.videotron.player.settings import ScreenSettings, StripSettings

FARTHEST_PAN = 3  # mpv moves a picture by three times its own size at most


def picture_size(screen: ScreenSettings) -> tuple[int, int]:
    """Width and height of the film as it lies on the output."""
    if not screen.strips:
        return screen.width, screen.height
    return max(s.to_x + s.width for s in screen.strips), max(s.to_y + s.height for s in screen.strips)


def placement(screen: ScreenSettings) -> list[str]:
    """mpv's options that put the film there, without scaling it."""
    width, height = picture_size(screen)
    graph = _fold(screen.strips) if screen.strips else []
    options = ["--video-unscaled=yes", "--video-align-x=-1", "--video-align-y=-1"]
    options += ["--fullscreen=yes" if screen.fullscreen else "--fullscreen=no"]
    if screen.fullscreen:
        left, top = _border(screen.x, width), _border(screen.y, height)
        if left or top:
            graph.append(f"pad={width + left}:{height + top}:{left}:{top}")
        options += [_pan("x", screen.x - left, width + left), _pan("y", screen.y - top, height + top)]
    else:
        options += [f"--geometry={width}x{height}+{screen.x}+{screen.y}", "--keepaspect-window=no"]
    return [*options, *_filter(graph)]


def misfit(screen: ScreenSettings, width: int, height: int) -> str:
    """What is wrong when the output has this size; "" = the whole picture is on it, or its size is not known."""
    wide, high = picture_size(screen)
    if not width or not height or (screen.x + wide <= width and screen.y + high <= height):
        return ""
    return f"the output is {width}x{height}: the picture of {wide}x{high} at {screen.x},{screen.y} lies beyond it"


def _border(offset: int, size: int) -> int:
    """How much of the offset the film itself must carry as black, being too small to be moved so far; even."""
    return offset - offset % 2 if offset > FARTHEST_PAN * size - 1 else 0


def _pan(axis: str, offset: int, size: int) -> str:
    # mpv multiplies this by the size and drops what is behind the point: half a pixel more falls on the right one.
    return f"--video-pan-{axis}={(offset + 0.5) / size:.9f}" if offset else f"--video-pan-{axis}=0"


def _fold(strips: tuple[StripSettings, ...]) -> list[str]:
    """The filters that cut the film into its strips and lay each in its place."""
    cuts = [f"crop={s.width}:{s.height}:{s.x}:{s.y}" for s in strips]
    if len(strips) == 1:
        only = strips[0]
        pad = f"pad={only.to_x + only.width}:{only.to_y + only.height}:{only.to_x}:{only.to_y}"
        return [*cuts, *([pad] if only.to_x or only.to_y else [])]
    copies = "".join(f"[a{n}]" for n in range(len(strips)))
    pieces = "".join(f"[b{n}]" for n in range(len(strips)))
    layout = "|".join(f"{s.to_x}_{s.to_y}" for s in strips)
    chain = [f"split={len(strips)}{copies}", *(f"[a{n}]{cut}[b{n}]" for n, cut in enumerate(cuts))]
    return [";".join([*chain, f"{pieces}xstack=inputs={len(strips)}:layout={layout}:fill=black"])]


def _filter(graph: list[str]) -> list[str]:
    whole = ",".join(graph)
    return [f"--vf=lavfi=graph=%{len(whole)}%{whole}"] if whole else []
