"""Feeds Liquidsoap one airing at a time, just in time, and learns from its as-run file what really aired.

Each step begins with the executor's status and the as-run file, never with what was believed before: whichever of the
two programmes was killed, the next step goes on from the database. `sent` is written before the push, so an airing
whose push is in doubt is looked for in the executor, and pushed again only when it is surely not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from hub.api import AiringState, Clock, Journal, Log
from plugins.radio import as_run, media
from plugins.radio.airings import Airings
from plugins.radio.condition import Condition
from plugins.radio.liquidsoap import ExecutorLost, ExecutorRefused, Liquidsoap, Status
from plugins.radio.records import Airing, moment

ABSENT_S = 3.0  # an answered push shows in the status within this
IN_DOUBT_S = 7.0  # an unanswered one may still be resolving its file: 5 s in radio.liq
BUSY_PAUSE_S = 0.4
IDLE_PAUSE_S = 2.0
UNLINKED_PAUSE_S = 2.0
OVERDUE_S = 10.0
CHECK_TONE = "check-"  # tokens of `siarhub radio check`

Repair = Callable[[Airing], Awaitable[bool]]


class Playout:
    def __init__(
        self,
        *,
        airings: Airings,
        client: Liquidsoap,
        as_run_file: Path,
        media_folder: Path,
        repair: Repair,
        journal: Journal,
        clock: Clock,
        log: Log,
    ) -> None:
        self.condition = Condition()
        self._airings = airings
        self._client = client
        self._as_run_file = as_run_file
        self._media_folder = media_folder
        self._repair = repair
        self._journal = journal
        self._clock = clock
        self._log = log
        self._turn = asyncio.Lock()  # a withdrawal never falls between `sent` and the push
        self._wake = asyncio.Event()
        self._absent: dict[str, float] = {}
        self._answered: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        self.condition.running = True
        try:
            while True:
                self._wake.clear()
                await self.step()
                await self._pause()
        finally:
            self.condition.running = False
            await self._client.close()

    def wake(self) -> None:
        """Something changed: look now."""
        self._wake.set()

    async def step(self) -> None:
        """One look at everything, and at most one push. Repeatable at any time."""
        async with self._turn:
            status = await self._look()
            if status is None and await asyncio.to_thread(self._nothing_new):
                self.condition.compare_lines(self._clock.monotonic())
                return
            await self._read_as_run()
            await asyncio.to_thread(self._airings.plan, self._clock.now())
            if status is not None:
                await self._compare(status)
        await self._report()

    async def take_back(self) -> bool:
        """Remove from the executor all that was withdrawn; False when it can not be asked now."""
        async with self._turn:
            waiting = [a for a in await asyncio.to_thread(self._airings.given) if a.withdrawing]
            status = await self._look() if waiting else None
            if status is not None:
                for airing in waiting:
                    await self._stop(airing.token, status)
            done = status is not None or not waiting
        self.wake()
        return (done and not self.condition.link_error) or not waiting

    async def _look(self) -> Status | None:
        try:
            status = await self._client.status()
        except (ExecutorLost, ExecutorRefused) as error:
            if not self.condition.link_error:
                self._log.warning("executor_lost", error=str(error))
            self.condition.link_error = str(error)
            return None
        if self.condition.link_error:
            self._log.info("executor_found", boot=status.boot)
        self.condition.link_error = ""
        self.condition.output_up = status.output_up
        self.condition.lines_said = status.lines
        if self.condition.saw_boot(status.boot, self._clock.now().timestamp()):
            self._log.info("executor_booted", boot=status.boot)
            await self._recall_lines()
        return status

    async def _recall_lines(self) -> None:
        """What an earlier run of the hub has read of this boot is not read again, and must not be missed."""
        position = await asyncio.to_thread(self._airings.position)
        try:
            line = await asyncio.to_thread(as_run.last_read, self._as_run_file, position)
        except OSError:
            return  # reading on tells of it
        if line is not None and line.boot == self.condition.boot:
            self.condition.lines_read = line.n

    def _nothing_new(self) -> bool:
        """Without an executor, a look each second finds nothing mostly: that costs one hop to a thread, not four."""
        position = self._airings.position()
        try:
            if as_run.read_on(self._as_run_file, position).position != position:
                return False
        except OSError:
            return False
        self._airings.plan(self._clock.now())
        return not self._airings.unreported(1)

    async def _read_as_run(self) -> None:
        while True:
            position = await asyncio.to_thread(self._airings.position)
            try:
                reading = await asyncio.to_thread(as_run.read_on, self._as_run_file, position)
            except OSError as error:
                self.condition.troubles.append(f"as-run: {error}")
                self._log.error("as_run_unreadable", error=str(error))
                return
            if reading.position == position:
                break
            await asyncio.to_thread(self._airings.apply, reading, self._clock.now())
            self._note_lines(reading)
        self.condition.compare_lines(self._clock.monotonic())

    def _note_lines(self, reading: as_run.Reading) -> None:
        if reading.bad:
            self.condition.bad_lines += reading.bad
            self._log.warning("as_run_lines_skipped", lines=reading.bad)
        for line in reading.lines:
            self.condition.last_line_at = self._clock.monotonic()
            if line.boot == self.condition.boot:
                self.condition.lines_read = max(self.condition.lines_read, line.n)
            elif self.condition.boot and line.at > self.condition.boot_seen_at + 2:
                self.condition.clash = line.boot
            if line.event in ("silence", "noise"):
                self.condition.silent = line.event == "silence"
            if line.event in ("start", "end"):
                self._log.info("as_run_read", what=line.event, airing=line.token, at=moment(line.at).isoformat())

    async def _compare(self, status: Status) -> None:
        """Bring the executor and the queue to agree; then feed."""
        for token in {status.current, *status.waiting} - {""}:
            await self._recognise(token, status)
        for airing in await asyncio.to_thread(self._airings.given):
            await self._follow(airing, status)
        if status.idle and status.output_up:
            await self._feed(status)

    async def _recognise(self, token: str, status: Status) -> None:
        if token.startswith(CHECK_TONE):
            return
        airing = await asyncio.to_thread(self._airings.find, token)
        wanted = airing is not None and not airing.withdrawing
        if airing is not None and wanted and airing.state in (AiringState.DUE, AiringState.SENT, AiringState.ON_AIR):
            await asyncio.to_thread(self._airings.adopt, token, status.boot, self._clock.now())
        elif airing is None or airing.state is not AiringState.AIRED:
            # Aired: its end line came a moment before the executor let go of it.
            await self._stop(token, status)

    async def _follow(self, airing: Airing, status: Status) -> None:
        now, token = self._clock.now(), airing.token
        if status.holds(token):
            self._absent.pop(token, None)
            late = airing.started_at and now - airing.started_at > timedelta(seconds=airing.duration_s + OVERDUE_S)
            self.condition.overdue = token if late else ""
            return
        since = self._absent.setdefault(token, self._clock.monotonic())
        grace = ABSENT_S if token in self._answered or airing.state is AiringState.ON_AIR else IN_DOUBT_S
        if airing.boot == status.boot and self._clock.monotonic() - since < grace:
            return
        reason = "the executor lost it" if airing.boot == status.boot else "the executor was restarted"
        self.condition.vanished += 1
        self.condition.overdue = ""
        self._forget(token)
        self._log.warning("airing_lost", airing=token, reason=reason)
        await asyncio.to_thread(self._airings.lost, token, reason, now)

    async def _stop(self, token: str, status: Status) -> bool:
        """True when the executor does not have it now."""
        try:
            done = await self._client.skip(token) or await self._client.remove(token)
        except (ExecutorLost, ExecutorRefused, ValueError) as error:
            self.condition.link_error = str(error)
            self._log.warning("airing_not_stopped", airing=token, error=str(error))
            return False
        if done:
            self._log.info("airing_stopped", airing=token, boot=status.boot)
        return True

    async def _feed(self, status: Status) -> None:
        if any(not a.withdrawing for a in await asyncio.to_thread(self._airings.given)):
            return  # one in flight is enough
        airing = await asyncio.to_thread(self._airings.next_due)
        if airing is None or not await self._has_sound(airing):
            return
        sent = await asyncio.to_thread(self._airings.begin_send, airing, status.boot, self._clock.now())
        if sent is None:
            return
        try:
            await self._client.push(sent.token, sent.file_name)
        except ExecutorLost as error:
            self._log.warning("push_in_doubt", airing=sent.token, error=str(error))
        except ExecutorRefused as error:
            await self._refused(sent, str(error))
        else:
            self._answered.add(sent.token)
            self._log.info("airing_sent", airing=sent.token, item=sent.item)

    async def _has_sound(self, airing: Airing) -> bool:
        path = self._media_folder / airing.file_name
        if await asyncio.to_thread(media.is_whole, path, airing.sha256) or await self._repair(airing):
            return True
        await self._failed(airing, "its sound is missing or damaged")
        return False

    async def _refused(self, airing: Airing, reply: str) -> None:
        if "unplayable" in reply:
            await self._failed(airing, "the executor can not play it")
        else:
            self._log.error("push_refused", airing=airing.token, reply=reply)
            await asyncio.to_thread(self._airings.lost, airing.token, f"refused: {reply}", self._clock.now())

    async def _failed(self, airing: Airing, reason: str) -> None:
        self.condition.troubles.append(f"{airing.id}: {reason}")
        self._log.error("airing_failed", airing=airing.token, reason=reason)
        await asyncio.to_thread(self._airings.fail, airing.token, reason, self._clock.now())

    async def _report(self) -> None:
        while outcomes := await asyncio.to_thread(self._airings.unreported):
            await self._journal.record_many([(outcome.key, outcome.fact) for outcome in outcomes])
            await asyncio.to_thread(self._airings.reported, outcomes)
            for outcome in outcomes:
                self._forget(outcome.key.split("/")[0])
                fact = outcome.fact
                self._log.info("airing_ended", airing=fact.airing, state=fact.state, seconds=round(fact.seconds, 2))

    def _forget(self, token: str) -> None:
        self._absent.pop(token, None)
        self._answered.discard(token)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(await self._pause_s()):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _pause_s(self) -> float:
        if self.condition.link_error:
            return UNLINKED_PAUSE_S
        if await asyncio.to_thread(self._airings.busy):
            return BUSY_PAUSE_S
        upcoming = await asyncio.to_thread(self._airings.next_time)
        if upcoming is None:
            return IDLE_PAUSE_S
        return min(IDLE_PAUSE_S, max(0.02, (upcoming - self._clock.now()).total_seconds()))
