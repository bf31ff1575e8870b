"""The player: follows its play list, fetches what it lacks, shows what it may, and proves what it showed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from plugins.videotron.player import orders
from plugins.videotron.player.connection import Connection
from plugins.videotron.player.fallback import fallback_clip
from plugins.videotron.player.fetching import Fetching
from plugins.videotron.player.following import Following, ListRefused
from plugins.videotron.player.heartbeat import beat
from plugins.videotron.player.library import Library
from plugins.videotron.player.mpv import MpvGone, MpvRefused
from plugins.videotron.player.playback import Clip, Play, Playback
from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.player.proof import open_proof_log
from plugins.videotron.player.proving import Proving
from plugins.videotron.player.reconcile import Limits
from plugins.videotron.player.settings import PlayerSettings
from plugins.videotron.player.speaking import Speaking
from plugins.videotron.player.store import MB, Store
from plugins.videotron.protocol import HubState, ProofAck, Report, Topics, WireError, decode, open_envelope

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
        self._fallback: Clip | None = None
        self._refused = ""
        self._epoch = ""
        self._build(settings, boot=secrets.token_hex(8))

    def _build(self, settings: PlayerSettings, *, boot: str) -> None:
        state, limits, player = settings.state_dir, settings.limits, settings.player
        clock, log = self._clock, self._log
        self.topics = Topics(settings.broker.namespace)
        self.store = Store(state / "media", keep_free_bytes=limits.keep_free_mb * MB)
        self.following = Following(state / "playlist.json", player=player, limits=_limits(settings))
        self.proofs = open_proof_log(
            state / "proof.db", boot=boot, keep=limits.max_proofs, set_aside=self._proofs_were_spoiled
        )
        self.fetching = Fetching(store=self.store, boot=int(boot, 16), clock=clock, log=log, on_done=self._film_came)
        self.library = Library(store=self.store, fetching=self.fetching, log=log)
        self.playback = Playback(
            mpv=settings.mpv, screen=settings.screen, clock=clock, log=log, on_play=self._played, on_broken=self._broke
        )
        self.speaking = Speaking(player=player, boot=boot, topics=self.topics, clock=clock, agent=self)
        self.connection = Connection(
            settings=settings.broker,
            player=player,
            will=(self.topics.state(player), self.speaking.will),
            log=log,
        )
        self.proving = Proving(proofs=self.proofs, player=player, publish=self._publish_proof, log=log)

    @property
    def settings(self) -> PlayerSettings:
        return self._settings

    @property
    def screenshot_path(self) -> Path:
        return self._settings.state_dir / "screen.png"

    async def run(self) -> None:
        """Be the player until cancelled; what was played until then is recorded."""
        self._load_list()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_fallback(), name="player: fallback")
                group.create_task(self.playback.run(), name="player: playback")
                group.create_task(self._keep_in_step(), name="player: keep in step")
                group.create_task(self.connection.run(self), name="player: connection")
                group.create_task(self.speaking.run(self.connection), name="player: speak")
                group.create_task(self.proving.run_recorder(), name="player: record plays")
                group.create_task(self.proving.run_sender(), name="player: send proofs")
                group.create_task(self._serve_orders(), name="player: orders")
                group.create_task(beat(healthy=lambda: self.playback.healthy, status=self.speaking.summary))
        finally:
            self.proving.record_rest()
            await self.fetching.close()
            self.proofs.close()

    # --- what the connection brings

    async def connected(self) -> None:
        """Subscribe, say how things are, bring what waits."""
        self.fetching.report_all(forget_sequences=False)
        await self.speaking.greet(self.connection)
        self.proving.wake()

    async def take(self, topic: str, payload: bytes) -> None:
        """Deal with one message; one that breaks a rule is logged and changes nothing."""
        try:
            await self._dispatch(*self.topics.parse(topic), payload)
        except (WireError, ListRefused) as error:
            self._log.warning("message_refused", topic=topic[:120], reason=str(error)[:300])
        except OSError as error:
            self._refused = f"the play list could not be stored: {error}"[:300]
            self._log.error("playlist_not_stored", reason=str(error))

    async def _dispatch(self, kind: str, cid: str, player: str, payload: bytes) -> None:
        if player not in ("", self._settings.player):
            return
        match kind:
            case "playlist":
                await self._take_list(payload)
            case "block_list":
                await self.fetching.take_list(cid, payload)
            case "group" | "unicast":
                await self.fetching.take_block(cid, payload)
            case "hub":
                self._take_hub(decode(HubState, payload))
            case "control" if open_envelope(payload).type == ProofAck.TYPE:
                await self.proving.take_ack(decode(ProofAck, payload))
        self.speaking.wake()

    async def _take_list(self, payload: bytes) -> None:
        try:
            is_new = await self.following.take(payload)
        except ListRefused as refused:
            self._refused = str(refused)[:300]
            raise
        self._refused = ""
        if is_new:
            self._log.info("playlist_taken", serial=self.following.serial)
            self.library.forgive()
            self._wake.set()

    def _take_hub(self, hub: HubState) -> None:
        if hub.online and hub.epoch != self._epoch:
            self._epoch = hub.epoch
            self.fetching.report_all(forget_sequences=True)
            self.speaking.say_everything(within_s=random.random())  # noqa: S311 - spreads the players, guards nothing
            self.proving.wake()

    # --- what the screen and the disk bring

    def _played(self, play: Play) -> None:
        self.proving.played(play)
        self._log.info("clip_played", item=play.clip.item, seconds=round(play.seconds, 2), complete=play.complete)

    def _broke(self, clip: Clip) -> None:
        if clip.sha256:
            self.library.suspect(clip.sha256)
        else:
            self._log.error("fallback_not_playable", path=str(clip.path))
            self._fallback = None
        self._wake.set()

    def _film_came(self, report: Report, sha256: str) -> None:
        self.library.held.add(sha256)
        self.speaking.done(sha256, report)
        self._wake.set()

    def _proofs_were_spoiled(self, spoiled: Path) -> None:
        self._log.error("proofs_spoiled", set_aside=spoiled.name)

    async def _keep_in_step(self) -> None:
        while True:
            self._wake.clear()
            showing = self.playback.showing
            wanted, again = await self.library.reconcile(
                self.following.current, showing=showing.sha256 if showing else "", now=self._clock.now()
            )
            loop = self.library.clips(wanted.loop)
            self.playback.show(loop or ((self._fallback,) if self._fallback else ()))
            self.speaking.wake()
            await self.fetching.retry()
            if not again:
                await self._until(wanted.next_change)

    async def _until(self, next_change: datetime | None) -> None:
        wait = LOOK_AGAIN_S
        if next_change is not None:
            wait = min(wait, max(0.0, (next_change - self._clock.now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()

    # --- the rest

    def errors(self) -> list[str]:
        """What somebody should know, for the hub."""
        found = [self._refused, self.playback.trouble, self.proving.trouble, *self.fetching.troubles]
        found += [f"film {sha256[:12]} cannot be played" for sha256 in sorted(self.library.broken)]
        current, screen = self.following.current, self._settings.screen
        if current and (current.screen.width, current.screen.height) != (screen.width, screen.height):
            wanted = f"{current.screen.width}x{current.screen.height}"
            found.append(f"the play list is for a screen of {wanted}, this one has {screen.width}x{screen.height}")
        if current and self._clock.now() < current.issued:
            found.append("the clock is wrong: it shows a time before the play list was issued")
        return [error for error in found if error][:20]

    async def _publish_proof(self, payload: bytes) -> bool:
        return await self.connection.publish(self.topics.proof(self._settings.player), payload, qos=1)

    def _load_list(self) -> None:
        try:
            self.following.load()
        except ListRefused as refused:
            self._log.error("stored_playlist_refused", reason=str(refused))

    async def _make_fallback(self) -> None:
        try:
            self._fallback = await fallback_clip(self._settings)
        except (MpvGone, OSError) as error:
            self._log.error("fallback_missing", reason=str(error))
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


def _limits(settings: PlayerSettings) -> Limits:
    limits = settings.limits
    return Limits(file_bytes=limits.max_file_mb * MB, total_bytes=limits.max_total_mb * MB, entries=limits.max_entries)
