"""A look round the watched folder: what is ready, what still arrives. This is the truth, events are only hints."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from hub.api import Clock
from hub.intake.bundle import Bundle, BundleKind, Entry, FolderContent, folder_content, group
from hub.intake.evidence import Evidence, Parts, evidence_of
from hub.intake.names import display_name
from hub.intake.settings import IntakeSettings
from hub.intake.settle import Busy, Look, Settled, Settler, Unreadable, Unusable
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
    ready: tuple[Ready, ...]  # in the order of arrival
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


class Lookout:
    """Looks round; remembers when each entry was first seen. Blocks: use a thread, one at a time."""

    def __init__(self, inbox: Path, settler: Settler, settings: IntakeSettings, clock: Clock) -> None:
        self._inbox = inbox
        self._settler = settler
        self._settings = settings
        self._clock = clock
        self._first_seen: dict[str, tuple[datetime, int]] = {}
        self._folder_seen: dict[str, tuple[Evidence, float]] = {}
        self._present: set[Parts] = set()

    def look_round(self) -> Round:
        """Everything in the watched folder. Raises: OSError when the folder itself cannot be read."""
        bundles = group(_listing(self._inbox))
        self._present = set()
        found = [self._examine(bundle) for bundle in bundles]
        self._forget_all_but({bundle.anchor for bundle in bundles})
        ready = sorted((r for r in found if isinstance(r, Ready)), key=lambda r: r.order)
        return Round(
            ready=tuple(ready),
            arriving=tuple(a for a in found if isinstance(a, Arriving)),
            names=frozenset(display_name(bundle.anchor) for bundle in bundles),
        )

    def is_unchanged(self, ready: Ready) -> bool:
        """Whether all that was looked at is still there as it was, and nothing joined it."""
        try:
            if any(evidence_of(self._inbox.joinpath(*parts).lstat()) != seen for parts, seen in ready.fingerprint):
                return False
            return ready.bundle.kind is not BundleKind.FOLDER or self._same_folder(ready)
        except OSError:
            return False

    def _same_folder(self, ready: Ready) -> bool:
        content = self._content(ready.bundle.anchor)
        listed = {*content.media, *((content.sidecar,) if content.sidecar else ())}
        return bool(ready.problem) or listed == {parts[-1] for parts, _ in ready.fingerprint}

    def _examine(self, bundle: Bundle) -> Ready | Arriving | None:
        try:
            if bundle.kind is BundleKind.FOLDER:
                return self._examine_folder(bundle)
            return self._judge(bundle, [(name,) for name in (*bundle.others, bundle.anchor)], bundle.problem)
        except FileNotFoundError:
            return None  # taken away while we looked
        except PermissionError:
            return self._ready(bundle, [], unreadable=_closed_folder())
        except OSError as error:
            return self._arriving(bundle, Refusal("It cannot be read now: {error}.", error=error.strerror), 5.0)

    def _examine_folder(self, bundle: Bundle) -> Ready | Arriving:
        quiet_for = self._clock.monotonic() - self._folder_quiet_since(bundle.anchor)
        content = self._content(bundle.anchor)
        if quiet_for < self._settings.folder_quiet_s:
            rest = self._settings.folder_quiet_s - quiet_for
            return self._arriving(bundle, Refusal("It has only just arrived."), rest)
        if content.uploads and quiet_for < LEFTOVER_UPLOAD_S:
            return self._arriving(bundle, Refusal("An upload into this folder is still going on."), 5.0)
        if not content.media and not content.problem:
            rest = self._settings.empty_folder_wait_s - quiet_for
            if rest > 0:
                return self._arriving(bundle, Refusal("The folder has no media file yet."), rest)
            problem = Refusal("The folder has no media file. Please put the files into it.")
            return self._ready(bundle, [], problem=problem)
        names = content.media + ((content.sidecar,) if content.sidecar else ())
        parts: list[Parts] = [] if content.problem else [(bundle.anchor, name) for name in names]
        return self._judge(bundle, parts, content.problem)

    def _judge(self, bundle: Bundle, files: list[Parts], problem: Refusal | None) -> Ready | Arriving:
        looks: list[Look] = []
        for parts in files:
            self._present.add(parts)
            looks.append(look := self._settler.look(parts))
            if isinstance(look, Busy):
                return self._arriving(bundle, look.why, look.again_in_s)
        wrong = next((look for look in looks if isinstance(look, Unusable)), None)
        closed = next((look for look in looks if isinstance(look, Unreadable)), None)
        if bundle.kind is BundleKind.FOLDER and looks and not (wrong or closed):
            settled = max(look.quiet_since for look in looks if isinstance(look, Settled))
            rest = self._settings.folder_quiet_s - (self._clock.monotonic() - settled)
            if rest > 0:
                return self._arriving(bundle, Refusal("It has only just arrived."), rest)
        return self._ready(
            bundle,
            list(zip(files, looks, strict=True)),
            problem=problem or (_named(files, looks, wrong) if wrong else None),
            unreadable=closed.why if closed else None,
        )

    def _ready(
        self,
        bundle: Bundle,
        looks: list[tuple[Parts, Look]],
        *,
        problem: Refusal | None = None,
        unreadable: Refusal | None = None,
    ) -> Ready:
        since, order = self._seen_first(bundle.anchor)
        settled = [look for _, look in looks if isinstance(look, Settled)]
        sidecar_name = self._sidecar_name(bundle) if looks else None
        return Ready(
            bundle=bundle,
            name=display_name(bundle.anchor),
            media=tuple(look for look in settled if look.parts[-1] != sidecar_name),
            sidecar=next((look for look in settled if look.parts[-1] == sidecar_name), None),
            fingerprint=tuple((parts, look.evidence) for parts, look in looks if not isinstance(look, Busy)),
            quiet_since=max((look.quiet_since for look in settled), default=self._clock.monotonic()),
            since=since,
            order=(order, bundle.anchor),
            problem=problem,
            unreadable=unreadable,
        )

    def _arriving(self, bundle: Bundle, why: Refusal, again_in_s: float) -> Arriving:
        since, _ = self._seen_first(bundle.anchor)
        return Arriving(
            anchor=bundle.anchor, name=display_name(bundle.anchor), since=since, why=why, again_in_s=again_in_s
        )

    def _sidecar_name(self, bundle: Bundle) -> str | None:
        return self._content(bundle.anchor).sidecar if bundle.kind is BundleKind.FOLDER else bundle.sidecar

    def _content(self, folder: str) -> FolderContent:
        return folder_content(_listing(self._inbox / folder), max_files=self._settings.max_files_per_folder)

    def _folder_quiet_since(self, name: str) -> float:
        evidence = evidence_of((self._inbox / name).lstat())
        known = self._folder_seen.get(name)
        if known is None or known[0] != evidence:
            known = self._folder_seen[name] = (evidence, self._clock.monotonic())
        return known[1]

    def _seen_first(self, anchor: str) -> tuple[datetime, int]:
        if anchor not in self._first_seen:
            self._first_seen[anchor] = (self._clock.now(), self._arrived_ns(anchor))
        return self._first_seen[anchor]

    def _arrived_ns(self, anchor: str) -> int:
        try:
            return (self._inbox / anchor).lstat().st_ctime_ns  # mtime may be that of the original
        except OSError:
            return int(self._clock.now().timestamp() * 1e9)

    def _forget_all_but(self, anchors: set[str]) -> None:
        self._settler.forget_all_but(self._present)
        for memory in (self._first_seen, self._folder_seen):
            for gone in memory.keys() - anchors:
                del memory[gone]


def _listing(folder: Path) -> list[Entry]:
    with os.scandir(folder) as entries:
        return [Entry(name=e.name, is_folder=e.is_dir(follow_symlinks=False)) for e in entries]


def _named(files: list[Parts], looks: list[Look], wrong: Unusable) -> Refusal:
    """The reason, with the file's name where several came together."""
    if len(files) == 1:
        return wrong.why
    name = next(parts[-1] for parts, look in zip(files, looks, strict=True) if look is wrong)
    return NamedRefusal(wrong.why, name=display_name(name))


def _closed_folder() -> Refusal:
    return Refusal(
        "The hub may not look into this folder (its owner allows it to nobody else). Please allow reading, or copy the "
        "folder again through the shared folder. The hub tries again by itself."
    )
