"""What this player follows: the keys it trusts, its manifest, the override. On the disk before it is acted on.

    trust.json      the keyset, what was accepted last, the time floor; trust.old.json is the one before
    manifest.json   the manifest as it came; manifest.old.json is the one before
    override.json   the override as it came; override.copy.json is the same once more
    keychain.json   the hub's keys as they came with the enrolment or on a stick

A manifest is written before the trust that names it. After a cut in between, the manifest is judged again, by its
signature. Of what the disk has spoiled the other generation counts, unless something that is whole names a newer one:
then the fallback is shown until the hub sends it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plugins.videotron.player.kept import TRUST, older, pack, unpack
from plugins.videotron.player.spoiled import put
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.protocol import (
    Attack,
    BlockList,
    Command,
    File,
    HubState,
    Keychain,
    Keyset,
    Manifest,
    Mode,
    Override,
    ProofAck,
    Refused,
    WireError,
    decode,
    encode,
)
from plugins.videotron.protocol import trust as judge
from plugins.videotron.protocol.hours import zone_of
from plugins.videotron.protocol.trust import Accepted, Trust

KEYCHAIN = "keychain.json"
MANIFEST = "manifest.json"
OVERRIDES = ("override.json", "override.copy.json")

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the hub may ask of this machine."""

    file_bytes: int
    total_bytes: int


