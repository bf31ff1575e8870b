"""A look round the watched folder: what is ready, what still arrives. This is the truth, events are only hints."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from hub.api import Clock
from hub.intake.bundle import Bundle, BundleKind, Entry, FolderContent, folder_content, group
from hub.intake.evidence import Evidence, Parts
from hub.intake.names import display_name, is_ignored, is_partial
from hub.intake.remembered import Drops, Quiet
from hub.intake.settings import IntakeSettings
from hub.intake.settle import Busy, Look, Settled, Settler, Unreadable, Unusable
from hub.intake.urgency import is_urgent
from hub.messages import Catalogue, Refusal

LEFTOVER_UPLOAD_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A bundle that is complete; or that never will be (`problem`), or cannot be read (`unreadable`)."""

    bundle: Bundle
    name: str  # display-safe
    media: tuple[Settled, ...]
    sidecar: Settled | None
    fingerprint: tuple[tuple[Parts, Evidence], ...]  # of every file looked at
    quiet_since: float  # monotonic: when the last of it changed
    since: datetime  # first seen
    order: tuple[int, str]  # of arrival
    problem: Refusal | None = None
    unreadable: Refusal | None = None
    urgent: bool = False  # to be taken before all that is not

    @property
    def names(self) -> tuple[str, ...]:
        """All that moves together, the anchor last."""
        return (*self.bundle.others, self.bundle.anchor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """A bundle that is not complete yet."""

    anchor: str
    name: str  # display-safe
    since: datetime
    why: Refusal
    again_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    ready: tuple[Ready, ...]  # the urgent ones first, each kind in the order of arrival
    arriving: tuple[Arriving, ...]
    names: frozenset[str]  # display-safe, of all anchors present


class NamedRefusal(Refusal):
    """A refusal that concerns one file of several."""

    def __init__(self, inner: Refusal, *, name: str) -> None:
        super().__init__("{name}: {why}", name=name, why=str(inner))
        self._inner = inner

    @override
    def say(self, catalogue: Catalogue) -> str:
        return catalogue(self.message, name=self.values["name"], why=self._inner.say(catalogue))


@dataclass(slots=True, kw_only=True)
class _Known:
    """An answer that holds as long as the files that it rests on do."""

    ready: Ready
    rests_on: tuple[tuple[str, Evidence], ...]
    reused: bool = False


class Lookout:
    """Looks round; what has not changed since is not looked at again. Blocks: use a thread, one at a time."""

    def __init__(self, inbox: Path, settler: Settler, settings: IntakeSettings, clock: Clock) -> None:
        self._inbox = inbox
        self._settler = settler
        self._settings = settings
        self._clock = clock
        self._entries: list[Entry] = []
        self._bundles: list[Bundle] = []
        self._drops = Drops(inbox, clock)
        self._quiet = Quiet(clock)
        self._known: dict[str, _Known] = {}
        self._round: Round | None = None
        self._doubted: deque[Ready] = deque()  # filled by other threads

    def look_round(self) -> Round:
        """Everything in the watched folder; the same object as before while nothing changes.

        Raises: OSError when the folder itself cannot be read.
        """
        self._forget_doubted()
        fd = os.open(self._inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            entries = _listing(fd)
            if entries != self._entries:
                self._entries, self._bundles, self._round = entries, group(entries), None
            found = [self._known_still(bundle, fd) or self._examine(bundle, fd) for bundle in self._bundles]
        finally:
            os.close(fd)
        if self._round is None or not all(isinstance(one, _Known) and one.reused for one in found):
            self._round = self._summed_up([one for one in found if one is not None])
        return self._round

    def doubt(self, ready: Ready) -> None:
        """It could not be claimed as it was found: somebody may have it open, which no time of change tells."""
        self._doubted.append(ready)

    def is_unchanged(self, ready: Ready) -> bool:
        """Whether all that was looked at is still there as it was, and nothing joined it."""
        try:
            if not all(seen.holds_for(self._inbox.joinpath(*parts).lstat()) for parts, seen in ready.fingerprint):
                return False
            return ready.bundle.kind is not BundleKind.FOLDER or self._same_folder(ready)
        except OSError:
            return False

    def _same_folder(self, ready: Ready) -> bool:
        content = self._content(ready.bundle.anchor)
        listed = {*content.media, *((content.sidecar,) if content.sidecar else ())}
        return bool(ready.problem) or listed == {parts[-1] for parts, _ in ready.fingerprint}

    def _forget_doubted(self) -> None:
        while self._doubted:
            ready = self._doubted.popleft()
            self._known.pop(ready.bundle.anchor, None)
            for parts, _ in ready.fingerprint:
                self._settler.doubt(parts)

    def _known_still(self, bundle: Bundle, fd: int) -> _Known | None:
        """What was found before, when all that it rests on is as it was."""
        known = self._known.get(bundle.anchor)
        if known is None or (known.ready.bundle is not bundle and known.ready.bundle != bundle):
            return None
        try:
            for path, seen in known.rests_on:
                if not seen.holds_for(os.stat(path, dir_fd=fd, follow_symlinks=False)):
                    return None
        except OSError:
            return None
        known.reused = True
        return known

    def _summed_up(self, found: list[_Known | Ready | Arriving]) -> Round:
        self._known = {one.ready.bundle.anchor: one for one in found if isinstance(one, _Known)}
        anchors = {bundle.anchor for bundle in self._bundles}
        present = anchors.union(*(bundle.others for bundle in self._bundles))
        for memory in (self._drops, self._quiet, self._settler):
            memory.forget_all_but(present)
        ready = [one.ready if isinstance(one, _Known) else one for one in found if not isinstance(one, Arriving)]
        return Round(
            ready=tuple(sorted(ready, key=lambda one: (not one.urgent, one.order))),
            arriving=tuple(one for one in found if isinstance(one, Arriving)),
            names=frozenset(self._drops.of(anchor).name for anchor in anchors),
        )

    def _examine(self, bundle: Bundle, fd: int) -> _Known | Ready | Arriving | None:
        try:
            if bundle.kind is BundleKind.FOLDER:
                return self._examine_folder(bundle, fd)
            files: list[Parts] = [(name,) for name in (*bundle.others, bundle.anchor)]
            return self._judge(bundle, files, bundle.sidecar, bundle.problem)
        except FileNotFoundError:
            return None  # taken away while we looked
        except PermissionError:
            return self._ready(bundle, [], unreadable=_closed_folder())
        except OSError as error:
            return self._arriving(bundle, Refusal("It cannot be read now: {error}.", error=error.strerror), 5.0)

    def _examine_folder(self, bundle: Bundle, fd: int) -> _Known | Ready | Arriving:
        name, settings = bundle.anchor, self._settings
        quiet_for = self._quiet.look(name, fd)
        content = self._content(name)
        names = content.media + ((content.sidecar,) if content.sidecar else ())
        files: list[Parts] = [] if content.problem else [(name, inner) for inner in names]
        if quiet_for < settings.folder_quiet_s:
            for parts in files:
                self._settler.begin(parts)
            return self._arriving(bundle, Refusal("It has only just arrived."), settings.folder_quiet_s - quiet_for)
        uploads = [f"{name}/{upload}" for upload in content.uploads]
        if any(self._quiet.look(upload, fd) < LEFTOVER_UPLOAD_S for upload in uploads):
            return self._arriving(bundle, Refusal("An upload into this folder is still going on."), 5.0)
        if not content.media and not content.problem:
            rest = settings.empty_folder_wait_s - quiet_for
            if rest > 0:
                return self._arriving(bundle, Refusal("The folder has no media file yet."), rest)
            problem = Refusal("The folder has no media file. Please put the files into it.")
            return self._ready(bundle, [], problem=problem)
        return self._judge(bundle, files, content.sidecar, content.problem, [name, *uploads])

    def _judge(
        self,
        bundle: Bundle,
        files: list[Parts],
        sidecar: str | None,
        problem: Refusal | None,
        beside: Sequence[str] = (),
    ) -> _Known | Ready | Arriving:
        """`beside`: what else the answer rests on, the folder itself."""
        looks = [(parts, self._settler.look(parts)) for parts in files]
        waits = [look for _, look in looks if isinstance(look, Busy)]
        if waits:
            longest = max(waits, key=lambda busy: busy.again_in_s)
            return self._arriving(bundle, longest.why, longest.again_in_s)
        if bundle.kind is BundleKind.FOLDER and (rest := self._unrest_s(looks)) > 0:
            return self._arriving(bundle, Refusal("It has only just arrived."), rest)
        wrong = next(((parts, look) for parts, look in looks if isinstance(look, Unusable)), None)
        closed = next((look for _, look in looks if isinstance(look, Unreadable)), None)
        ready = self._ready(
            bundle,
            looks,
            sidecar=sidecar,
            problem=problem or (_named(wrong[0], wrong[1], alone=len(files) == 1) if wrong else None),
            unreadable=closed.why if closed else None,
        )
        if closed:
            return ready  # asked again each time: not every mount tells by a new ctime that it was opened to us
        rests_on = [("/".join(parts), seen) for parts, seen in ready.fingerprint]
        return _Known(ready=ready, rests_on=(*((path, self._quiet.evidence(path)) for path in beside), *rests_on))

    def _unrest_s(self, looks: list[tuple[Parts, Look]]) -> float:
        """How long a folder must still wait for its last file to be quiet; it does not wait for a hopeless one."""
        settled = [look.quiet_since for _, look in looks if isinstance(look, Settled)]
        if not settled or len(settled) < len(looks):
            return 0.0
        return self._settings.folder_quiet_s - (self._clock.monotonic() - max(settled))

    def _ready(
        self,
        bundle: Bundle,
        looks: list[tuple[Parts, Look]],
        *,
        sidecar: str | None = None,
        problem: Refusal | None = None,
        unreadable: Refusal | None = None,
    ) -> Ready:
        drop = self._drops.of(bundle.anchor)
        settled = [look for _, look in looks if isinstance(look, Settled)]
        told = next((look for look in settled if look.parts[-1] == sidecar), None)
        return Ready(
            bundle=bundle,
            name=drop.name,
            media=tuple(look for look in settled if look.parts[-1] != sidecar),
            sidecar=told,
            fingerprint=tuple((parts, look.evidence) for parts, look in looks if not isinstance(look, Busy)),
            quiet_since=max((look.quiet_since for look in settled), default=self._clock.monotonic()),
            since=drop.since,
            order=(drop.arrived_ns, bundle.anchor),
            problem=problem,
            unreadable=unreadable,
            urgent=is_urgent(self._inbox, bundle, told),
        )

    def _arriving(self, bundle: Bundle, why: Refusal, again_in_s: float) -> Arriving:
        drop = self._drops.of(bundle.anchor)
        return Arriving(anchor=bundle.anchor, name=drop.name, since=drop.since, why=why, again_in_s=again_in_s)

    def _content(self, folder: str) -> FolderContent:
        return folder_content(_listing(self._inbox / folder), max_files=self._settings.max_files_per_folder)


def _listing(folder: Path | int) -> list[Entry]:
    """What was dropped, and the uploads that go on; the rest is nobody's, and only its name is looked at."""
    with os.scandir(folder) as entries:
        return [
            Entry(entry.name, entry.is_dir(follow_symlinks=False))
            for entry in entries
            if not is_ignored(entry.name) or is_partial(entry.name)
        ]


def _named(parts: Parts, wrong: Unusable, *, alone: bool) -> Refusal:
    """The reason, with the file's name where several came together."""
    return wrong.why if alone else NamedRefusal(wrong.why, name=display_name(parts[-1]))


def _closed_folder() -> Refusal:
    return Refusal(
        "The hub may not look into this folder (its owner allows it to nobody else). Please allow reading, or copy the "
        "folder again through the shared folder. The hub tries again by itself."
    )
