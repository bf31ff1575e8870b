"""What each player is given: loads what is to be shown, and issues the manifests and block lists that say so."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from hub.api import CurrentDelivery, HubError, ItemNumber, PluginContext, Rendition, Sha256
from plugins.videotron.keys.keyring import Keyring
from plugins.videotron.manifests import Programme, programme
from plugins.videotron.protocol import Screen, Topics, encode_signed
from plugins.videotron.screenshots.shots import Film
from plugins.videotron.settings import VideotronSettings
from plugins.videotron.store import Issued, Store, Wish
from plugins.videotron.transfer.contents import Content, Library
from plugins.videotron.transfer.links import Links


class Issuer:
    """`issued` by player is what was signed last; `wanted` the contents in it; `lost` the items of which a file cannot
    be read now, and why."""

    def __init__(
        self,
        context: PluginContext[VideotronSettings],
        *,
        topics: Topics,
        links: Links,
        keys: Callable[[], Keyring],
        kept: Callable[[], Collection[ItemNumber]],
    ) -> None:
        """`kept` names the items that are never in the loop: an emergency's own."""
        self._context = context
        self._settings = context.settings
        self._log = context.log
        self._topics = topics
        self._links = links
        self._keys = keys
        self._kept = kept
        self._library = Library(context.settings.block_bytes)
        self._blocks: dict[str, tuple[Keyring, bytes]] = {}  # signed block lists, by content
        self.issued: dict[str, Issued] = {}
        self.wanted: dict[str, set[str]] = {}
        self.lost: dict[ItemNumber, str] = {}

    async def load(self, rendition: Rendition) -> Content:
        """The rendition cut into blocks. Raises: OSError, HubError."""
        return await self._library.load(rendition, site=self._keys().site)

    async def contents(self, shown: Sequence[CurrentDelivery]) -> dict[Sha256, Content]:
        """Every file of these deliveries that can be read; the others are named in `lost`."""
        contents: dict[Sha256, Content] = {}
        lost: dict[ItemNumber, str] = {}
        for number, rendition in ((one.item.number, rendition) for one in shown for rendition in one.renditions):
            if rendition.sha256 in contents:
                continue
            try:
                contents[rendition.sha256] = await self.load(rendition)
            except (OSError, HubError) as error:  # this file alone is left out, and named
                lost[number] = str(error)
        self._library.keep_only(contents)
        self._miss(lost)
        return contents

    async def documents(
        self, store: Store, shown: Sequence[CurrentDelivery], contents: Mapping[Sha256, Content]
    ) -> dict[str, bytes]:
        """What must stand retained at the broker, by topic: keys, block lists, then the manifests that need them."""
        desired = {self._topics.keys: self._keys().chain}
        desired |= {self._topics.block_list(content.cid): self._signed(content) for content in contents.values()}
        self._blocks = {cid: signed for cid, signed in self._blocks.items() if self._topics.block_list(cid) in desired}
        for player, issued in (await asyncio.to_thread(self._issue, store, shown, contents)).items():
            desired[self._topics.manifest(player)] = issued.document
            before = self.issued.get(player)
            if before is None or before.version != issued.version:
                films = len(issued.manifest.items)
                self._log.info("manifest_was_issued", player=player, seq=issued.manifest.seq, films=films)
                self.wanted[player] = {file.cid for file in issued.manifest.files()}
            self.issued[player] = issued
        return desired

    def film_of(self, sha256: str, seconds: float) -> Film | None:
        """The file with this hash, if it is in use."""
        content = self._library.find(sha256)
        return Film(path=content.path, seconds=seconds) if content else None

    def _miss(self, lost: dict[ItemNumber, str]) -> None:
        """Name the items whose files are lost, and have the hub look after them."""
        new = lost.keys() - self.lost.keys()
        for number in sorted(new):
            self._log.error("rendition_was_lost", item=number, reason=lost[number])
        self.lost = lost
        if new:
            self._context.replan()

    def _issue(
        self, store: Store, shown: Sequence[CurrentDelivery], contents: Mapping[Sha256, Content]
    ) -> dict[str, Issued]:
        settings, by_screen = self._settings, defaultdict[str, list[CurrentDelivery]](list)
        for current in shown:
            by_screen[current.delivery.destination].append(current)
        wishes = [
            Wish(
                player=player,
                screen=Screen(width=screen.width, height=screen.height, zone=screen.zone),
                programme=self._programme(player, by_screen[player], contents),
                deliveries=by_screen[player],
                fetch_kbps=screen.download_limit_kbps,
            )
            for player, screen in sorted(settings.screens.items())
        ]
        wishes += [Wish(player=player, screen=None) for player in store.players() if player not in settings.screens]
        return store.issue(
            wishes,
            keyring=self._keys(),
            now=self._context.clock.now(),
            valid=timedelta(hours=settings.offline.hours),
            reissue=timedelta(hours=min(settings.reissue_h, settings.offline.hours / 2)),
        )

    def _programme(
        self, player: str, deliveries: Sequence[CurrentDelivery], contents: Mapping[Sha256, Content]
    ) -> Programme:
        return programme(
            deliveries,
            contents,
            offline=self._settings.offline,
            fetch_after=lambda urgent: self._links.fetch_after(player, urgent=urgent),
            kept=self._kept(),
        )

    def _signed(self, content: Content) -> bytes:
        known, keys = self._blocks.get(content.cid), self._keys()
        if known is None or known[0] is not keys:
            known = self._blocks[content.cid] = (keys, encode_signed(content.blocks, keys.online))
        return known[1]
