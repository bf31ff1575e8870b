"""What stands retained at the broker: publishes what is new, clears what is old, insists on what must be followed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from hub.api import Clock
from plugins.videotron.broker import Link
from plugins.videotron.insisting import Insisting
from plugins.videotron.store import Store


class Announcer:
    """One for all sessions; a new session begins with nothing announced, since a broker may have lost everything."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._link: Link | None = None
        self._announced: dict[str, bytes] = {}
        self._insisting = Insisting()
        self._news = asyncio.Event()

    async def announce(
        self, link: Link, store: Store, desired: Mapping[str, bytes], *, insist: Collection[str], first: str
    ) -> None:
        """Bring the broker to `desired`, documents by topic; those in `insist` overtake blocks, and are said again.

        `first` is the topic on which the others depend: the keys. What changes in `desired` meanwhile goes out as it is
        then. Raises: Disconnected.
        """
        if self._link is not link:
            self._link, self._announced, self._insisting = link, {}, Insisting()
        news = {topic: document for topic, document in desired.items() if self._announced.get(topic) != document}
        if news:
            await asyncio.to_thread(store.will_retain, news)
        for topic in sorted(news, key=lambda topic: (topic != first, topic not in insist)):
            if self._announced.get(topic) != desired[topic]:
                await self._say(link, topic, desired[topic], insist=topic in insist)
        await self._clear(link, store, desired)

    async def announce_now(self, link: Link, store: Store, documents: Mapping[str, bytes]) -> None:
        """Publish these at once, whatever `announce` is doing, and insist on them. Raises: Disconnected.

        They must stand in the `desired` of every announcement. In a session that has announced nothing yet, that one
        brings them.
        """
        if self._link is not link:
            return
        await asyncio.to_thread(store.will_retain, documents)
        for topic, document in documents.items():
            await self._say(link, topic, document, insist=True)

    def followed(self, topic: str, *, yes: bool) -> None:
        """What its player says, or that it is not there to say anything (then the retained document waits for it)."""
        self._insisting.followed(topic, yes=yes)
        if not yes:
            self._news.set()

    async def insist(self, link: Link) -> None:
        """Say again what is not followed yet, for one session. Raises: Disconnected."""
        while True:
            self._news.clear()
            if self._link is link:  # else nothing was announced in it yet, and what is due is of the session before
                for topic, document in self._insisting.due(self._clock.monotonic()):
                    await self._say(link, topic, document, insist=True)
            await self._until(self._insisting.next_at() if self._link is link else None)

    async def _until(self, next_at: float | None) -> None:
        wait = None if next_at is None else max(0.02, next_at - self._clock.monotonic())
        try:
            async with asyncio.timeout(wait):
                await self._news.wait()
        except TimeoutError:
            return

    async def _say(self, link: Link, topic: str, document: bytes, *, insist: bool) -> None:
        await link.publish(topic, document, qos=0 if insist else 1, retain=True)
        self._announced[topic] = document
        if insist:
            self._insisting.said(topic, document, self._clock.monotonic())
            self._news.set()

    async def _clear(self, link: Link, store: Store, desired: Mapping[str, bytes]) -> None:
        stale = await asyncio.to_thread(store.retained) - desired.keys()
        for topic in sorted(stale):
            await link.publish(topic, b"", retain=True)
            self._announced.pop(topic, None)
        self._insisting.forget(stale)
        if stale:
            await asyncio.to_thread(store.cleared, stale)
