"""The videotron plugin: shows items on the screens. Each hook is short; `exchange.py` does the work behind them."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence

import click

from hub.api import (
    Channel,
    Delivery,
    DeliveryChanged,
    Draft,
    Health,
    HealthState,
    Item,
    ItemChanged,
    JournalEntry,
    Order,
    Outcome,
    Pending,
    PluginContext,
    Receipt,
    Rejected,
    Rendition,
    RetryLater,
    Service,
    hookimpl,
)
from plugins.videotron.accounts import problems_of_acl
from plugins.videotron.emergency.desk import EmergencyDesk
from plugins.videotron.enrolment.enrolments import FILE as ENROLMENTS
from plugins.videotron.enrolment.enrolments import REVOKED, Enrolments, carry_out
from plugins.videotron.exchange import Exchange
from plugins.videotron.keys import keystatus
from plugins.videotron.keys.keyfiles import KeysMissing
from plugins.videotron.manifests import UnknownScreen, pictures_of, plan, unknown_screens
from plugins.videotron.screenshots.shots import SCREENSHOT
from plugins.videotron.settings import VideotronSettings, keys_folder

REACH_WITHIN_S = 5.0


class VideotronPlugin:
    Settings = VideotronSettings
    keeps_templates = True

    def __init__(self, context: PluginContext[VideotronSettings]) -> None:
        self._context = context
        self._settings = context.settings
        self._enrolments = Enrolments(context.state_dir / ENROLMENTS)
        self._exchange = Exchange(context, run=secrets.token_hex(8), key_of=self._enrolments.key_of)
        self._emergency_desk = EmergencyDesk(context, self._exchange.emergencies)

    @hookimpl
    def hub_check_environment(self) -> Sequence[str]:
        broker = self._settings.broker
        files = {"password_file": broker.password_file, "ca_file": broker.ca_file}
        files |= {"cert_file": broker.cert_file, "key_file": broker.key_file}
        problems = [
            f"plugins.videotron.broker.{key}: {path} cannot be read; make it, and readable for the hub's account"
            for key, path in files.items()
            if path and not os.access(path, os.R_OK)
        ]
        if self._settings.screens and not (broker.password or broker.password_file or broker.cert_file):
            problems.append(
                "plugins.videotron.broker has no password: `siarhub videotron acl --accounts DIR` makes one,"
                " name it in password_file"
            )
        problems += problems_of_acl(broker.password_file)
        if self._settings.screens:
            folder = keys_folder(self._settings, self._context.kept_dir)
            problems += keystatus.unusable(folder, now=self._context.clock.now())
        return problems

    @hookimpl
    def hub_check_reachable(self) -> Sequence[str]:
        """A plain connection: logging in would take over the running hub's session."""
        broker = self._settings.broker
        try:
            socket.create_connection((broker.host, broker.port), timeout=REACH_WITHIN_S).close()
        except OSError as error:
            return [
                f"the broker at {broker.host}:{broker.port} cannot be reached ({error}): start it, or correct"
                " host and port in [plugins.videotron.broker]"
            ]
        return []

    @staticmethod
    @hookimpl
    def hub_commands() -> click.Group:
        from plugins.videotron.commands import videotron

        return videotron

    @hookimpl
    def hub_services(self) -> Sequence[Service]:
        return [Service(name="exchange", run=self._exchange.run)]

    @hookimpl
    async def hub_check_item(self, draft: Draft) -> Sequence[str]:
        if Channel.VIDEOTRON not in draft.channels:
            return []
        problems = [self._say_unknown(unknown) for unknown in unknown_screens(draft, self._settings.screens)]
        if not pictures_of(draft):
            problems.append(
                self._context.translate(
                    "There is nothing in it that a screen can show. Add a video, an image or a PDF,"
                    " or take videotron out of the channels."
                )
            )
        return problems

    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        return plan(item, self._settings.screens)

    @hookimpl
    async def hub_deliver(self, delivery: Delivery, renditions: Sequence[Rendition]) -> Receipt | Pending:
        if delivery.destination not in self._settings.screens:
            raise Rejected(f"the screen {delivery.destination} is no longer configured")
        for rendition in renditions:
            try:
                await self._exchange.load(rendition)
            except OSError as error:
                raise RetryLater(f"{rendition.path.name} cannot be read: {error}") from error
            except KeysMissing as error:
                raise RetryLater(str(error)) from error
        self._exchange.wake()
        return Pending(detail=f"in the manifest of {delivery.destination}")

    @hookimpl
    async def hub_withdraw(self, item: Item, reason: str) -> None:
        self._exchange.withdraw(item.number)

    @hookimpl
    async def hub_order(self, order: Order) -> Outcome:
        if order.name == SCREENSHOT:
            return await self._screenshot(order.args.get("screen", ""))
        outcome = await self._emergency_desk.order(order)
        outcome = outcome or await carry_out(order, self._enrolments, self._settings.screens)
        if order.name == REVOKED:
            self._exchange.roster.forget(order.args.get("player", ""))
        self._exchange.wake()
        return outcome or Outcome(done=False, message=f"videotron has no order {order.name}")

    @hookimpl
    async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
        await self._exchange.emergencies.observe(entries)
        if any(isinstance(entry.fact, DeliveryChanged | ItemChanged) for entry in entries):
            self._exchange.wake()

    @hookimpl
    async def hub_health(self) -> Health:
        exchange = self._exchange
        details = exchange.details() | exchange.complaints.recent() | exchange.issuer.lost
        details |= {f"{screen} above its schedule": note for screen, note in exchange.emergencies.notes().items()}
        if exchange.broker.link is None:
            summary = f"no connection to the broker: {exchange.broker.trouble}"
            return Health(state=HealthState.DOWN, summary=summary, details=details)
        if exchange.broker.too_small:
            details["broker"] = exchange.broker.too_small
        elif exchange.broker.refused:
            details["broker"] = f"it refused {exchange.broker.refused}; make its acl_file anew"
        troubles = self._troubles()
        state = HealthState.DEGRADED if troubles else HealthState.OK
        summary = "; ".join(troubles) or f"{_players(len(self._settings.screens))} online"
        return Health(state=state, summary=summary, details=details)

    def _troubles(self) -> list[str]:
        exchange, troubles = self._exchange, []
        if not self._settings.screens:
            troubles.append("no screen is configured")
        troubles += exchange.troubles()
        troubles += exchange.usage.over({name: one.monthly_limit_mb for name, one in self._settings.screens.items()})
        if exchange.keys.keyring:
            troubles += keystatus.ending(exchange.keys.keyring.keyset, self._context.clock.now())
        if exchange.issuer.lost:
            troubles.append(
                f"a file to show is lost: {', '.join(sorted(exchange.issuer.lost))}; order siarhub retry for each"
            )
        if exchange.broker.too_small:
            troubles.append("the broker cannot carry what is sent to the screens")
        if exchange.broker.refused:
            troubles.append("the broker refused something")
        if refused := sorted(exchange.complaints.recent()):
            troubles.append(f"messages were refused in the last hour, from {', '.join(refused[:3])}")
        return troubles

    async def _screenshot(self, screen: str) -> Outcome:
        if screen not in self._settings.screens:
            return Outcome(done=False, message=f"there is no screen {screen}")
        return await self._exchange.shots.request(screen)

    def _say_unknown(self, unknown: UnknownScreen) -> str:
        if unknown.nearest:
            return self._context.translate(
                "There is no screen or group named {name}. Did you mean {nearest}?",
                name=unknown.name,
                nearest=unknown.nearest,
            )
        return self._context.translate(
            "There is no screen or group named {name}. There are: {known}.",
            name=unknown.name,
            known=", ".join(unknown.known) or "-",
        )


def _players(count: int) -> str:
    return f"{count} player" if count == 1 else f"{count} players"
