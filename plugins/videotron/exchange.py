"""Between the hub's deliveries and the players: reconciles what each should hold, and takes in what each says.

Nothing here is the truth: deliveries come from the hub's ledger, facts go to its journal, and what the players and
the broker lost is published again on every connect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hub.api import CurrentDelivery, Delivered, DeliveryState, HubError, ItemNumber, PluginContext, Sha256
from plugins.videotron.broker import Broker, Disconnected, Link, Message
from plugins.videotron.complaints import Complaints
from plugins.videotron.contents import Content, Library
from plugins.videotron.links import Links
from plugins.videotron.manifests import playlist_items, to_show
from plugins.videotron.offers import offers
from plugins.videotron.proofs import ProofKeeper
from plugins.videotron.protocol import (
    PlayerState,
    ProofOfPlay,
    ReportFlag,
    Screen,
    Topics,
    WireError,
    cid_of,
    decode,
    decode_report,
    encode,
)
from plugins.videotron.roster import Roster, SnapshotFile, read_snapshot
from plugins.videotron.sender import Pace, Sender
from plugins.videotron.settings import VideotronSettings
from plugins.videotron.store import Store

RECONCILE_EVERY_S = 10.0
SNAPSHOT_EVERY_S = 2.0
RECEIPT_AGAIN_S = 600
STORE = "videotron.sqlite3"


class Exchange:
    def __init__(self, context: PluginContext[VideotronSettings], *, epoch: str) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._log = context.log
        self._topics = Topics(settings.namespace)
        self._wake = asyncio.Event()
        self._withdrawn: set[ItemNumber] = set()
        self._wanted: dict[str, set[str]] = {}  # by player: the contents in its playlist
        self._serials: dict[str, int] = {}
        self.lost: dict[ItemNumber, str] = {}  # items of which a file cannot be read now, and why
        self._announced: tuple[Link | None, dict[str, bytes]] = (None, {})
        self.library = Library(settings.block_bytes)
        self.complaints = Complaints(clock=context.clock, log=context.log)
        self.roster = Roster(
            settings.screens, silent_after=timedelta(seconds=settings.silent_after_s), clock=context.clock
        )
        self.links = Links(settings.screens, zone_of=lambda player: context.zone, clock=context.clock)
        self.sender = Sender(
            topics=self._topics,
            pace=Pace(
                window_bytes=settings.window_bytes,
                hold_off_s=settings.hold_off_s,
                upload_limit_kbps=settings.upload_limit_kbps,
            ),
            rules=self.links,
            clock=context.clock,
            log=context.log,
        )
        self.broker = Broker(
            settings=settings.broker, topics=self._topics, epoch=epoch, clock=context.clock, log=context.log
        )

    def wake(self) -> None:
        """Reconcile now: something about the deliveries or the players has changed."""
        self._wake.set()

    def withdraw(self, number: ItemNumber) -> None:
        """Leave an item out from now on, even before the ledger says so."""
        self._withdrawn.add(number)
        self.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        folder = self._context.state_dir
        store, snapshot = await asyncio.to_thread(Store, folder / STORE), SnapshotFile(folder)
        try:
            self.roster.recall(await asyncio.to_thread(read_snapshot, folder, self._context.clock.now()))
            proofs = ProofKeeper(
                topics=self._topics,
                store=store,
                journal=self._context.journal,
                complaints=self.complaints,
                clock=self._context.clock,
                log=self._log,
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reconcile_forever(store), name="videotron: reconcile")
                group.create_task(self._keep_snapshot(snapshot), name="videotron: snapshot")
                group.create_task(self.broker.run(lambda link: self._session(link, proofs)), name="videotron: broker")
        finally:
            store.close()
            await self._write_snapshot(snapshot.end)

    async def _session(self, link: Link, proofs: ProofKeeper) -> None:
        await link.subscribe(*(f"{self._settings.namespace}/{rest}" for rest in ("r/+/+", "s/+/state", "s/+/proof")))
        self.wake()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._receive(link, proofs), name="videotron: receive")
            group.create_task(self.sender.run(link), name="videotron: send")
            group.create_task(proofs.run(link), name="videotron: proofs")

    # --- from the deliveries to the players

    async def _reconcile_forever(self, store: Store) -> None:
        while True:
            self._wake.clear()
            await self._reconcile(store)
            try:
                async with asyncio.timeout(RECONCILE_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _reconcile(self, store: Store) -> None:
        now = self._context.clock.now()
        shown = to_show(await self._context.deliveries(), now=now, withdrawn=self._withdrawn)
        contents = await self._contents(shown)
        desired = await self._issue(store, shown, contents)
        self.sender.offer(offers(shown, contents, holds=self.roster.holds))
        self.roster.changed = True
        if link := self.broker.link:
            try:
                await self._announce(link, store, desired)
            except Disconnected:
                self._log.info("announcement_was_cut_short")  # the next session begins it anew
        await self._record_receipts(shown)

    async def _contents(self, shown: Sequence[CurrentDelivery]) -> dict[Sha256, Content]:
        contents: dict[Sha256, Content] = {}
        lost: dict[ItemNumber, str] = {}
        for number, rendition in ((one.item.number, rendition) for one in shown for rendition in one.renditions):
            if rendition.sha256 in contents:
                continue
            try:
                contents[rendition.sha256] = await self.library.load(rendition)
            except (OSError, HubError) as error:  # this file alone is left out, and named
                lost[number] = str(error)
        self.library.keep_only(contents)
        self._miss(lost)
        return contents

    def _miss(self, lost: dict[ItemNumber, str]) -> None:
        """Name the items whose files are lost, and have the hub look after them."""
        new = lost.keys() - self.lost.keys()
        for number in sorted(new):
            self._log.error("rendition_was_lost", item=number, reason=lost[number])
        self.lost = lost
        if new:
            self._context.replan()

    async def _issue(
        self, store: Store, shown: Sequence[CurrentDelivery], contents: dict[Sha256, Content]
    ) -> dict[str, bytes]:
        """What must stand retained at the broker, by topic: the block lists, then the playlists that need them."""
        desired = {self._topics.block_list(c.cid): encode(c.blocks) for c in contents.values()}
        known = await asyncio.to_thread(store.players)
        for player in sorted({*self._settings.screens, *known}):
            configured = self._settings.screens.get(player)
            screen = Screen(width=configured.width, height=configured.height) if configured else None
            items = playlist_items(player, shown, contents) if configured else ()
            now = self._context.clock.now()
            issued = await asyncio.to_thread(store.issue, player, screen, items, shown, now)
            desired[self._topics.playlist(player)] = issued.document
            if self._serials.get(player) != issued.serial:
                self._log.info("playlist_was_issued", player=player, serial=issued.serial, items=issued.items)
            self._serials[player] = issued.serial
            self._wanted[player] = {item.cid for item in items}
        return desired

    async def _announce(self, link: Link, store: Store, desired: dict[str, bytes]) -> None:
        if self._announced[0] is not link:  # a broker may have lost everything
            self._announced = (link, {})
        announced = self._announced[1]
        news = {topic: document for topic, document in desired.items() if announced.get(topic) != document}
        if news:
            await asyncio.to_thread(store.will_retain, news)
        for topic, document in news.items():
            await link.publish(topic, document, retain=True)
            announced[topic] = document
        await self._clear(link, store, desired)

    async def _clear(self, link: Link, store: Store, desired: dict[str, bytes]) -> None:
        stale = await asyncio.to_thread(store.retained) - desired.keys()
        for topic in sorted(stale):
            await link.publish(topic, b"", retain=True)
            self._announced[1].pop(topic, None)
        if stale:
            await asyncio.to_thread(store.cleared, stale)

    async def _record_receipts(self, shown: Sequence[CurrentDelivery]) -> None:
        for current in shown:
            player, cids = current.delivery.destination, {cid_of(rendition.sha256) for rendition in current.renditions}
            if current.state is DeliveryState.HANDED_OVER and self.roster.holds(player, cids):
                await self._record_receipt(current.delivery.key, player, len(cids))

    async def _record_receipt(self, key: str, player: str, files: int) -> None:
        now = self._context.clock.now()
        # A delivery that was taken back and comes again (a screen removed and added, a retry) needs a receipt again.
        again = f"{self._serials.get(player, 0)}/{int(now.timestamp()) // RECEIPT_AGAIN_S}"
        fact = Delivered(delivery=key, at=now, detail=f"{player} holds {files} file(s)")
        if await self._context.journal.record(fact, key=f"delivered/{key}/{again}"):
            self._log.info("delivery_was_received", delivery=key, player=player)

    # --- from the players to the hub

    async def _receive(self, link: Link, proofs: ProofKeeper) -> None:
        async for message in link.messages():
            try:
                self._take(message, proofs)
            except WireError as error:
                self.complaints.add(message.topic.removeprefix(self._settings.namespace)[:80], str(error))
        raise Disconnected("the broker sends no more")

    def _take(self, message: Message, proofs: ProofKeeper) -> None:
        kind, cid, player = self._topics.parse(message.topic)
        if player not in self.roster:
            self.complaints.add(player, "no such screen is configured")
        elif kind == "report":
            self._take_report(cid, player, message.payload)
        elif kind == "state" and message.payload:
            self._take_state(player, message)
        elif kind == "proof":
            proof = decode(ProofOfPlay, message.payload)
            _same(player, proof.player)
            self.roster.heard(player)
            proofs.take(proof)

    def _take_report(self, cid: str, player: str, payload: bytes) -> None:
        report = decode_report(payload)
        if cid not in self._wanted.get(player, ()):  # withdrawn meanwhile, or none of its business
            return
        if report.blocks != self.sender.blocks_of(cid):
            raise WireError(f"a report about {report.blocks} blocks of {cid}")
        self.roster.heard(player)
        self.sender.report(cid, player, report)
        whole = report.have == (1 << report.blocks) - 1
        if ReportFlag.DONE in report.flags and whole and self.roster.on_done(player, cid):
            self._log.info("content_was_fetched", player=player, cid=cid)
            self.wake()

    def _take_state(self, player: str, message: Message) -> None:
        state = decode(PlayerState, message.payload)
        _same(player, state.player)
        if self.roster.on_state(player, state, retained=message.retained):
            self.wake()

    # --- for people

    async def _keep_snapshot(self, snapshot: SnapshotFile) -> None:
        while True:
            if self.roster.changed:
                await self._write_snapshot(snapshot.write)
            await asyncio.sleep(SNAPSHOT_EVERY_S)

    async def _write_snapshot(self, write: Callable[[datetime, list[dict[str, Any]]], None]) -> None:
        rows = self.roster.snapshot(serials=self._serials, wanted=self._wanted, progress=self.sender.progress())
        try:
            await asyncio.to_thread(write, self._context.clock.now(), rows)
        except OSError as error:  # a full disk must not stop the transfers; the next turn tries again
            self._log.warning("snapshot_was_not_written", reason=str(error))

    def details(self) -> dict[str, Any]:
        """By screen: how its player is, in a few words."""
        fetching = self.sender.fetching()
        return {player: self._detail(player, fetching.get(player, 0)) for player in sorted(self._settings.screens)}

    def _detail(self, player: str, fetching: int) -> str:
        last = self.roster.last_seen(player)
        heard = (
            "online" if self.roster.online(player) else f"offline, last heard {last:%Y-%m-%d %H:%M} UTC" if last else ""
        )
        parts = [heard or "never heard", f"fetching {fetching}" if fetching else "", *self.roster.errors(player)]
        return "; ".join(part for part in parts if part)


def _same(topic: str, payload: str) -> None:
    """The broker's ACL vouches for the topic only."""
    if topic != payload:
        raise WireError(f"it calls itself {payload}")
