"""The radio: airs the sound of items within their windows, and proves what aired."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from hub.api import (
    Asset,
    Channel,
    CurrentDelivery,
    Delivery,
    DeliveryState,
    Draft,
    Health,
    Item,
    MediaKind,
    PluginContext,
    Receipt,
    Rejected,
    Rendition,
    RetryLater,
    Service,
    Want,
    hookimpl,
)
from plugins.radio import media
from plugins.radio.airings import Airings
from plugins.radio.check import check_running
from plugins.radio.database import FILE_NAME, Database
from plugins.radio.liquidsoap import Liquidsoap
from plugins.radio.playout import Playout
from plugins.radio.records import Airing, Programme
from plugins.radio.settings import RadioSettings
from plugins.radio.times import Rules

RECONCILE_EVERY_S = 60.0
_HELD = (DeliveryState.HANDED_OVER, DeliveryState.DELIVERED, DeliveryState.PLAYED)


class RadioPlugin:
    Settings = RadioSettings

    def __init__(self, context: PluginContext[RadioSettings]) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._media = settings.media_in(context.state_dir)
        self._changing = asyncio.Lock()  # a sound just placed is not swept away before its airing is planned
        self._airings = Airings(Database(context.state_dir / FILE_NAME), rules_of(settings))
        self._playout = Playout(
            airings=self._airings,
            client=Liquidsoap(settings.socket, timeout_s=settings.command_timeout_s),
            as_run_file=settings.as_run_in(context.state_dir),
            media_folder=self._media,
            repair=self._repair,
            journal=context.journal,
            clock=context.clock,
            log=context.log,
        )

    @hookimpl
    def hub_check_environment(self) -> Sequence[str]:
        # Liquidsoap itself may come later: health says so until it does.
        as_run = self._settings.as_run_in(self._context.state_dir)
        problems = (
            _folder_problem(self._media, os.R_OK | os.W_OK | os.X_OK),
            _folder_problem(as_run.parent, os.R_OK | os.X_OK),  # only Liquidsoap writes there
            f"{as_run} is not readable: give the hub's user the right to read it" if _unreadable(as_run) else "",
        )
        return [problem for problem in dict.fromkeys(problems) if problem]

    @hookimpl
    def hub_check_reachable(self) -> Sequence[str]:
        finding = asyncio.run(check_running(self._settings.socket))
        return [] if finding.good else [finding.text]

    @staticmethod
    @hookimpl
    def hub_commands() -> click.Group:
        from plugins.radio.commands import radio

        return radio

    @hookimpl
    def hub_services(self) -> Sequence[Service]:
        return [
            Service(name="playout", run=self._playout.run, stop_within=timedelta(seconds=10)),
            Service(name="reconcile", run=self._keep_reconciled, stop_within=timedelta(seconds=10)),
        ]

    @hookimpl
    async def hub_check_item(self, draft: Draft) -> Sequence[str]:
        if Channel.RADIO not in draft.channels:
            return []
        asset = sound_of(draft)
        if asset is None:
            return [self._context.translate("There is no sound for the radio. Add an audio file, or leave out radio.")]
        return self._sound_problems(asset, draft)

    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        asset = sound_of(item) if Channel.RADIO in item.channels else None
        if asset is None:
            return []
        want = Want(asset=asset.sha256, profile=self._settings.profile)
        destination = self._settings.station_name
        return [Delivery(key=f"{item.number}/radio", item=item.number, destination=destination, wants=(want,))]

    @hookimpl
    async def hub_deliver(self, delivery: Delivery, item: Item, renditions: Sequence[Rendition]) -> Receipt:
        async with self._changing:
            await self._hold(delivery, item, renditions)
        self._playout.wake()
        return Receipt(detail=self._context.translate("Held in the radio queue."))

    @hookimpl
    async def hub_withdraw(self, item: Item, reason: str) -> None:
        for delivery in await asyncio.to_thread(self._airings.deliveries_of, item.number):
            await asyncio.to_thread(self._airings.close, delivery, reason, self._context.clock.now())
        if not await self._playout.take_back():
            # Marked for good already: the playout takes it back as soon as Liquidsoap answers.
            raise RetryLater("Liquidsoap does not answer, and may still hold the item", after=timedelta(seconds=2))

    @hookimpl
    async def hub_health(self) -> Health:
        return self._playout.condition.health(self._context.translate, self._context.clock.monotonic())

    async def reconcile(self) -> None:
        """Hold what the hub says is delivered here, let go of what it does not name, remove files nobody wants."""
        async with self._changing:
            await self._reconcile()
        self._playout.wake()

    async def _reconcile(self) -> None:
        held = {programme.delivery for programme in await asyncio.to_thread(self._airings.programmes)}
        current = {entry.delivery.key: entry for entry in await self._context.deliveries()}
        for key in held - current.keys():
            reason = "no longer one of the hub's deliveries"
            await asyncio.to_thread(self._airings.close, key, reason, self._context.clock.now())
        for key in current.keys() - held:
            await self._take_up(current[key])
        wanted = await asyncio.to_thread(self._airings.files_wanted)
        for name in await asyncio.to_thread(media.sweep, self._media, wanted):
            self._context.log.info("sound_removed", name=name)

    async def _keep_reconciled(self) -> None:
        while True:
            await self.reconcile()
            await asyncio.sleep(RECONCILE_EVERY_S)

    async def _take_up(self, entry: CurrentDelivery) -> None:
        if entry.state not in _HELD or not entry.renditions or entry.item.end <= self._context.clock.now():
            return
        try:
            await self._hold(entry.delivery, entry.item, entry.renditions)
        except (RetryLater, Rejected) as error:
            self._context.log.warning("delivery_not_taken_up", delivery=entry.delivery.key, error=str(error))

    async def _hold(self, delivery: Delivery, item: Item, renditions: Sequence[Rendition]) -> None:
        rendition = renditions[0]
        if not rendition.media.duration_s:
            raise Rejected(f"{item.number}: the rendition has no duration")
        try:
            await asyncio.to_thread(media.place, rendition.path, rendition.sha256, self._media)
        except (OSError, media.SoundDamaged) as error:
            raise RetryLater(f"the sound could not be put in {self._media}: {error}") from error
        programme = Programme(
            delivery=delivery.key,
            item=item.number,
            destination=delivery.destination,
            sha256=rendition.sha256,
            duration_s=rendition.media.duration_s,
            starts=item.start,
            ends=item.end,
        )
        await asyncio.to_thread(self._airings.hold, programme, self._context.clock.now())

    async def _repair(self, airing: Airing) -> bool:
        """Put the sound of an airing back from the hub's rendition."""
        for entry in await self._context.deliveries():
            for rendition in entry.renditions:
                if rendition.sha256 == airing.sha256:
                    return await self._put_back(rendition)
        return False

    async def _put_back(self, rendition: Rendition) -> bool:
        try:
            await asyncio.to_thread(media.place, rendition.path, rendition.sha256, self._media)
        except (OSError, media.SoundDamaged) as error:
            self._context.log.error("sound_not_put_back", sha256=rendition.sha256, error=str(error))
            return False
        self._context.log.warning("sound_put_back", sha256=rendition.sha256)
        return True

    def _sound_problems(self, asset: Asset, draft: Draft) -> Sequence[str]:
        seconds, settings, say = asset.media.duration_s or 0.0, self._settings, self._context.translate
        if seconds < settings.min_duration_s:
            return [say("The sound lasts {seconds:.1f} s; the radio needs at least {limit:g} s.",
                        seconds=seconds, limit=settings.min_duration_s)]  # fmt: skip
        if seconds > settings.max_duration_s:
            return [say("The sound lasts {seconds:.0f} s; the radio takes at most {limit:g} s. Shorten it.",
                        seconds=seconds, limit=settings.max_duration_s)]  # fmt: skip
        if draft.end - draft.start < timedelta(seconds=seconds):
            return [say("The time between start and end is shorter than the sound. Set a later end.")]
        return []


def sound_of(draft: Draft) -> Asset | None:
    """The asset whose sound airs: the first audio file, else the first video that has sound."""
    for kind in (MediaKind.AUDIO, MediaKind.VIDEO):
        for asset in draft.assets:
            if asset.media.kind is kind and asset.media.has_sound:
                return asset
    return None


def rules_of(settings: RadioSettings) -> Rules:
    return Rules(
        every=settings.repeat_every,
        late=timedelta(seconds=settings.late_s),
        max_attempts=settings.max_attempts,
        repeat_interrupted=settings.repeat_interrupted,
        tolerance_s=settings.seconds_tolerance,
    )


def _folder_problem(folder: Path, mode: int) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder} can not be made ({error.strerror}): make it and give it to the hub's user"
    if not os.access(folder, mode):
        return f"{folder} is not {'writable' if mode & os.W_OK else 'readable'}: give the hub's user that right"
    return ""


def _unreadable(path: Path) -> bool:
    return path.exists() and not os.access(path, os.R_OK)
