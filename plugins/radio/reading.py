"""What the radio's commands show: read from the database of a running or a stopped hub, which they never change."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from plugins.radio.database import FILE_NAME, open_read_only, text_of

Row = Mapping[str, object]

_PLAN = (
    "SELECT id AS airing, item, destination, state, planned_at, started_at, seconds, duration_s, attempt, reason"
    " FROM airings WHERE planned_at >= ? AND planned_at < ? ORDER BY planned_at, id"
)
_QUEUE = (
    "SELECT id AS airing, item, destination, state, planned_at, deadline, duration_s, attempt, reason"
    " FROM airings WHERE state IN ('planned', 'due', 'sent', 'on air') ORDER BY planned_at, id"
)
_AS_RUN = (
    "SELECT o.airing, o.item, o.destination, o.state, o.at AS started_at, a.ended_at, o.seconds, a.duration_s, o.reason"
    " FROM outcomes o JOIN airings a ON a.id = o.airing WHERE o.at >= ? AND o.at < ?"
    " AND o.state IN ('aired', 'partial', 'withdrawn') AND o.seconds > 0 ORDER BY o.at, o.key"
)
_TIMES = frozenset({"planned_at", "started_at", "ended_at", "deadline"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLog:
    """The airings as people ask for them; days and times are those of `zone`."""

    state_dir: Path
    zone: ZoneInfo

    def plan(self, day: date) -> Sequence[Row]:
        """Every airing planned for that day, whatever became of it."""
        return self._rows(_PLAN, *self._bounds(day))

    def queue(self) -> Sequence[Row]:
        """What is still to air."""
        return self._rows(_QUEUE)

    def as_run(self, day: date) -> Sequence[Row]:
        """What went on air that day, with the seconds that did."""
        return self._rows(_AS_RUN, *self._bounds(day))

    def _bounds(self, day: date) -> tuple[str, str]:
        midnights = [datetime.combine(day + timedelta(days=n), time(), self.zone) for n in (0, 1)]
        return text_of(midnights[0]), text_of(midnights[1])

    def _rows(self, query: str, *values: str) -> Sequence[Row]:
        path = self.state_dir / FILE_NAME
        if not path.exists():
            return []  # nothing was ever planned
        with closing(open_read_only(path)) as db:
            return [self._shown(row) for row in db.execute(query, values)]

    def _shown(self, row: sqlite3.Row) -> Row:
        return {name: self._local(row[name]) if name in _TIMES else row[name] for name in row.keys()}  # noqa: SIM118 - a Row is no dict

    def _local(self, text: str | None) -> str | None:
        return datetime.fromisoformat(text).astimezone(self.zone).isoformat(timespec="milliseconds") if text else None
