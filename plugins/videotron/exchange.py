"""Between the hub's deliveries and the players: reconciles what each should hold and show, and keeps the sessions.

Nothing here is the truth: deliveries come from the hub's ledger, facts go to its journal, and what the players and
the broker lost is published again on every connect.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import ChainMap
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import CurrentDelivery, Delivered, DeliveryState, ItemNumber, PluginContext, Rendition
from plugins.videotron.announcing import Announcer
from plugins.videotron.broker import Broker, Disconnected, Link
from plugins.videotron.complaints import Complaints
from plugins.videotron.emergency.emergencies import Emergencies
from plugins.videotron.emergency.standing import Player
from plugins.videotron.floodgate import Floodgate
from plugins.videotron.intray import Intray, KeyOf
from plugins.videotron.issuing import Issuer
from plugins.videotron.keys.in_force import KeysInForce
from plugins.videotron.manifests import to_show
from plugins.videotron.proofs.keeper import ProofKeeper
from plugins.videotron.proofs.store import FILE_NAME, ProofStore
from plugins.videotron.protocol import PlayerState, Topics, cid_of
from plugins.videotron.screens.condition import Conditions, Duty
from plugins.videotron.screens.roster import Roster
from plugins.videotron.screens.snapshot import SnapshotFile, read_snapshot
from plugins.videotron.screenshots.commanding import Commander
from plugins.videotron.screenshots.shots import Film, Shots
from plugins.videotron.settings import VideotronSettings
from plugins.videotron.store import Store
from plugins.videotron.transfer.contents import Content
from plugins.videotron.transfer.links import Links
from plugins.videotron.transfer.offers import offers
from plugins.videotron.transfer.sender import Pace, Sender
from plugins.videotron.transfer.usage import FILE as USAGE
from plugins.videotron.transfer.usage import Usage

RECONCILE_EVERY_S = 10.0
SNAPSHOT_EVERY_S = 2.0
TIME_EVERY_S = 300.0  # how often players hear what time it is
RECEIPT_AGAIN_S = 600
STORE = "videotron.sqlite3"


class Exchange:
    def __init__(self, context: PluginContext[VideotronSettings], *, run: str, key_of: KeyOf) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._log = context.log
        self._topics = Topics(settings.namespace)
        self._wake = asyncio.Event()
        self._withdrawn: set[ItemNumber] = set()
        self._store: Store | None = None
        self.complaints = Complaints(clock=context.clock, log=context.log)
        self.keys = KeysInForce(context, run=run, complaints=self.complaints)
        self._above: dict[str, bytes] = {}  # overrides, by topic; always as they are now
        self._receiving: dict[str, tuple[int, int]] = {}  # by player: blocks held and in all, of what it fetches
        self.announcer = Announcer(context.clock)
        self.emergencies = Emergencies(
            context, player_of=self._player, keyring=lambda: self.keys.keyring, tell=self._tell_overrides
        )
        self.roster = Roster(
            settings.screens, silent_after=timedelta(seconds=settings.silent_after_s), clock=context.clock
        )
        self.conditions = Conditions(self.roster, translate=context.translate, clock=context.clock)
        self.links = Links(settings.screens, zone_of=self._zone_of, clock=context.clock)
        self.issuer = Issuer(
            context,
            topics=self._topics,
            links=self.links,
            keys=lambda: self.keys.now,
            kept=lambda: self.emergencies.kept,
        )
        self.usage = Usage(context.state_dir / USAGE, zone_of=self._zone_of, clock=context.clock)
        self.sender = Sender(
            topics=self._topics,
            pace=Pace(
                window_bytes=settings.window_bytes,
                hold_off_s=settings.hold_off_s,
                upload_limit_kbps=settings.upload_limit_kbps,
            ),
            rules=self.links,
            on_sent=self.usage.count,
            clock=context.clock,
            log=context.log,
        )
        self.broker = Broker(
            settings=settings.broker,
            topics=self._topics,
            hub_state=self.keys.hub_state,
            block_bytes=settings.block_bytes,
            admit=Floodgate(namespace=settings.namespace, complaints=self.complaints, clock=context.clock).admit,
            clock=context.clock,
            log=context.log,
        )
        self.commander = Commander(
            topics=self._topics,
            roster=self.roster,
            keyring=lambda: self.keys.keyring,
            link=lambda: self.broker.link,
            clock=context.clock,
            log=context.log,
        )
        self.shots = Shots(
            context.state_dir / "shots",
            roster=self.roster,
            film_of=self._film_of,
            ask=self.commander.ask_for_screenshot,
            clock=context.clock,
            log=context.log,
        )
        self._intray = Intray(
            topics=self._topics,
            roster=self.roster,
            sender=self.sender,
            complaints=self.complaints,
            key_of=key_of,
            shots=self.shots,
            wanted=self.issuer.wanted,
            heard=self._on_state,
            clock=context.clock,
            log=context.log,
        )

    def wake(self) -> None:
        """Reconcile now: something about the deliveries or the players has changed."""
        self._wake.set()

    async def load(self, rendition: Rendition) -> Content:
        """The rendition cut into blocks. Raises: OSError, HubError."""
        await self.keys.load()
        return await self.issuer.load(rendition)

    def withdraw(self, number: ItemNumber) -> None:
        """Leave an item out from now on, even before the ledger says so."""
        self._withdrawn.add(number)
        self.wake()

    async def run(self) -> None:
        """Work until cancelled. Raises: HubError when there are no keys to sign with."""
        folder = self._context.state_dir
        await self.keys.load()
        store, snapshot = await asyncio.to_thread(Store, folder / STORE), SnapshotFile(folder)
        self._store = store
        kept = await asyncio.to_thread(ProofStore, folder / FILE_NAME)
        try:
            await self._load_usage()
            await self.emergencies.open()
            rows = await asyncio.to_thread(read_snapshot, folder, self._context.clock.now())
            self.roster.recall(rows)
            self.shots.recall(rows)
            proofs = ProofKeeper(
                topics=self._topics,
                store=store,
                proofs=kept,
                sign=self.keys.sign,
                site=self.keys.now.site,
                journal=self._context.journal,
                complaints=self.complaints,
                clock=self._context.clock,
                log=self._log,
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reconcile_forever(store), name="videotron: reconcile")
                group.create_task(self._keep_snapshot(snapshot), name="videotron: snapshot")
                group.create_task(self.usage.keep(self._log), name="videotron: usage")
                group.create_task(self.emergencies.run(), name="videotron: emergencies")
                group.create_task(self.shots.run(), name="videotron: screenshots")
                group.create_task(self.broker.run(lambda link: self._session(link, proofs)), name="videotron: broker")
        finally:
            self._store = None
            self.emergencies.close()
            store.close()
            kept.close()
            await self._write_snapshot(snapshot.end)

    async def _load_usage(self) -> None:
        try:
            await asyncio.to_thread(self.usage.load)
        except (sqlite3.Error, OSError) as error:  # figures must not stop the transfers
            self._log.error("usage_was_not_read", reason=str(error))

    def _zone_of(self, player: str) -> ZoneInfo:
        screen = self._settings.screens.get(player)
        return ZoneInfo(screen.zone) if screen else self._context.zone

    async def _session(self, link: Link, proofs: ProofKeeper) -> None:
        heard = ("r/+/+", "s/+/state", "s/+/proof", "s/+/shot")
        await link.subscribe(*(f"{self._settings.namespace}/{rest}" for rest in heard))
        self.wake()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._intray.receive(link, proofs), name="videotron: receive")
            group.create_task(self.sender.run(link), name="videotron: send")
            group.create_task(self.announcer.insist(link), name="videotron: insist")
            group.create_task(proofs.run(link), name="videotron: proofs")
            group.create_task(self._tell_time(link), name="videotron: time")

    async def _tell_time(self, link: Link) -> None:
        while True:
            await asyncio.sleep(TIME_EVERY_S)
            await link.publish(self._topics.hub, self.keys.hub_state(online=True), retain=True)

    # --- from the deliveries to the players

    async def _reconcile_forever(self, store: Store) -> None:
        while True:
            self._wake.clear()
            await self.keys.look()
            await self._reconcile(store)
            try:
                async with asyncio.timeout(RECONCILE_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _reconcile(self, store: Store) -> None:
        now = self._context.clock.now()
        deliveries = await self._context.deliveries()
        await self.emergencies.match(deliveries)
        shown = to_show(deliveries, now=now, withdrawn=self._withdrawn)
        contents = await self.issuer.contents(shown)
        desired = await self.issuer.documents(store, shown, contents)
        self.sender.offer(offers(shown, contents, holds=self.roster.holds, kept=self.emergencies.kept))
        self.roster.changed = True
        if link := self.broker.link:
            try:
                await self._announce(link, store, desired)
            except Disconnected:
                self._log.info("announcement_was_cut_short")  # the next session begins it anew
        await self.emergencies.settle()  # after the keys that sign it and the manifests that bring its films
        await self._record_receipts(shown)

    async def _announce(self, link: Link, store: Store, desired: dict[str, bytes]) -> None:
        self._above.update(self._override_documents())
        await self.announcer.announce(
            link,
            store,
            ChainMap(self._above, desired),
            insist={*self._above, *(self._topics.manifest(player) for player in self.issuer.issued)},
            first=self._topics.keys,
        )
        for player in self.issuer.issued:
            self._insist_on(player)

    async def _tell_overrides(self, players: Collection[str]) -> None:
        """Publish at once what these players are told, past everything that a reconcile has to do."""
        self._above.update(self._override_documents())
        if (link := self.broker.link) and self._store:
            try:
                await self.announcer.announce_now(
                    link, self._store, {topic: self._above[topic] for topic in map(self._topics.override, players)}
                )
            except Disconnected:
                self._log.info("announcement_was_cut_short")
        for player in players:
            self._insist_on(player)

    def _override_documents(self) -> dict[str, bytes]:
        return {self._topics.override(player): document for player, document in self.emergencies.documents().items()}

    def _player(self, player: str) -> Player:
        issued = self.issuer.issued.get(player)
        return Player(
            online=self.broker.link is not None and player in self.roster and self.roster.online(player),
            last_seen=self.roster.last_seen(player) if player in self.roster else None,
            state=self.roster.state(player),
            manifest=issued.manifest if issued else None,
            receiving=self._receiving.get(player),
        )

    def _insist_on(self, player: str) -> None:
        """Repeat a player's manifest and override while it is there and follows others."""
        issued, followed = self.issuer.issued.get(player), self.roster.follows(player)
        if issued and player in self.roster:
            done = followed == issued.version or not self.roster.online(player)
            self.announcer.followed(self._topics.manifest(player), yes=done)
        if player in self.roster:
            done = self.emergencies.confirmed(player) or not self.roster.online(player)
            self.announcer.followed(self._topics.override(player), yes=done)

    def _on_state(self, player: str, state: PlayerState) -> None:
        self._insist_on(player)
        self.emergencies.news.set()
        self.wake()

    async def _record_receipts(self, shown: Sequence[CurrentDelivery]) -> None:
        for current in shown:
            player, cids = current.delivery.destination, {cid_of(rendition.sha256) for rendition in current.renditions}
            if current.state is DeliveryState.HANDED_OVER and self.roster.holds(player, cids):
                await self._record_receipt(current.delivery.key, player, len(cids))

    async def _record_receipt(self, key: str, player: str, files: int) -> None:
        now = self._context.clock.now()
        issued = self.issuer.issued.get(player)
        # A delivery that was taken back and comes again (a screen removed and added, a retry) needs a receipt again.
        again = f"{issued.manifest.seq if issued else 0}/{int(now.timestamp()) // RECEIPT_AGAIN_S}"
        fact = Delivered(delivery=key, at=now, detail=f"{player} holds {files} file(s)")
        if await self._context.journal.record(fact, key=f"delivered/{key}/{again}"):
            self._log.info("delivery_was_received", delivery=key, player=player)

    # --- for people

    async def _keep_snapshot(self, snapshot: SnapshotFile) -> None:
        while True:
            if self.roster.changed:
                await self._write_snapshot(snapshot.write)
            await asyncio.sleep(SNAPSHOT_EVERY_S)

    async def _write_snapshot(self, write: Callable[[datetime, list[dict[str, Any]]], None]) -> None:
        self._receiving = self.sender.progress()
        rows = self.conditions.rows(self._duties(), progress=self._receiving, truths=self.shots.truths)
        rows = [row | self.usage.row(str(row["player"])) for row in rows]
        try:
            await asyncio.to_thread(write, self._context.clock.now(), rows)
        except OSError as error:  # a full disk must not stop the transfers; the next turn tries again
            self._log.warning("snapshot_was_not_written", reason=str(error))

    def details(self) -> dict[str, str]:
        """By screen: how it is, in a few words."""
        return self.conditions.details(self._duties(), self.shots.truths)

    def troubles(self) -> list[str]:
        """What is wrong with the screens, a sentence each."""
        return self.conditions.troubles(self._duties(), self.shots.truths)

    def _film_of(self, player: str, cid: str) -> Film | None:
        """The file behind a content id, when the player was told to show it."""
        issued, above = self.issuer.issued.get(player), self.emergencies.in_force.get(player)
        files = (*(issued.manifest.files() if issued else ()), *(above.films if above else ()))
        file = next((one for one in files if one.cid == cid), None)
        return self.issuer.film_of(file.sha256, file.seconds) if file else None

    def _duties(self) -> dict[str, Duty]:
        keyset = self.keys.keyring.keyset.version if self.keys.keyring else 0
        above = self.emergencies.in_force
        return {
            player: Duty(
                manifest=issued.manifest,
                keyset=keyset,
                override=above[player].counter if player in above else 0,
                command=self.commander.sent.get(player, 0),
                titles={film.item: film.title for film in above[player].films} if player in above else {},
            )
            for player, issued in self.issuer.issued.items()
        }
