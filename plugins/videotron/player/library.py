"""Keeps the disk in step with the manifest: what is verified and may be shown, what is fetched, what is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

from plugins.videotron.player.fetching import Fetching
from plugins.videotron.player.playback import Clip
from plugins.videotron.player.ports import Log
from plugins.videotron.player.reconcile import Plan, plan
from plugins.videotron.player.store import Store
from plugins.videotron.protocol import File, Manifest
from plugins.videotron.protocol.schedule import Entry

FETCHED_TOGETHER = 8


class Library:
    """`held` are the hashes of the films that were read whole and found right since this process started."""

    def __init__(self, *, store: Store, fetching: Fetching, log: Log) -> None:
        self._store = store
        self._fetching = fetching
        self._log = log
        self._suspects: set[str] = set()
        self.held: set[str] = set()
        self.broken: set[str] = set()  # right by their hash, and yet mpv cannot play them
        self.trouble = ""  # what the disk will not do; "" = nothing

    def suspect(self, sha256: str) -> None:
        """mpv failed on this film: it is read again, and fetched again or left out."""
        self._suspects.add(sha256)

    def forgive(self) -> None:
        """A new manifest: try again what could not be played."""
        self.broken.clear()

    async def reconcile(
        self, manifest: Manifest | None, *, showing: str, now: datetime, urgent: Collection[File] = ()
    ) -> tuple[Plan, bool]:
        """The plan for now, carried out but for the showing; True: look again at once, a film was just checked."""
        await self._check_suspects()
        files = (*urgent, *(manifest.files() if manifest else ()))
        unchecked = await self._unchecked(files)
        if unchecked:
            await self._check(unchecked[0])
        wanted = plan(manifest, held=self.held, broken=self.broken, now=now, urgent=urgent)
        await self._fetching.want(self._first_to_fetch(wanted.fetch, besides=unchecked[1:]))
        if manifest is not None:
            await self._sweep(wanted.keep | {showing})
        return wanted, len(unchecked) > 1

    def clips(self, loop: tuple[Entry, ...], *, version: tuple[int, int]) -> tuple[Clip, ...]:
        """The loop as mpv plays it; `version` of the manifest goes into the proofs."""
        return tuple(
            Clip(
                key=entry.key,
                path=self._store.path(entry.sha256),
                item=entry.item,
                sha256=entry.sha256,
                title=entry.title,
                epoch=version[0],
                manifest=version[1],
            )
            for entry in loop
        )

    async def _check_suspects(self) -> None:
        while self._suspects:
            sha256 = self._suspects.pop()
            if await asyncio.to_thread(self._store.verify, sha256):
                self.broken.add(sha256)
                self._log.error("film_left_out", sha256=sha256, reason="its bytes are right, but mpv cannot play it")
            else:
                self.held.discard(sha256)
                self._log.error("film_spoiled", sha256=sha256, found="while playing")

    async def _unchecked(self, files: Collection[File]) -> list[str]:
        if not files:
            return []
        try:
            present = await asyncio.to_thread(self._store.present)
        except OSError as error:  # what is held already is shown on
            self.trouble = f"the films cannot be looked at: {error}"
            return []
        wanted = dict.fromkeys(file.sha256 for file in files)
        return [sha256 for sha256 in wanted if sha256 in present and sha256 not in self.held]

    async def _check(self, sha256: str) -> None:
        if await asyncio.to_thread(self._store.verify, sha256):
            self.held.add(sha256)
        else:
            self._log.error("film_spoiled", sha256=sha256, found="at start")

    def _first_to_fetch(self, fetch: dict[str, File], *, besides: Collection[str]) -> dict[str, File]:
        missing = {cid: file for cid, file in fetch.items() if file.sha256 not in besides}
        return dict(list(missing.items())[:FETCHED_TOGETHER])

    async def _sweep(self, keep: frozenset[str]) -> None:
        try:
            gone = await asyncio.to_thread(self._store.sweep, keep)
        except OSError as error:
            self.trouble = f"films that are over cannot be deleted: {error}"
            return
        self.trouble = ""
        if gone:
            self.held &= keep
            self._log.info("films_removed", files=len(gone))
