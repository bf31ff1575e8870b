"""Months as people name them: in the office's time zone, in Indonesian, never by the system locale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

NAMES = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni",
    "Juli", "Agustus", "September", "Oktober", "November", "Desember",
)  # fmt: skip
_TEXT = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One calendar month; `str()` gives `yyyy-mm`."""

    year: int
    number: int

    @classmethod
    def of(cls, instant: datetime, zone: tzinfo) -> Month:
        """The month that an instant falls in, by the clocks of the people."""
        local = instant.astimezone(zone)
        return cls(local.year, local.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month written `yyyy-mm`. Raises: ValueError."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a month: write it as 2026-11")
        return cls(int(match[1]), int(match[2]))

    @property
    def title(self) -> str:
        return f"{NAMES[self.number - 1]} {self.year}"

    @property
    def folder(self) -> str:
        """The month's folder below the archive's root: `2026/2026-11 November`."""
        return f"{self.year:04}/{self} {NAMES[self.number - 1]}"

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


def local_iso(instant: datetime, zone: tzinfo) -> str:
    """ISO 8601 to the second with the offset of the people's zone: `2026-11-22T12:00:00+08:00`."""
    return instant.astimezone(zone).isoformat(timespec="seconds")