class Trusted:
    def __init__(self, folder: Path, *, player: str, chain: Path | None, time: Timekeeper, limits: Limits) -> None:
        """`chain`: the hub's keychain as the settings name it; None: that of the enrolment, in `folder`."""
        self._folder = folder
        self._player = player
        self._chain = chain or folder / KEYCHAIN
        self._time = time
        self._limits = limits
        self._turn = asyncio.Lock()
        self._trust: Trust | None = None
        self._manifest: Manifest | None = None
        self._override: Override | None = None
        self._good: dict[str, bytes] = {}  # what stands under these names, as far as it is whole
        self.troubles: list[str] = []  # what the disk has spoiled

    # --- what is followed

    @property
    def keyset(self) -> Keyset | None:
        return self._trust.keyset if self._trust else None

    @property
    def manifest(self) -> Manifest | None:
        """The manifest to follow, expired or not; None when there is none of the present epoch."""
        return judge.in_force(self._trust, self._manifest) if self._manifest and self._trust else None

    @property
    def version(self) -> tuple[int, int]:
        return (self.manifest.epoch, self.manifest.seq) if self.manifest else (0, 0)

    @property
    def override(self) -> Override | None:
        """The override that counts now: latched, over restarts too, until its time or a higher one."""
        override = judge.override_in_force(self._trust, self._override) if self._trust and self._override else None
        if override is None or override.mode is Mode.NONE:
            return None
        return override if override.until is None or override.until > self._time.now() else None

    @property
    def override_lost(self) -> bool:
        """Whether an override was accepted that the disk has lost: until it comes again, nobody knows what it forbids.

        Nothing of the schedule may be shown then.
        """
        trust = self._trust
        return trust is not None and trust.override[0] == trust.keyset.epoch and not self.override_counter

    @property
    def override_counter(self) -> int:
        keyset = self.keyset
        same = self._override is not None and keyset is not None and self._override.epoch == keyset.epoch
        return self._override.counter if self._override and same else 0

    @property
    def command_counter(self) -> int:
        """Of the present epoch alone: the hub counts above it, and whoever stole the last key may have used up all."""
        epoch, counter = self._trust.command if self._trust else (0, 0)
        return counter if self._trust and epoch == self._trust.keyset.epoch else 0

    # --- from the disk

    def load(self) -> None:
        """Take up what was followed before the restart. Blocks. Never raises: what is spoiled is told and left out."""
        self._trust = self._read_trust()
        self._follow_own_chain()
        if self._trust is None:
            return
        self._time.raise_to(self._trust.floor)
        self._manifest = self._read_manifest(self._trust)
        self._override = self._read_override()
        self._tell_what_is_lost(self._trust)

    # --- from the broker; each raises WireError for what must not be believed, OSError when it cannot be stored

    async def take_keys(self, payload: bytes) -> bool:
        """Whether the keys have changed."""
        async with self._turn:
            before = self._known()
            after = judge.follow_chain(before, payload)
            if after.keyset.version == before.keyset.version:
                return False
            await asyncio.to_thread(self._store_keys, after)
            if after.keyset.epoch > before.keyset.epoch:
                self._time.begin_anew(after.floor)
            self._trust = after
            return True

    async def take_manifest(self, payload: bytes) -> bool:
        """Whether this is a new manifest; it is on the disk then, and its number is never gone below again."""
        if not payload:  # a retained message was cleared: no order to stop
            return False
        async with self._turn:
            accepted = self._judged_manifest(self._known(), payload)
            if not accepted.new and self._manifest is not None:
                return False
            await asyncio.to_thread(self._store_manifest, payload, accepted.trust)
            self._trust, self._manifest = accepted.trust, accepted.document
            self._time.raise_to(accepted.trust.floor)
            return True

    async def take_override(self, payload: bytes) -> bool:
        """Whether this is a new override; it is on the disk then."""
        if not payload:
            return False
        async with self._turn:
            accepted = judge.judge_override(self._known(), payload, player=self._player, now=self._time.now())
            if not accepted.new and self._override is not None:
                return False
            await asyncio.to_thread(self._store_override, payload, accepted.trust)
            self._trust, self._override = accepted.trust, accepted.document
            self._time.raise_to(accepted.trust.floor)
            return True

    async def take_command(self, payload: bytes) -> Command:
        """A command that was never carried out; it never will be again, even after a cut."""
        async with self._turn:
            accepted = judge.judge_command(self._known(), payload, player=self._player, now=self._time.now())
            await asyncio.to_thread(self._store, accepted.trust)
            self._trust = accepted.trust
            return accepted.document

    def take_hub(self, payload: bytes) -> HubState:
        accepted = judge.judge_hub(self._known(), payload, now=self._time.now())
        self._trust = accepted.trust  # its floor is on the disk with the next thing that is stored
        self._time.raise_to(accepted.trust.floor)
        return accepted.document

    def blocks(self, payload: bytes, wanted: File) -> BlockList:
        return judge.judge_blocks(self._known(), payload, wanted=wanted)

    def ack(self, payload: bytes) -> ProofAck:
        return judge.judge_ack(self._known(), payload, player=self._player)

    # --- behind them

    def _known(self) -> Trust:
        if self._trust is None:
            raise Refused(Attack.UNKNOWN_KEY, "this player was given no keys of a hub yet: enrol it")
        return self._trust

    def _judged_manifest(self, trust: Trust, payload: bytes) -> Accepted[Manifest]:
        limits = self._limits
        return judge.judge_manifest(
            trust,
            payload,
            player=self._player,
            now=self._time.now(),
            max_file=limits.file_bytes,
            max_total=limits.total_bytes,
        )

    def _read_trust(self) -> Trust | None:
        for name in (TRUST, older(TRUST)):
            if found := self._read(name, lambda data: (data, unpack(data))):
                self._good[TRUST], trust = found
                return trust
        return None

    def _follow_own_chain(self) -> None:
        """Keys that a person brought: the first ones, or newer ones on a stick; what is less than that is renewed."""
        refused = None
        try:
            chain = self._chain.read_bytes()
            self._trust = judge.follow_chain(self._trust, chain) if self._trust else judge.begin(chain)
            return
        except FileNotFoundError:
            pass
        except (OSError, WireError) as error:
            refused = error.attack if isinstance(error, Refused) else None
            if refused is not Attack.ROLLBACK:  # older ones are no news
                self.troubles.append(f"{self._chain.name} cannot be used: {error}")
        if self._trust is not None and refused in (None, Attack.ROLLBACK):  # a stranger's is left for who looks
            with contextlib.suppress(OSError):
                self._renew_chain(self._trust)

    def _read_manifest(self, trust: Trust) -> Manifest | None:
        """The newest that is whole; one that came just before a cut is judged as if it came now."""
        for name in (MANIFEST, older(MANIFEST)):
            payload = self._read(name, bytes)
            if payload is None:
                continue
            try:
                manifest = self._manifest_again(trust, payload)
            except WireError as error:
                self._note(name, error)
                continue
            self._good[MANIFEST] = payload
            return manifest
        return None

    def _manifest_again(self, trust: Trust, payload: bytes) -> Manifest:
        if judge.digest_of(payload) == trust.manifest_digest:
            manifest = decode(Manifest, payload)  # it was judged when it came
            zone_of(manifest.screen.zone)  # the machine's zones may have been lost since
            return manifest
        accepted = self._judged_manifest(trust, payload)
        self._take_up(accepted.trust)
        return accepted.document

    def _read_override(self) -> Override | None:
        """The newest of its copies that is whole."""
        found = [override for name in OVERRIDES if (override := self._override_in(name)) is not None]
        return max(found, key=lambda one: (one.epoch, one.counter), default=None)

    def _override_in(self, name: str) -> Override | None:
        payload, trust = self._read(name, bytes), self._known()
        if payload is None:
            return None
        try:
            if judge.digest_of(payload) == trust.override_digest:
                return decode(Override, payload)
            accepted = judge.judge_override(trust, payload, player=self._player, now=self._time.now())
        except WireError as error:
            self._note(name, error)
            return None
        self._take_up(accepted.trust)
        return accepted.document

    def _take_up(self, trust: Trust) -> None:
        """What the disk already has in another file: should this write fail, the next start judges it again."""
        with contextlib.suppress(OSError):
            self._store(trust)
        self._trust = trust

    def _tell_what_is_lost(self, trust: Trust) -> None:
        if TRUST not in self._good and trust.manifest != (0, 0):
            self.troubles.append(f"{TRUST} is lost: what was followed last is known by the manifest alone")
        if self._manifest is None and trust.manifest[0] == trust.keyset.epoch:
            self.troubles.append("the manifest is lost: until it comes again, the fallback is shown")
        if self.override_lost:
            self.troubles.append("an order that was in force is lost: until it comes again, the fallback is shown")

    def _read(self, name: str, parse: Callable[[bytes], Kept]) -> Kept | None:
        try:
            return parse((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._note(name, error)
            return None

    def _note(self, name: str, error: Exception) -> None:
        if isinstance(error, Refused) and error.attack is Attack.ROLLBACK:  # the old generation, as it should be
            return
        self.troubles.append(f"{name} cannot be used: {str(error)[:150]}")

    def _store_keys(self, trust: Trust) -> None:
        """Wherever keys are kept: whatever of it the disk spoils then, no key of long ago counts again."""
        self._store(trust)
        put(self._folder / older(TRUST), pack(trust))
        self._renew_chain(trust)

    def _renew_chain(self, trust: Trust) -> None:
        if self._chain.parent == self._folder:
            put(self._chain, encode(Keychain(keysets=(trust.keyset_text,))))

    def _store_manifest(self, payload: bytes, trust: Trust) -> None:
        self._put(MANIFEST, payload)
        self._store(trust)

    def _store_override(self, payload: bytes, trust: Trust) -> None:
        for name in OVERRIDES:
            put(self._folder / name, payload)
        self._store(trust)

    def _store(self, trust: Trust) -> None:
        self._put(TRUST, pack(trust))

    def _put(self, name: str, data: bytes) -> None:
        """Write it, and keep the one before under its other name: that one was whole, whatever the disk does now."""
        before = self._good.get(name)
        if before is not None and before != data:
            put(self._folder / older(name), before)
        put(self._folder / name, data)
        self._good[name] = data
