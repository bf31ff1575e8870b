"""What the sender is given to carry: contents, with who should hold them and how much it matters. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from hub.api import CurrentDelivery, ItemNumber, Priority, Sha256
from plugins.videotron.manifests import is_kept
from plugins.videotron.transfer.contents import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A content to be sent, and to whom."""

    content: Content
    players: frozenset[str] = frozenset()  # who lacks it and should hold it: when all have reported, nobody waits
    items: tuple[str, ...] = ()  # what it belongs to, for the accounts of what was sent
    urgent: bool = False  # before all others, whatever a screen's download window


def offers(
    deliveries: Iterable[CurrentDelivery],
    contents: Mapping[Sha256, Content],
    *,
    holds: Callable[[str, Iterable[str]], bool],
    kept: Collection[ItemNumber] = (),
) -> list[Offer]:
    """One offer for each content that these deliveries need. Films that stand ready for an emergency are urgent.

    `holds`: whether a player has these contents already; `kept`: items of an emergency's own.
    """
    made = {sha256: Offer(content=content) for sha256, content in contents.items()}
    for current in deliveries:
        for rendition in current.renditions:
            if known := made.get(rendition.sha256):
                player = current.delivery.destination
                made[rendition.sha256] = replace(
                    known,
                    players=known.players if holds(player, [known.content.cid]) else known.players | {player},
                    items=known.items if current.item.number in known.items else (*known.items, current.item.number),
                    urgent=known.urgent or current.item.priority is Priority.URGENT or is_kept(current, kept),
                )
    return list(made.values())
