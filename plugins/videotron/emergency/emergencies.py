"""Emergency, blackout, clear: brings what every player is told in step with what was ordered.

The order is on the disk before anything else. From then on every reconcile brings what players are told closer to it,
whatever was killed, away or not rendered yet in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta

from hub.api import CurrentDelivery, ItemNumber, ItemState, JournalEntry, PluginContext, Refused
from plugins.videotron.emergency.overrides import DATABASE, Change, InForce, Overrides, Wish, signer_of
from plugins.videotron.emergency.reckoning import Reckoning, Row, is_final
from plugins.videotron.emergency.standing import Player, Stand, change, standing
from plugins.videotron.keys.keyring import Keyring
from plugins.videotron.protocol import Mode, Override
from plugins.videotron.settings import VideotronSettings

UP_WITHIN_S, FILMS_WITHIN_S = 20.0, 5.0
FILE_WITHIN = timedelta(minutes=15)
LIVE = frozenset({ItemState.ACCEPTED, ItemState.ACTIVE})

PlayerOf = Callable[[str], Player]
Tell = Callable[[Collection[str]], Awaitable[None]]


class Emergencies:
    """One for the plugin."""

    def __init__(
        self,
        context: PluginContext[VideotronSettings],
        *,
        player_of: PlayerOf,
        keyring: Callable[[], Keyring | None],
        tell: Tell,
    ) -> None:
        """`tell` publishes at once what these players are told."""
        self._context = context
        self._screens = context.settings.screens
        self._log = context.log
        self._player_of = player_of
        self._keyring = keyring
        self._tell = tell
        self._overrides: Overrides | None = None
        self._turn = asyncio.Lock()
        self._reckoning = Reckoning(context.state_dir)
        self.deliveries: Sequence[CurrentDelivery] = ()
        self.news = asyncio.Event()  # a player said something, or was told something
        self._opened, self._settled = asyncio.Event(), asyncio.Event()

    async def open(self) -> None:
        """Take up what was ordered before. Raises: sqlite3.Error."""
        self._overrides = await asyncio.to_thread(Overrides, self._context.state_dir / DATABASE)
        self._opened.set()

    def close(self) -> None:
        if self._overrides:
            self._overrides.close()
            self._overrides = None
            self._opened.clear()
            self._settled.clear()

    async def is_up(self, *, with_films: bool) -> bool:
        """Whether orders can be taken. A hub that is starting is waited for, as whoever orders would have to.

        `with_films`: until it is known, too, which films there are; but not for ever.
        """
        if not await _within(UP_WITHIN_S, self._opened) or self._keyring() is None:
            return False
        if with_films:
            await _within(FILMS_WITHIN_S, self._settled)
        return True

    @property
    def in_force(self) -> Mapping[str, Override]:
        """What each player is told, by player."""
        return {player: one.override for player, one in self._all_told().items()}

    def documents(self) -> Mapping[str, bytes]:
        """What each player is told above its schedule, as signed."""
        return {player: told.document for player, told in self._all_told().items()}

    def confirmed(self, player: str) -> bool:
        """Whether the player says that it follows what it was told."""
        told, state = self._all_told().get(player), self._player_of(player).state
        return told is None or (state is not None and state.override == told.override.counter)

    @property
    def kept(self) -> Collection[ItemNumber]:
        """Items that were dropped for an emergency: held by the players, never shown by the schedule."""
        return self._overrides.own_items if self._overrides else frozenset()

    async def wish(self, wishes: Sequence[Wish]) -> list[str]:
        """Keep what was ordered, durably, and tell the players; returns the screens about which this is the last order.

        One that comes a second time, after a restart, must not undo a later one.
        """
        if self._overrides is None:
            return []
        known = self._overrides.wishes
        new = [one for one in wishes if one.player not in known or one.comes_after(known[one.player])]
        async with self._turn:
            await asyncio.to_thread(self._overrides.wish, new)
        await self._issue()
        return [one.player for one in wishes if self._overrides.wishes[one.player].key == one.key]

    async def match(self, deliveries: Sequence[CurrentDelivery]) -> None:
        """Find the items that were dropped for an emergency, before any manifest shows them."""
        self.deliveries = deliveries
        for wish in self._awaiting_files():
            if found := next((one.item.number for one in deliveries if _is_for(one, wish)), None):
                await self._accept(wish, found)
            elif self._context.clock.now() - wish.given_at > FILE_WITHIN:
                await self._fail(wish, self._context.translate("Its file never came."))

    async def settle(self) -> None:
        """Tell every player what follows now from orders, manifests, keys and the time."""
        await self._end(await self._withdrawn())
        await self._issue()
        self._settled.set()

    async def observe(self, entries: Iterable[JournalEntry]) -> None:
        """A file that was refused will never be shown."""
        for entry in entries:
            if isinstance(entry.fact, Refused):
                for wish in self._awaiting_files():
                    if wish.file == entry.fact.sha256 and entry.recorded_at >= wish.given_at:
                        await self._fail(wish, entry.fact.reason)

    async def run(self) -> None:
        """Keep `emergencies.json` as it is, for whoever waits for an order; each second while something is pending."""
        while True:
            self.news.clear()
            rows = await self.write_rows()
            pending = not all(is_final(row.as_json()) for row in rows)
            if await _within(1.0 if pending else 10.0, self.news):
                await asyncio.sleep(0.2)  # players speak in bursts

    async def write_rows(self) -> list[Row]:
        """Bring `emergencies.json` up to date: what a command reads after its order is not from before it."""
        rows = self.rows()
        await self._reckoning.write(self._context.clock.now(), rows)
        return rows

    def rows(self) -> list[Row]:
        """How the last order about each screen stands."""
        wishes = self._overrides.wishes if self._overrides else {}
        now, progress, told = self._context.clock.now(), self._context.progress(), self._all_told()
        return [
            Row(
                wish=wish,
                name=self._screens[player].name if player in self._screens else "",
                counter=told[player].override.counter if player in told else 0,
                standing=standing(
                    wish,
                    told.get(player),
                    self._player_of(player),
                    deliveries=self.deliveries,
                    progress=progress,
                    now=now,
                ),
            )
            for player, wish in sorted(wishes.items())
        ]

    def notes(self) -> dict[str, str]:
        """For health: what stands above the schedule now, by screen."""
        notes = {
            row.wish.player: row.in_short()
            for row in self.rows()
            if row.wish.mode is not Mode.NONE and row.standing.stand is not Stand.OVER
        }
        for player in self._screens.keys() - self._all_told().keys():
            state = self._player_of(player).state
            if state is not None and state.shows in (Mode.EMERGENCY, Mode.BLACKOUT):
                notes[player] = f"{state.shows} by an order that this hub does not know; a clear ends it"
        return notes

    def _all_told(self) -> Mapping[str, InForce]:
        return self._overrides.in_force if self._overrides else {}

    def _awaiting_files(self) -> list[Wish]:
        """One wish of each order whose file has not been accepted yet."""
        wishes = self._overrides.wishes.values() if self._overrides else ()
        return list({one.order: one for one in wishes if one.file and not one.item and not one.failed}.values())

    async def _accept(self, wish: Wish, item: ItemNumber) -> None:
        if self._overrides:
            await asyncio.to_thread(self._overrides.accepted, wish.order, item)
            self._log.info("emergency_file_was_accepted", order=wish.order, item=item)
            self.news.set()

    async def _fail(self, wish: Wish, reason: str) -> None:
        if self._overrides:
            await asyncio.to_thread(self._overrides.failed, wish.order, reason)
            self._log.warning("emergency_file_was_not_accepted", order=wish.order, reason=reason)
            self.news.set()

    async def _issue(self) -> None:
        keyring = self._keyring()
        if keyring is None or self._overrides is None:
            return
        async with self._turn:
            changed = await asyncio.to_thread(self._issue_due, self._overrides, keyring)
        if changed:
            self.news.set()
            await self._tell(changed)

    def _issue_due(self, overrides: Overrides, keyring: Keyring) -> list[str]:
        players = sorted({*overrides.wishes, *overrides.in_force})
        due = {player: one for player in players if (one := self._due(player, overrides, keyring))}
        return self._sign(due, overrides, keyring)

    def _due(self, player: str, overrides: Overrides, keyring: Keyring) -> Change | None:
        now, told = self._context.clock.now(), overrides.in_force.get(player)
        if player not in self._screens:
            return Change(wish=told.wish, mode=Mode.NONE) if told and not told.over(now) else None
        wish = overrides.wishes.get(player)
        return change(wish, told, self._player_of(player), signer=signer_of(keyring), now=now)

    def _sign(self, due: Mapping[str, Change], overrides: Overrides, keyring: Keyring) -> list[str]:
        if not due:
            return []
        states = {player: self._player_of(player).state for player in due}
        seen = {
            one: state.override for one, state in states.items() if state and state.keyset == keyring.keyset.version
        }
        told = overrides.issue(due, keyring=keyring, now=self._context.clock.now(), seen=seen)
        for player, one in told.items():
            self._log.warning(
                "override_was_issued",
                player=player,
                mode=one.override.mode.value,
                wish=one.wish,
                counter=one.override.counter,
                until=one.override.until.isoformat() if one.override.until else None,
            )
        return list(told)

    async def _withdrawn(self) -> list[str]:
        """Players whose emergency shows an item that nobody may show any more."""
        now, found = self._context.clock.now(), []
        for player, told in self._all_told().items():
            items = {film.item for film in told.override.films} if not told.over(now) else set()
            if any([await self._is_gone(player, item) for item in items]):
                found.append(player)
        return found

    async def _is_gone(self, player: str, number: str) -> bool:
        if self._player_of(player).films(number):
            return False
        item = await self._context.records.item(ItemNumber(number))
        return item is not None and item.state not in LIVE

    async def _end(self, players: Sequence[str]) -> None:
        keyring, overrides = self._keyring(), self._overrides
        if not players or keyring is None or overrides is None:
            return
        async with self._turn:
            due = {player: Change(wish=overrides.in_force[player].wish, mode=Mode.NONE) for player in players}
            await asyncio.to_thread(self._sign, due, overrides, keyring)
        self.news.set()
        await self._tell(players)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether it happens in this time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _is_for(current: CurrentDelivery, wish: Wish) -> bool:
    item = current.item
    return (
        item.approval is not None
        and item.approval.number == wish.reference
        and any(asset.sha256 == wish.file for asset in item.assets)
    )
