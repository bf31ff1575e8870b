"""Takes orders of emergencies: checks them, has them kept, and answers within seconds how each screen stands."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from hub.api import CurrentDelivery, Order, Outcome, PluginContext
from plugins.videotron.emergency.asked import NAMES, Asked, NotAsked, understood
from plugins.videotron.emergency.emergencies import LIVE, Emergencies
from plugins.videotron.emergency.overrides import Wish
from plugins.videotron.emergency.reckoning import told_people
from plugins.videotron.emergency.standing import Stand
from plugins.videotron.manifests import READY_STATES
from plugins.videotron.protocol import Mode
from plugins.videotron.settings import VideotronSettings

ANSWER_WITHIN_S = 2.5  # of the 3 s in which whoever orders should know


class EmergencyDesk:
    def __init__(self, context: PluginContext[VideotronSettings], emergencies: Emergencies) -> None:
        self._context = context
        self._say = context.translate
        self._emergencies = emergencies

    async def order(self, order: Order) -> Outcome | None:
        """Carry out an order of an emergency; None for any other."""
        if order.name not in NAMES:
            return None
        if not await self._emergencies.is_up(with_films=bool(order.args.keys() & {"template", "item"})):
            return Outcome(done=False, message=self._say("The videotron part is not up yet; give the order again."))
        try:
            asked = understood(order, self._context.settings.screens, self._context.clock.now())
            if asked.template or asked.item:
                self._emergencies.deliveries = await self._context.deliveries()
            wishes = self._wishes(order, asked, self._emergencies.deliveries)
        except NotAsked as error:
            return Outcome(done=False, message=self._say(error.message, **error.values))
        self._context.log.warning(
            "override_was_ordered", order=order.id, mode=asked.mode.value, screens=asked.screens, who=order.who
        )
        if not (told := await self._emergencies.wish(wishes)):
            return Outcome(done=False, message=self._say("A later order about these screens counts already."))
        await self._confirmations(told)
        await self._emergencies.write_rows()
        return Outcome(done=True, message=self._answer(asked, told))

    def _wishes(self, order: Order, asked: Asked, deliveries: Sequence[CurrentDelivery]) -> list[Wish]:
        """One a screen; screens that have nothing to show of it are left out. Raises: NotAsked when all are."""
        items = {screen: _item_for(screen, asked, deliveries) for screen in asked.screens}
        if asked.template or asked.item:
            items = {screen: item for screen, item in items.items() if item}
        if not items:
            raise _nothing_of(asked, deliveries)
        return [
            Wish(
                player=screen,
                order=order.id,
                mode=asked.mode,
                template=asked.template,
                item=item,
                file=asked.file,
                reference=asked.reference,
                until=asked.until,
                who=order.who,
                why=order.why,
                given_at=order.given_at,
            )
            for screen, item in items.items()
        ]

    async def _confirmations(self, players: Collection[str]) -> None:
        """Wait until every player that is there has confirmed, but not long."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while self._is_coming(players):
                    self._emergencies.news.clear()
                    await self._emergencies.news.wait()
        except TimeoutError:
            return

    def _is_coming(self, players: Collection[str]) -> bool:
        return any(row.standing.stand is Stand.SENT for row in self._emergencies.rows() if row.wish.player in players)

    def _answer(self, asked: Asked, told: Collection[str]) -> str:
        rows = {row.wish.player: row for row in self._emergencies.rows()}
        lines = [
            told_people(rows[screen], self._say, self._context.zone)
            if screen in told and screen in rows
            else self._say("{screen}: has nothing of it, and goes on as before", screen=screen)
            for screen in asked.screens
        ]
        return "\n".join([self._headline(asked), *lines])

    def _headline(self, asked: Asked) -> str:
        until = f"{asked.until.astimezone(self._context.zone):%d-%m-%Y %H:%M %Z}" if asked.until else ""
        if asked.mode is Mode.NONE:
            return self._say("The schedule again:")
        if asked.mode is Mode.BLACKOUT:
            return self._say("Blackout until {until}:", until=until) if until else self._say("Blackout until a clear:")
        what = asked.template or asked.item or asked.reference
        return self._say("Emergency {what} until {until}:", what=what, until=until)


def _item_for(screen: str, asked: Asked, deliveries: Sequence[CurrentDelivery]) -> str:
    """The item that this screen shows: of several with the template's name the one that was accepted last.

    One whose films are made comes before one that is still being made, or cannot be: an emergency does not wait.
    """
    found = [
        one
        for one in deliveries
        if one.delivery.destination == screen
        and one.item.state in LIVE
        and ((asked.template and one.item.template == asked.template) or one.item.number == asked.item)
    ]
    best = max(found, key=lambda one: (one.state in READY_STATES, one.item.accepted_at, one.item.number), default=None)
    return best.item.number if best else ""


def _nothing_of(asked: Asked, deliveries: Sequence[CurrentDelivery]) -> NotAsked:
    if asked.item:
        return NotAsked("{item} is not for any of these screens, or is over (siarhub show {item}).", item=asked.item)
    known = sorted({one.item.template for one in deliveries if one.item.template and one.item.state in LIVE})
    return NotAsked(
        "None of these screens has the template {name}. There are: {known}. A template is approved content that is"
        " dropped with the line Templat: {name}. To show a file now: siarhub videotron emergency FILE.",
        name=asked.template,
        known=", ".join(known) or "-",
    )
