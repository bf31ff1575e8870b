"""The player: follows its manifest, fetches what it lacks, shows what it may, and proves what it showed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from plugins.videotron.player import orders
from plugins.videotron.player.boots import count_boot
from plugins.videotron.player.connection import Connection
from plugins.videotron.player.fallback import Fallback
from plugins.videotron.player.fetching import Fetching
from plugins.videotron.player.heartbeat import beat
from plugins.videotron.player.identity import Identity
from plugins.videotron.player.library import Library
from plugins.videotron.player.mpv import MpvGone, MpvRefused
from plugins.videotron.player.playback import Clip, Play, Playback
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.player.proving import Proving
from plugins.videotron.player.rejections import Rejections
from plugins.videotron.player.reporting import Reporting
from plugins.videotron.player.settings import PlayerSettings
from plugins.videotron.player.shots import Shooter, Standing
from plugins.videotron.player.showing import Showing, decide
from plugins.videotron.player.speaking import Speaking
from plugins.videotron.player.spoiled import clear_litter
from plugins.videotron.player.store import MB, Store
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.trusted import Limits, Trusted
from plugins.videotron.player.wellbeing import Wellbeing
from plugins.videotron.protocol import (
    Command,
    CommandName,
    HubState,
    Machine,
    Problem,
    ProofAck,
    Report,
    Shows,
    Topics,
    WireError,
    cid_of,
    open_envelope,
)

DEAD = timedelta(days=1)  # a clock that is so far behind has no battery
LOOK_AGAIN_S = 5.0  # also after the clock was set


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()


class Agent:
    """One player. `run` goes on until it is cancelled; nothing that the hub or the network does ends it."""

    def __init__(self, settings: PlayerSettings, *, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._wake = asyncio.Event()
        self._run = ""  # of the hub
        self._unstored = ""
        self._showing = Showing(shows=Shows.NOTHING)
        self._build(settings, boot=secrets.token_hex(8))

    def _build(self, settings: PlayerSettings, *, boot: str) -> None:
        state, limits, player = settings.state_dir, settings.limits, settings.player
        clock, log = self._clock, self._log
        self.topics = Topics(settings.broker.namespace)
        self.time = Timekeeper(clock)
        self.rejections = Rejections(clock=clock, log=log)
        self.store = Store(state / "media", keep_free_bytes=limits.keep_free_mb * MB)
        clear_litter(state)
        self.identity = Identity.at_any_rate(state)
        self.trusted = Trusted(
            state,
            player=player,
            chain=settings.trust,
            time=self.time,
            limits=Limits(file_bytes=limits.max_file_mb * MB, total_bytes=limits.max_total_mb * MB),
        )
        self.proofs = ProofLog(
            state / "proof.db", boot=boot, keep=limits.max_proofs, set_aside=self._proofs_were_spoiled
        )
        self.fetching = Fetching(
            store=self.store,
            boot=int(boot, 16),
            judge=self.trusted.blocks,
            clock=self.time,
            log=log,
            on_done=self._film_came,
        )
        self.library = Library(store=self.store, fetching=self.fetching, log=log)
        self.playback = Playback(
            mpv=settings.mpv,
            screen=settings.screen,
            clock=self.time,
            log=log,
            on_begin=self._began,
            on_play=self._played,
            on_broken=self._broke,
        )
        self.fallback = Fallback(settings, log=log, on_ready=self._fallback_is_ready)
        self.speaking = Speaking(
            player=player,
            boot=boot,
            boots=count_boot(state, now=int(clock.now().timestamp())),
            topics=self.topics,
            clock=clock,
            identity=self.identity,
            agent=self,
        )
        self.connection = Connection(
            settings=settings.broker,
            player=player,
            will=(self.topics.state(player), self.speaking.will),
            log=log,
            clock_is_dead=lambda: self.time.behind > DEAD,
        )
        self.reporting = Reporting(
            player=player,
            topics=self.topics,
            fetching=self.fetching,
            connection=self.connection,
            clock=clock,
            others=self._subscriptions,
        )
        self.wellbeing = Wellbeing(self, settings, clock=clock)
        self.shooter = Shooter(
            player=player,
            boot=boot,
            folder=state,
            screen=settings.screen,
            every_min=settings.shots.every_min,
            take=self.playback.screenshot,
            standing=self._standing,
            publish=self._publish_shot,
            identity=self.identity,
            clock=clock,
            log=log,
        )
        self.proving = Proving(
            proofs=self.proofs,
            player=player,
            identity=self.identity,
            publish=self._publish_proof,
            log=log,
            clock_behind=lambda: bool(self.time.behind),
        )

    @property
    def settings(self) -> PlayerSettings:
        return self._settings

    @property
    def screenshot_path(self) -> Path:
        return self._settings.state_dir / "screen.png"

    @property
    def shows(self) -> Shows:
        return self._showing.shows

    @property
    def received(self) -> int:
        return self.fetching.received

    @property
    def received_per_s(self) -> int:
        return self.fetching.received_per_s

    async def run(self) -> None:
        """Be the player until cancelled; what was played until then is recorded."""
        await asyncio.to_thread(self.trusted.load)
        self.trusted.troubles += [self.identity.told] if self.identity.told else []
        for trouble in self.trusted.troubles:
            self._log.error("state_spoiled", reason=trouble)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.fallback.run(), name="player: fallback")
                group.create_task(self.playback.run(), name="player: playback")
                group.create_task(self._keep_in_step(), name="player: keep in step")
                group.create_task(self.connection.run(self), name="player: connection")
                group.create_task(self.speaking.run(self.connection), name="player: speak")
                group.create_task(self.reporting.run(), name="player: report")
                group.create_task(self.proving.run_recorder(), name="player: record plays")
                group.create_task(self.proving.run_sender(), name="player: send proofs")
                group.create_task(self._serve_orders(), name="player: orders")
                group.create_task(self.wellbeing.run(self._settings.state_dir), name="player: wellbeing")
                group.create_task(self.shooter.run(), name="player: screenshots")
                group.create_task(beat(healthy=lambda: self.playback.healthy, status=self.speaking.summary))
        finally:
            self.proving.record_rest()
            await self.fetching.close()
            self.proofs.close()

    # --- what the connection brings

    async def connected(self) -> None:
        """Subscribe, say how things are, bring what waits."""
        await self.reporting.greet()
        await self.speaking.greet(self.connection)
        self.proving.wake()

    async def take(self, topic: str, payload: bytes) -> None:
        """Deal with one message; one that must not be believed is counted for the hub, and changes nothing."""
        try:
            await self._dispatch(*self.topics.parse(topic), payload)
        except WireError as error:
            self.rejections.add(topic, error)
            self.speaking.wake()
        except OSError as error:
            self._unstored = f"what came could not be stored: {error}"[:300]
            self._log.error("message_not_stored", topic=topic[:120], reason=str(error))

    async def _dispatch(self, kind: str, cid: str, player: str, payload: bytes) -> None:
        if player not in ("", self._settings.player):
            return
        match kind:
            case "group" | "unicast":
                await self.fetching.take_block(cid, payload)
                self.reporting.wake()
            case "block_list":
                await self.fetching.take_list(cid, payload)
                self.reporting.wake()
            case "keys":
                self._followed(await self.trusted.take_keys(payload) if payload else False, "keys_taken")
            case "manifest":
                self._followed(await self.trusted.take_manifest(payload), "manifest_taken")
            case "override":
                self._followed(await self.trusted.take_override(payload), "override_taken")
            case "hub" if payload:
                self._take_hub(self.trusted.take_hub(payload))
            case "control":
                await self._take_control(payload)

    def _followed(self, is_new: bool, event: str) -> None:
        """Something decides anew what is shown."""
        self._unstored = ""
        if is_new:
            epoch, seq = self.trusted.version
            self._log.info(event, epoch=epoch, manifest=seq, override=self.trusted.override_counter)
            self.library.forgive()
            self._wake.set()
            self.speaking.wake()

    async def _take_control(self, payload: bytes) -> None:
        kind = open_envelope(payload).type
        if kind == ProofAck.TYPE:
            await self.proving.take_ack(self.trusted.ack(payload))
        elif kind == Command.TYPE:
            await self._carry_out(await self.trusted.take_command(payload))

    async def _carry_out(self, command: Command) -> None:
        self._log.info("command_taken", command=command.name, counter=command.counter)
        if command.name is CommandName.SCREENSHOT:
            self.shooter.ask(command.counter)
        self.speaking.wake()

    def _take_hub(self, hub: HubState) -> None:
        if hub.online and hub.run != self._run:
            self._run = hub.run
            self.fetching.report_all(forget_sequences=True)
            self.reporting.wake()
            self.speaking.say_everything(within_s=random.random())  # noqa: S311 - spreads the players, guards nothing
            self.proving.wake()

    def _subscriptions(self) -> dict[str, int]:
        """QoS 0 for what must never wait behind blocks; the hub says it again until it is followed."""
        topics, player = self.topics, self._settings.player
        urgent = {topics.manifest(player): 0, topics.override(player): 0, topics.control(player): 0}
        return {topics.hub: 1, topics.keys: 1, **urgent, topics.unicast(player): 1}

    # --- what the screen and the disk bring

    def _began(self, clip: Clip, started_at: datetime) -> None:
        self.proving.began(clip, started_at)

    def _played(self, play: Play) -> None:
        self.proving.played(play)
        self._log.info("clip_played", item=play.clip.item, seconds=round(play.seconds, 2), complete=play.complete)

    def _broke(self, clip: Clip) -> None:
        if clip.sha256:
            self.library.suspect(clip.sha256)
        else:
            self.fallback.spoiled()
        self._wake.set()

    def _film_came(self, report: Report, sha256: str) -> None:
        self.library.held.add(sha256)
        self.reporting.done(sha256, report)
        self.speaking.wake()
        self._wake.set()

    def _proofs_were_spoiled(self, spoiled: Path) -> None:
        self._log.error("proofs_spoiled", set_aside=spoiled.name)

    async def _keep_in_step(self) -> None:
        while True:
            self._wake.clear()
            showing, trusted = self.playback.showing, self.trusted
            self.connection.limit(trusted.manifest.fetch_kbps if trusted.manifest else 0)
            override = trusted.override
            wanted, again = await self.library.reconcile(
                trusted.manifest,
                showing=showing.sha256 if showing else "",
                now=self.time.now(),
                urgent=override.films if override else (),
            )
            self._showing = decide(
                () if trusted.override_lost else wanted.loop,
                manifest=trusted.manifest,
                override=override,
                held=self.library.held,
                broken=self.library.broken,
            )
            self._show(self._showing)
            self.speaking.wake()
            self.reporting.wake()
            await self.fetching.retry()
            if not again:
                until = [t for t in (wanted.next_change, override.until if override else None) if t]
                await self._until(min(until, default=None))

    def _show(self, showing: Showing) -> None:
        if showing.shows is Shows.BLACKOUT:
            self.playback.show_black()
            return
        clips = self.library.clips(showing.loop, version=self.trusted.version)
        self.playback.show(clips or ((self.fallback.clip,) if self.fallback.clip else ()))

    async def _until(self, next_change: datetime | None) -> None:
        wait = LOOK_AGAIN_S
        if next_change is not None:
            wait = min(wait, max(0.0, (next_change - self.time.now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()

    # --- the rest

    def machine(self) -> Machine:
        return self.wellbeing.machine()

    def problems(self) -> list[Problem]:
        """What somebody should know, for the hub."""
        return self.wellbeing.problems()

    @property
    def unstored(self) -> str:
        """Why the last of what came could not be kept; "" = it could."""
        return self._unstored or self.library.trouble

    def _standing(self) -> Standing:
        clip = self.playback.showing
        cid = cid_of(clip.sha256) if clip and clip.sha256 else ""
        return Standing(shows=self.shows.value, item=clip.item if clip else "", cid=cid)

    async def _publish_shot(self, payload: bytes) -> bool:
        return await self.connection.publish(self.topics.shot(self._settings.player), payload, qos=1)

    async def _publish_proof(self, payload: bytes) -> bool:
        return await self.connection.publish(self.topics.proof(self._settings.player), payload, qos=1)

    def _fallback_is_ready(self, clip: Clip) -> None:
        self.playback.keep_ready(clip)
        self._wake.set()

    async def _serve_orders(self) -> None:
        path = orders.socket_path(self._settings.state_dir)
        try:
            await orders.serve(path, {"screenshot": self._take_screenshot, "status": self._tell_status})
        except OSError as error:
            self._log.error("orders_not_served", reason=str(error))

    async def _take_screenshot(self) -> dict[str, Any]:
        try:
            await self.playback.screenshot(self.screenshot_path)
        except (MpvGone, MpvRefused) as error:
            return {"error": f"there is no picture: {error}"}
        return {"path": str(self.screenshot_path), **await self._tell_status()}

    async def _tell_status(self) -> dict[str, Any]:
        return dict(self.speaking.state().model_dump(mode="json"))
