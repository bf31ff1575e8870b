"""What both ends of a measured transfer would learn from the hub's documents, through the plugin's own functions."""

from __future__ import annotations

from dataclasses import dataclass

from plugins.videotron.contents import Content
from plugins.videotron.protocol import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file as the player's manifest would name it."""

    item: str
    cid: str
    sha256: str
    size: int
    fetch_after: None = None


def announcement(content: Content) -> bytes:
    """The retained block list of a content, as the hub publishes it."""
    return encode(content.blocks)
