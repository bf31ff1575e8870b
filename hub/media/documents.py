"""PDF posters: looked at by pdfinfo, turned into pictures by pdftoppm, both confined."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.api.models import MediaInfo, MediaKind
from hub.media.blame import blamed
from hub.media.inputs import absolute
from hub.media.runner import Finished, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.messages import Refusal

LONGEST_SIDE = 4096


async def read_document(path: Path, folder: Path, size_bytes: int, settings: MediaSettings) -> MediaInfo:
    """Pages and the size of the first one, in points. A page of it is drawn, so that a damaged PDF is found now.

    One that may be opened but not changed or printed (an owner's password) is taken like any other.
    Raises: Refusal (a password is needed to open it, damaged, too many pages), RetryLater.
    """
    facts = _facts(await _poppler(["pdfinfo", absolute(path)], path, folder, settings))
    pages = _count(facts.get("Pages", ""))
    if pages < 1:
        raise _damaged()
    if pages > settings.max_pages:
        raise Refusal(
            "This PDF has {pages} pages; at most {limit} can be shown. Save only the pages that matter.",
            pages=pages,
            limit=settings.max_pages,
        )
    width, height = _page_size(facts)
    await draw_pages(path, folder, pages=1, longest_side=64, settings=settings)
    return MediaInfo(
        kind=MediaKind.DOCUMENT, container="pdf", size_bytes=size_bytes, width=width, height=height, pages=pages
    )


async def draw_pages(path: Path, folder: Path, *, pages: int, longest_side: int, settings: MediaSettings) -> list[Path]:
    """The first `pages` pages as PNG files in `folder`, in order, each with `longest_side` pixels at most.

    Raises: Refusal, RetryLater.
    """
    side = str(min(longest_side, LONGEST_SIDE))
    # The crop box is what every viewer shows: outside of it are the bleed and the marks for a print shop.
    how = ("-png", "-cropbox", "-f", "1", "-l", str(pages), "-scale-to", side)
    command = ["pdftoppm", *how, absolute(path), str(folder / "page")]
    await _poppler(command, path, folder, settings)
    drawn = _drawn(folder)
    if len(drawn) != pages:
        raise _damaged()
    return drawn


def _drawn(folder: Path) -> list[Path]:
    return sorted(folder.glob("page-*.png"))  # pdftoppm pads the numbers with zeros to the same length


async def _poppler(command: list[str], path: Path, folder: Path, settings: MediaSettings) -> Finished:
    limits = confinement(settings, within_s=settings.probe_within_s, read=[path], write=[folder])
    finished = await run(command, limits, folder=folder, within_s=settings.probe_within_s)
    if finished.ok:
        return finished
    if (error := await asyncio.to_thread(blamed, finished, command[0])) is not None:
        raise error
    if "Incorrect password" in finished.tail:
        raise _encrypted()
    if finished.stopped is not None:
        raise Refusal(
            "Drawing this PDF took longer than {seconds} seconds. Save it again as a simpler PDF, or as JPG.",
            seconds=round(settings.probe_within_s),
        )
    raise _damaged()


def _facts(finished: Finished) -> dict[str, str]:
    lines = finished.output.decode(errors="replace").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _count(text: str) -> int:
    """A number of pages; 0 for anything else, since pdfinfo has met hostile bytes."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _page_size(facts: dict[str, str]) -> tuple[int, int]:
    """ "595.276 x 841.89 pts (A4)", and the rotation of the page."""
    words = facts.get("Page size", "").split()
    try:
        width, height = round(float(words[0])), round(float(words[2]))
    except (IndexError, ValueError, OverflowError) as error:
        raise _damaged() from error
    if width < 1 or height < 1:
        raise _damaged()
    return (height, width) if facts.get("Page rot") in ("90", "270") else (width, height)


def _damaged() -> Refusal:
    return Refusal("This PDF is damaged and cannot be opened. Save it as PDF again, or copy it again from its source.")


def _encrypted() -> Refusal:
    return Refusal("This PDF is protected by a password. Save it without protection and drop it again.")
