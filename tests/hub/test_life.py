"""The life of items, whatever comes in whatever order: nothing goes back by itself, nothing is forgotten."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.api import Delivered, DeliveryFailed, DeliveryState, Played, Priority, Rejected, RetryLater, Sha256
from hub.ledger import deliveries, items, renditions
from hub.media.transcoder import NotMade
from hub.testing import NOON
from hub.windows import Windows
from tests.hub.world import LARGE, SMALL, Place, World

ORDER = list(DeliveryState)
LIVE, OVER = ("accepted", "active"), ("ended", "withdrawn")
OPEN = ("planned", "transcoding", "ready", "handed over", "delivered", "played")
MOODS = {"well": None, "dark": RetryLater("dark"), "rejects": Rejected("full"), "has a bug": KeyError("bug")}


class Life(RuleBasedStateMachine):
    """Rules are what people, plugins, time and kills do."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.runner = asyncio.Runner()
        self.place = Place("p", "one", "two")
        self.world = self.do(self._make())
        self.numbers: list[str] = []
        self.before: dict[str, DeliveryState] = {}
        self.withdrawn: set[str] = set()
        self.may_go_back = False
        self.said = 0

    @rule(later=st.booleans(), urgent=st.booleans(), twin=st.booleans())
    def accept(self, later: bool, urgent: bool, twin: bool) -> None:
        start = self.world.clock.now() + timedelta(hours=1 if later else 0)
        name = "same.mp4" if twin else f"{len(self.numbers)}.mp4"
        priority = Priority.URGENT if urgent else Priority.NORMAL
        item = self.do(self.world.accept(name, start=start, end=start + timedelta(days=2), priority=priority))
        self.numbers.append(item.number)
        self.do(self.world.settle())

    @rule(mood=st.sampled_from(sorted(MOODS)), pending=st.booleans())
    def destination_becomes(self, mood: str, pending: bool) -> None:
        error = MOODS[mood]

        async def act(_: object) -> None:
            if error:
                raise error

        self.place.pending = pending
        self.place.on_deliver = act if error else None

    @rule(what=st.sampled_from(["makes", "cannot", "cannot now"]))
    def kitchen_becomes(self, what: str) -> None:
        no = [NotMade(profile=one, message="no", values={}, transient=what == "cannot now") for one in (SMALL, LARGE)]
        self.world.kitchen.refuse = {} if what == "makes" else {one.profile: one for one in no}

    @rule(screens=st.sets(st.sampled_from(["one", "two", "three"]), min_size=1), large=st.booleans())
    def screens_change(self, screens: set[str], large: bool) -> None:
        self.place.screens, self.place.profile = sorted(screens), LARGE if large else SMALL
        self.may_go_back = True
        self.do(self.world.workflow.replan("p"))
        self.do(self.world.settle())

    @precondition(lambda self: self.numbers)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.numbers))
        assert self.do(self.world.workflow.withdraw(number, "keliru", who="dini")).done
        self.withdrawn.add(number)
        self.do(self.world.settle())

    @precondition(lambda self: self.numbers)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.may_go_back = True
        self.do(self.world.workflow.retry(data.draw(st.sampled_from(self.numbers))))
        self.do(self.world.settle())

    @precondition(lambda self: self.before)
    @rule(data=st.data(), kind=st.sampled_from(["delivered", "failed", "played", "old proof"]), again=st.booleans())
    def plugin_says(self, data: st.DataObject, kind: str, again: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.before)))
        made = self.do(self.world.database.read(renditions.of_delivery, "p", key)) or ()
        shown = made[0].sha256 if made and kind == "played" else Sha256("0" * 64)
        fact: Any = {
            "delivered": Delivered(delivery=key, at=NOON),
            "failed": DeliveryFailed(delivery=key, at=NOON, reason="full"),
        }.get(kind) or Played(
            delivery=key, item=items.ItemNumber(key.partition("/")[0]), destination="x", rendition=shown,
            started_at=NOON, seconds=1.0, complete=True,
        )  # fmt: skip
        self.said += 1
        fact_key = str(self.said)
        assert self.do(self.world.journal("p").record(fact, key=fact_key))
        if again:
            assert not self.do(self.world.journal("p").record(fact, key=fact_key))

    @rule(hours=st.sampled_from([0.05, 1, 30]))
    def time_passes(self, hours: float) -> None:
        self.world.clock.advance(timedelta(hours=hours))
        self.do(
            self.world.database.write(Windows(self.world.database, self.world.clock, self.world.wake)._cross_boundaries)
        )
        self.do(self.world.settle())

    @rule()
    def renditions_are_lost(self) -> None:
        shutil.rmtree(self.world.kitchen.folder, ignore_errors=True)
        self.may_go_back = True

    @rule(cut=st.booleans())
    def hub_starts_again(self, cut: bool) -> None:
        if cut:  # killed while whatever was queued had just begun
            self.do(self.world.database.write(lambda db: db.execute("UPDATE job SET state = 'running'").rowcount))
            self.do(self.world.database.write(lambda db: db.execute("UPDATE job SET bugs = 0").rowcount))
        self.do(self._start())
        self.may_go_back = True  # an interrupted job may find a rendition lost
        self.do(self.world.settle())

    @invariant()
    def numbers_have_no_gap(self) -> None:
        known = self.do(self.world.database.read(items.all_items)) if self.numbers else []
        months: dict[str, list[int]] = {}
        for item in known:
            months.setdefault(item.number[:10], []).append(int(item.number[11:]))
        assert all(serials == list(range(1, len(serials) + 1)) for serials in months.values())
        assert [item.number for item in known] == self.numbers

    @invariant()
    def deliveries_go_forward(self) -> None:
        now = {row.delivery.key: row.state for row in self._rows()}
        for key, state in now.items():
            old = self.before.get(key, state)
            if not self.may_go_back and old.value in OPEN and state.value in OPEN:
                assert ORDER.index(state) >= ORDER.index(old), (key, old, state)
            if key.partition("/")[0] in self.withdrawn:
                assert state.value not in OPEN, (key, state)
        self.before, self.may_go_back = now, False

    @invariant()
    def what_is_withdrawn_stays_so_and_is_nowhere(self) -> None:
        for number in self.withdrawn:
            item = self.do(self.world.database.read(items.get, number))
            assert item.state.value == "withdrawn"
            assert not [key for key in self.place.holds if key.startswith(number)]

    @invariant()
    def every_open_step_has_its_job_and_no_other_has(self) -> None:
        found = self._jobs()
        states = {item.number: item.state.value for item in self.do(self.world.database.read(items.all_items))}
        for kind, key, item in found:
            assert states[item] in LIVE or kind in ("withdraw", "transcode"), (kind, key)
        kinds = {(kind, key) for kind, key, _ in found}
        for row in self._rows():
            if states[row.delivery.item] in LIVE and row.state is DeliveryState.READY:
                assert ("deliver", f"p/{row.delivery.key}") in kinds, row
            if states[row.delivery.item] in LIVE and row.state in ORDER[:2]:
                assert any(("transcode", want.asset) in kinds for want in row.delivery.wants), row

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
            self.runner.close()
            shutil.rmtree(self.folder)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def _make(self) -> World:
        return World(self.folder, self.place, first_retry_s=60.0)

    async def _start(self) -> None:
        self.world.start()

    def _rows(self) -> list[deliveries.DeliveryRow]:
        return [row for one in self.numbers for row in self.do(self.world.database.read(deliveries.of_item, one))]

    def _jobs(self) -> list[tuple[str, str, str]]:
        query = "SELECT kind, key, item FROM job"
        return [tuple(row) for row in self.do(self.world.database.read(lambda db: db.execute(query).fetchall()))]


Life.TestCase.settings = settings(
    derandomize=True, max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase
