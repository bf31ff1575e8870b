"""Free space, promised once: a drop begins only when all that will come of it fits beside all that was begun before.

An original stands up to three times: in people's folders, in the vault, in the archive; and there are its renditions.
What the drops in hand and the accepted items will still take is subtracted from what is free on each file system.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from hub.api import Clock
from hub.intake.claim import NoSpace
from hub.messages import Refusal

RENDITIONS = 0.5  # of an original's size, before anybody has looked inside
MEASURE_EVERY_S, MEASURE_AFTER_BYTES = 0.5, 64 << 20  # a burst of small files asks thousands of times
FORECAST_EVERY_S, FORECAST_SHARE = 5.0, 50  # at most one part in so many of the time goes into it
ANSWER_WITHIN_S = 3.0  # a network mount may hang for ever


class Place(StrEnum):
    PEOPLE = "people"  # Disetujui, Diterima, Ditolak
    STATE = "state"  # vault and renditions
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes that are still to be written."""

    people: int = 0
    state: int = 0
    archive: int = 0
    copied: bool = False  # the vault's copy is no longer among it

    def __add__(self, other: Need) -> Need:
        return Need(
            people=self.people + other.people, state=self.state + other.state, archive=self.archive + other.archive
        )

    def __sub__(self, other: Need) -> Need:
        return Need(
            people=self.people - other.people, state=self.state - other.state, archive=self.archive - other.archive
        )

    def at(self, place: Place) -> int:
        return int(getattr(self, place.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """Where a place is, as of now."""

    device: int
    free: int


Forecast = Callable[[], Awaitable[Need]]
"""What the accepted items will still take."""
Key = tuple[Path, str]
"""The watched folder, and the drop's anchor in it."""


def need_of(sizes: Iterable[int], *, brought: bool = False) -> Need:
    """What a drop of files of these sizes will take; `brought`: from another file system to that of Diterima."""
    size = sum(sizes)
    return Need(people=size if brought else 0, state=size + int(size * RENDITIONS), archive=size)


def needed(needs: Iterable[Need], systems: Mapping[Place, FileSystem]) -> dict[int, int]:
    """Bytes for each file system (by device) that these needs will take together; a place that is away takes none."""
    total = sum(needs, Need())
    found: dict[int, int] = {}
    for place, system in systems.items():
        found[system.device] = found.get(system.device, 0) + total.at(place)
    return found


class Space:
    """Promises space to drops, one at a time."""

    def __init__(
        self,
        folders: Mapping[Place, Path],
        *,
        reserve_bytes: int,
        forecast: Forecast | None,
        clock: Clock,
        measure: Callable[[Path], FileSystem] | None = None,
    ) -> None:
        """`measure` says where a folder is (else the kernel); it may block, and raise OSError."""
        self._folders = folders
        self._reserve = reserve_bytes
        self._forecast = forecast
        self._clock = clock
        self._file_system_of = measure or file_system_of
        self._in_hand: dict[Key, Need] = {}
        self._promised = Need()  # all of those together: thousands may wait for their sidecars
        self._wanting: dict[Key, int] = {}  # how much free on the hub's own disk would do
        self._accepted = Need()  # as of the last forecast
        self._since = Need()  # accepted since then
        self._forecast_due = float("-inf")
        self._systems: dict[Place, FileSystem] = {}
        self._measure_due = float("-inf")
        self._written = 0  # since the last measurement
        self._asking = asyncio.Lock()
        self._looking: dict[Place, asyncio.Future[FileSystem]] = {}

    @property
    def wants_free_bytes(self) -> int:
        """So much free on the hub's own disk would let one more in of those that wait; 0 when none does."""
        return min(self._wanting.values(), default=0)

    async def promise(self, key: Key, device: int, sizes: Iterable[int]) -> None:
        """Promise all that these files, which stand on `device`, will take.

        Raises: NoSpace with the reason; then nothing is promised.
        """
        async with self._asking:
            self.ended(key)
            await self._ask_forecast()
            await self._measure()
            people = self._systems.get(Place.PEOPLE)
            need = need_of(sizes, brought=people is not None and people.device != device)
            if lack := self._lack(key, need):
                self._measure_due = float("-inf")
                raise NoSpace(lack)
            self._hold(key, need)

    def copied(self, key: Key) -> None:
        """The vault has its copy."""
        need = self._in_hand.get(key)
        if need is not None and not need.copied:
            self._written += need.archive
            self._hold(key, replace(need, state=need.state - need.archive, copied=True))

    def accepted(self, key: Key) -> None:
        """It is in the ledger: the forecast knows it from its next look on."""
        need = self._in_hand.get(key, Need())
        self._hold(key, None)
        self._written += need.people
        self._since += need

    def ended(self, key: Key) -> None:
        """Nothing more will come of it."""
        self._hold(key, None)
        self._wanting.pop(key, None)

    def forget_all_but(self, inbox: Path, anchors: Set[str]) -> None:
        """Drops of this folder that are gone need nothing."""
        known = self._in_hand.keys() | self._wanting.keys()
        for key in [key for key in known if key[0] == inbox and key[1] not in anchors]:
            self.ended(key)

    def _lack(self, key: Key, need: Need) -> Refusal | None:
        promised = needed([self._promised, self._accepted, self._since], self._systems)
        own = needed([need], self._systems)
        free = {system.device: system.free for system in self._systems.values()}
        for device, size in own.items():
            room = free[device] - self._written - promised[device] - self._reserve
            if size and size > room:
                places = {place for place, system in self._systems.items() if system.device == device}
                if Place.STATE in places:
                    self._wanting[key] = free[device] + size - room
                return lacks(size, max(0, room), archive=places == {Place.ARCHIVE})
        return None

    def _hold(self, key: Key, need: Need | None) -> None:
        """Promise so much to this drop, instead of what it was promised before."""
        self._promised -= self._in_hand.pop(key, Need())
        if need is not None:
            self._in_hand[key] = need
            self._promised += need

    async def _ask_forecast(self) -> None:
        now = self._clock.monotonic()
        if self._forecast is None or now < self._forecast_due:
            return
        before = self._since  # in the ledger already; what is accepted meanwhile counts twice until the next look
        self._accepted = await self._forecast()
        self._since -= before
        took = self._clock.monotonic() - now
        self._forecast_due = self._clock.monotonic() + max(FORECAST_EVERY_S, FORECAST_SHARE * took)

    async def _measure(self) -> None:
        if self._clock.monotonic() < self._measure_due and self._written < MEASURE_AFTER_BYTES:
            return
        self._written = 0
        found = {place: await self._look(place, folder) for place, folder in self._folders.items()}
        self._systems = {place: system for place, system in found.items() if system is not None}
        self._measure_due = self._clock.monotonic() + MEASURE_EVERY_S

    async def _look(self, place: Place, folder: Path) -> FileSystem | None:
        """None while it does not answer: it is asked by one thread at most, however long it hangs."""
        asked = self._looking.get(place)
        if asked is None:
            asked = self._looking[place] = asyncio.get_running_loop().run_in_executor(
                None, self._file_system_of, folder
            )
        done, _ = await asyncio.wait({asked}, timeout=ANSWER_WITHIN_S)
        if not done:
            return None
        del self._looking[place]
        try:
            return asked.result()
        except OSError:
            return None


def lacks(need: int, room: int, *, archive: bool) -> Refusal:
    """The words for a drop that does not fit; `archive`: on its own disk, which holds nothing else of ours."""
    values = {"need": spell_size(need), "room": spell_size(room)}
    if archive:
        return Refusal(
            "It needs {need} on the disk of the archive; {room} are free there after what is already promised. Nothing "
            "is lost: it is taken by itself when there is room.",
            **values,
        )
    return Refusal(
        "It needs {need} of disk space (its copy, what is made of it, its place in the archive); {room} are free after "
        "what is already promised. Nothing is lost: it is taken by itself when there is room.",
        **values,
    )


def spell_size(size: int) -> str:
    """`12 MB` or `1.5 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def file_system_of(folder: Path) -> FileSystem:
    """Where the folder is, or will be once it is made. Blocks. Raises: OSError."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    status = os.statvfs(folder)
    return FileSystem(device=folder.stat().st_dev, free=status.f_bavail * status.f_frsize)
