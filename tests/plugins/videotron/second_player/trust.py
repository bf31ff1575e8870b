"""What a player accepts, in the order of docs/protocol.md. What it keeps is one file, written before it acts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import documents
from .wire import Envelope, Refused, check, open_envelope

Clock = Callable[[], datetime]


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """The old content or the new one, whatever happens."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    finish(part, path)


def finish(part: Path, path: Path) -> None:
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Of the last document of its kind that was accepted: its number and what it said."""

    epoch: int = 0
    number: int = 0
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that must outlive a power cut. Documents by their exact text; "" = none is followed."""

    keyset: str
    not_before: str
    manifest: Mark = Mark()
    override: Mark = Mark()
    command: Mark = Mark()
    manifest_text: str = ""
    override_text: str = ""

    @classmethod
    def read(cls, path: Path) -> Kept:
        found = json.loads(path.read_bytes())
        marks = {key: Mark(**found[key]) for key in ("manifest", "override", "command")}
        return cls(**{**found, **marks})


class Trust:
    """One player's keys, counters and time. Each `judge_` method returns what was accepted, None for the same again."""

    def __init__(self, path: Path, *, pid: str, max_file: int = 2**30, max_total: int = 2**32, clock: Clock) -> None:
        self._path, self._pid, self._clock = path, pid, clock
        self._max_file, self._max_total = max_file, max_total
        self._floor = (
            datetime.fromtimestamp(0, UTC),
            time.monotonic(),
        )  # not before, and the monotonic time of learning it
        self._take(Kept.read(path))

    @classmethod
    def enrol(cls, path: Path, keychain: bytes, *, site: str | None = None, **settings: Any) -> Trust:
        """Begin with a keychain that a person, or the enrolment, brought."""
        first, *later = [open_envelope(text.encode()) for text in _keychain(keychain)]
        trusted = _keyset(first, None)
        for envelope in later:
            trusted, first = _keyset(envelope, trusted), envelope
        if site not in (None, trusted["site"]):
            raise Refused("wrong site", trusted["site"])
        _write(path, Kept(keyset=first.text, not_before=trusted["issued"].isoformat()))
        return cls(path, **settings)

    @property
    def kept(self) -> Kept:
        return self._kept

    @property
    def keyset(self) -> dict[str, Any]:
        return self._keyset

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The one that is followed, although it may have expired."""
        return self._manifest

    @property
    def override(self) -> dict[str, Any] | None:
        """The one in force now, of mode emergency or blackout."""
        found = self._override
        if found is None or found["mode"] == "none":
            return None
        ends = min(found["until"] or self._keyset["expires"], self._keyset["expires"])
        return found if self.now() < ends else None

    def now(self) -> datetime:
        """The player's time: its clock, but never before what it has seen signed."""
        at, learnt = self._floor
        return max(self._clock(), at + timedelta(seconds=time.monotonic() - learnt))

    def judge_keychain(self, raw: bytes) -> dict[str, Any] | None:
        trusted, text = self._keyset, self._kept.keyset
        for envelope in [open_envelope(one.encode()) for one in _keychain(raw)]:
            if envelope.type != "siarhub.keyset.v1":
                raise Refused("wrong type", envelope.type)
            found = documents.read(envelope.type, envelope.payload)
            if found["version"] == trusted["version"]:
                if envelope.payload != open_envelope(text.encode()).payload:
                    raise Refused("equivocation", f"keyset {found['version']}")
            elif found["version"] > trusted["version"]:
                trusted, text = _keyset(envelope, trusted), envelope.text
        if found["version"] < trusted["version"]:
            raise Refused("rollback", f"keyset {found['version']}")
        return self._follow_keyset(trusted, text)

    def _follow_keyset(self, found: dict[str, Any], text: str) -> dict[str, Any] | None:
        if found["version"] == self._keyset["version"]:
            return None
        kept = replace(self._kept, keyset=text)
        if found["epoch"] > self._keyset["epoch"]:  # counted anew, and so is time
            kept = replace(kept, manifest_text="", override_text="", not_before=found["issued"].isoformat())
        else:
            kept = replace(kept, not_before=self._later(found["issued"]))
        self._keep(kept)
        return found

    def judge_manifest(self, raw: bytes) -> dict[str, Any] | None:
        envelope, found = self._order(raw, "siarhub.manifest.v1")
        same = self._counted(envelope, found["epoch"], found["seq"], self._kept.manifest)
        if found["expires"] <= self.now():
            raise Refused("expired", f"manifest {found['seq']}")
        self._measure(documents.films_of(found))
        self._spoken(found["issued"])
        if same:
            return None
        mark = Mark(epoch=found["epoch"], number=found["seq"], hash=envelope.hash)
        self._accept(found["issued"], manifest=mark, manifest_text=envelope.text)
        return found

    def judge_override(self, raw: bytes) -> dict[str, Any] | None:
        envelope, found = self._order(raw, "siarhub.override.v1")
        same = self._counted(envelope, found["epoch"], found["counter"], self._kept.override)
        self._spoken(found["issued"])
        if same:
            return None
        mark = Mark(epoch=found["epoch"], number=found["counter"], hash=envelope.hash)
        self._accept(found["issued"], override=mark, override_text=envelope.text)
        return found

    def judge_command(self, raw: bytes) -> dict[str, Any]:
        envelope, found = self._order(raw, "siarhub.command.v1")
        last = self._kept.command
        if (found["epoch"], found["counter"]) <= (last.epoch, last.number):
            raise Refused("replayed", f"command {found['counter']}")
        if found["expires"] <= self.now():
            raise Refused("expired", f"command {found['counter']}")
        self._spoken(found["issued"])
        mark = Mark(epoch=found["epoch"], number=found["counter"], hash=envelope.hash)
        self._accept(found["issued"], command=mark)
        return found

    def judge_hub(self, raw: bytes) -> tuple[dict[str, Any], bool]:
        """What the hub says, and whether its time is later than what was kept."""
        self._alive()
        _, found = self._signed(raw, "siarhub.hub.v1")
        self._of_site(found)
        self._spoken(found["now"])
        news = found["now"] > datetime.fromisoformat(self._kept.not_before)
        if news:
            self._accept(found["now"])
        return found, news

    def judge_blocks(self, raw: bytes, film: dict[str, Any]) -> dict[str, Any]:
        _, found = self._signed(raw, "siarhub.blocks.v1")
        self._of_site(found)
        if any(found[key] != film[key] for key in ("cid", "sha256", "size")):
            raise Refused("wrong file", found["cid"])
        return found

    def judge_ack(self, raw: bytes) -> dict[str, Any]:
        _, found = self._signed(raw, "siarhub.proof-ack.v1")
        self._of_site(found)
        if found["player"] != self._pid:
            raise Refused("wrong audience", found["player"])
        return found

    def _order(self, raw: bytes, type_: str) -> tuple[Envelope, dict[str, Any]]:
        """Steps 1 to 7."""
        self._alive()
        envelope, found = self._signed(raw, type_)
        self._of_site(found)
        if found["aud"] != self._pid:
            raise Refused("wrong audience", found["aud"])
        if found["epoch"] != self._keyset["epoch"] or found.get("keyset", 0) > self._keyset["version"]:
            raise Refused("wrong keyset", f"epoch {found['epoch']}, keyset {found.get('keyset')}")
        return envelope, found

    def _alive(self) -> None:
        if self._keyset["expires"] <= self.now():
            raise Refused("expired", f"keyset {self._keyset['version']}")

    def _signed(self, raw: bytes, type_: str) -> tuple[Envelope, dict[str, Any]]:
        envelope = open_envelope(raw)
        if envelope.type != type_:
            raise Refused("wrong type", envelope.type)
        check(envelope, **self._keyset["online"])
        return envelope, documents.read(type_, envelope.payload)

    def _of_site(self, found: dict[str, Any]) -> None:
        if found["site"] != self._keyset["site"]:
            raise Refused("wrong site", found["site"])

    def _counted(self, envelope: Envelope, epoch: int, number: int, kept: Mark) -> bool:
        """Step 8; True for the same again."""
        if (epoch, number) < (kept.epoch, kept.number):
            raise Refused("rollback", f"{number} after {kept.number}")
        same = (epoch, number) == (kept.epoch, kept.number)
        if same and envelope.hash != kept.hash:
            raise Refused("equivocation", f"another {number}")
        return same

    def _measure(self, films: list[dict[str, Any]]) -> None:
        """Step 10."""
        sizes = {film["sha256"]: film["size"] for film in films}
        if any(sizes[film["sha256"]] != film["size"] for film in films):
            raise Refused("malformed", "one file with two sizes")
        if max(sizes.values(), default=0) > self._max_file or sum(sizes.values()) > self._max_total:
            raise Refused("over limit", f"{sum(sizes.values())} bytes")

    def _spoken(self, at: datetime) -> None:
        """Step 11."""
        if at >= self._keyset["expires"]:
            raise Refused("expired", "an online key spoke for a time after its keyset")

    def _later(self, at: datetime) -> str:
        return max(datetime.fromisoformat(self._kept.not_before), at).isoformat()

    def _accept(self, at: datetime, **changes: Any) -> None:
        self._keep(replace(self._kept, not_before=self._later(at), **changes))

    def _keep(self, kept: Kept) -> None:
        _write(self._path, kept)
        self._take(kept)

    def _take(self, kept: Kept) -> None:
        self._kept = kept
        self._keyset = _followed(kept.keyset) or {}
        self._manifest, self._override = _followed(kept.manifest_text), _followed(kept.override_text)
        at, (last, learnt) = datetime.fromisoformat(kept.not_before), self._floor
        if at < last or at > last + timedelta(seconds=time.monotonic() - learnt):  # earlier: counted anew
            self._floor = (at, time.monotonic())


def _write(path: Path, kept: Kept) -> None:
    write_durably(path, json.dumps(asdict(kept)).encode())


def _followed(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    envelope = open_envelope(text.encode())
    return documents.read(envelope.type, envelope.payload)


def _keychain(raw: bytes) -> list[str]:
    envelope = open_envelope(raw)
    if envelope.type != "siarhub.keychain.v1":
        raise Refused("wrong type", envelope.type)
    texts: list[str] = documents.read(envelope.type, envelope.payload)["keysets"]
    return texts


def _keyset(envelope: Envelope, before: dict[str, Any] | None) -> dict[str, Any]:
    """A keyset that may follow the one before it; without one, the first."""
    if envelope.type != "siarhub.keyset.v1":
        raise Refused("wrong type", envelope.type)
    if before:
        check(envelope, **before["root"])
    found = documents.read(envelope.type, envelope.payload)
    check(envelope, **found["root"])
    if before and found["site"] != before["site"]:
        raise Refused("wrong site", found["site"])
    if before and found["version"] != before["version"] + 1:
        raise Refused("wrong keyset", f"{found['version']} after {before['version']}")
    if before and found["epoch"] < before["epoch"]:
        raise Refused("rollback", f"epoch {found['epoch']}")
    return found
