"""python-tuf as an oracle: the same random history of an office and of its attacker, judged by both.

A third judge is the implementation that was written from docs/protocol.md alone; its words must be the same as ours.

A delivery is what a broker brings at once: the keysets and one manifest (in TUF: timestamp, snapshot and targets of
one version). Accept or refuse must be the same, and so must what is shown after an acceptance.

Where the semantics do not agree, and the histories therefore leave it out, or judge it otherwise:
- TUF forgets versions whenever the timestamp's key changes; ours only in a higher epoch. So after a *planned* change of
  the online key ours still refuses lower numbers. (Here an office never counts down without a new epoch.)
- TUF ignores another timestamp with the same version and reports success; ours refuses it as equivocation. Both go on
  showing the first one, which is what is compared.
- TUF's timestamp does not name the root that it was made under; ours does, and one made under keysets that the broker
  keeps back is refused even when its key still counts.
- TUF keeps the good roots of a chain whose last one is bad; ours follows a chain as a whole or not at all.
- TUF's client asks for root N+1 and cannot be shown older ones; ours gets the whole chain, and refuses one that ends
  before what it knows.
- TUF goes by the machine's clock; ours never by a time before what was signed last. (Here clocks only go forward.)
- TUF has no audience, site, overrides, commands or limits on space.
- An expired client shows in TUF what its owner decides; ours shows the fallback.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from plugins.videotron.protocol import Keychain, Keyset, Manifest, SigningKey, WireError, encode, encode_signed
from tests.plugins.videotron.attacks.office import (
    MAX_FILE,
    MAX_TOTAL,
    PLAYER,
    Office,
    Screenside,
    closed,
    film,
    key,
    opened,
    with_payload,
)
from tests.plugins.videotron.attacks.tuf_office import TufScreen, files_of, root_of
from tests.plugins.videotron.vectors.second import Player

FORGED_ROOTS = ("too few old", "too few new", "online key", "skipped", "same version")


class SameHistory(RuleBasedStateMachine):
    @initialize(roots=st.integers(1, 3))
    def open_office(self, roots: int) -> None:
        keys = [key(number) for number in range(1, roots + 1)]
        self.office = Office(roots=keys, threshold=max(1, roots - 1))
        self.next_key, self.far = 10, 0
        self.tuf_roots = {1: root_of(self.office.keyset, keys, self.office.online, *keys)}
        self.published: list[tuple[Manifest, SigningKey]] = []
        self.folder = tempfile.TemporaryDirectory()
        self.ours = Screenside(self.office.trust())
        self.tuf = TufScreen(folder=Path(self.folder.name), first_root=self.tuf_roots[1], now=self.office.now)
        chain = self.office.chain.decode()
        self.second = Player(PLAYER, chain, max_file=MAX_FILE, max_total=MAX_TOTAL, wanted={})
        self.shown: frozenset[str] | None = None

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # --- what the office does

    @rule(films=st.integers(0, 3))
    def publish(self, films: int) -> None:
        self._publish(self.office.manifest(items=tuple(film(number) for number in range(1, films + 1))))
        self._deliver()

    @rule(films=st.integers(0, 2))
    def publish_while_the_link_is_down(self, films: int) -> None:
        self._publish(self.office.manifest(items=tuple(film(number) for number in range(4, films + 4))))

    @rule(stolen=st.booleans())
    def rotate_online(self, stolen: bool) -> None:
        counted_up = self.ours.trust.manifest > (self.office.keyset.epoch, self.office.seq)
        self.office.rotate_online(self._new_key(), stolen=stolen or counted_up)
        self._add_root(self.office.roots)
        self._publish(self.office.manifest())

    @rule(count=st.integers(1, 3), data=st.data())
    def rotate_roots(self, count: int, data: st.DataObject) -> None:
        old = list(self.office.roots)
        kept = data.draw(st.lists(st.sampled_from(old), max_size=count, unique_by=lambda one: one.public))
        new = [*kept, *(self._new_key() for _ in range(count - len(kept)))]
        self.office.rotate_roots(new, data.draw(st.integers(1, count)))
        self._add_root([*old, *new])

    @rule(days=st.sampled_from([1, 6, 8, 30, 401]))
    def time_passes(self, days: int) -> None:
        self.office.now += timedelta(days=days)
        self.ours.now = self.tuf.now = self.office.now

    # --- what the broker does, good or bad

    @rule()
    def deliver(self) -> None:
        self._deliver()

    @rule()
    def freeze(self) -> None:
        """No new keysets, and the newest that was made under those that are known."""
        known = self.ours.trust.keyset.version
        if before := [made for made in self.published if made[0].keyset <= known]:
            self._judge(before[-1], keys=known)

    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        if self.published:
            self._judge(data.draw(st.sampled_from(self.published)))

    @rule(by=st.sampled_from(["stranger", "root", "first online key"]))
    def wrong_signature(self, by: str) -> None:
        keys = {"stranger": key(200), "root": self.office.roots[0], "first online key": key(100)}
        if keys[by].public == self.office.online.public:
            return
        self._judge((self._copy(self.office.manifest()), keys[by]))

    @rule()
    def duplicate_signatures(self) -> None:
        manifest = self.office.manifest()
        envelope = opened(encode_signed(manifest, self.office.online))
        envelope["signatures"] *= 2
        doubled = {name: _twice(data) for name, data in files_of(manifest, self.office.online).items()}
        self._same(self._ours(closed(envelope), self.office.chain), self.tuf.take(self.tuf_roots, doubled))

    @rule()
    def tamper(self) -> None:
        manifest = self.office.manifest()
        ours = with_payload(encode_signed(manifest, self.office.online), seq=manifest.seq + 1)
        files = {name: _one_higher(data) for name, data in files_of(manifest, self.office.online).items()}
        self._same(self._ours(ours, self.office.chain), self.tuf.take(self.tuf_roots, files))

    @rule()
    def endless_data(self) -> None:
        manifest = self.office.manifest()
        files = files_of(manifest, self.office.online)
        files["timestamp"] += b" " * 20_000
        endless = encode_signed(manifest, self.office.online) + b" " * 1_000_000
        self._same(self._ours(endless, self.office.chain), self.tuf.take(self.tuf_roots, files))

    @rule()
    def fast_forward(self) -> None:
        """A thief with the online key makes the player deaf to lower numbers."""
        self.far += 1_000_000
        self._judge((self._copy(self.office.manifest(seq=self.far)), self.office.online))

    @rule()
    def equivocation(self) -> None:
        """Another manifest under the number that is in force: neither shows it."""
        if self.published and self.published[-1][0].seq == self.ours.trust.manifest[1] and self._is_current():
            manifest, by = self.published[-1]
            other = manifest.model_copy(update={"items": (film(9),)})
            try:
                self.ours.take(encode_signed(other, by))
            except WireError:
                pass
            else:
                raise AssertionError("two texts under one number were accepted")
            self.tuf.take(self.tuf_roots, files_of(other, by))
            assert self.tuf.shown == self.shown

    @rule(forged=st.sampled_from(FORGED_ROOTS))
    def forged_keyset(self, forged: str) -> None:
        self._deliver_keys()
        office, thief = self.office, key(250)
        before = office.keyset
        keyset, signers = office.next_keyset(), office.roots
        roots, online = [thief], thief
        if forged == "too few old":
            signers = [*office.roots[: office.threshold - 1], thief]
        elif forged == "too few new":
            roots = [thief, key(251)]
        elif forged == "online key":
            signers = [office.online]
        elif forged == "skipped":
            keyset, roots, online = office.next_keyset(version=before.version + 2), office.roots, office.online
        else:
            keyset, roots, online = office.next_keyset(version=before.version), [thief], thief
        keyset = self._with_roots(keyset, roots, online)
        text = encode_signed(keyset, *signers).decode()
        data = root_of(keyset, roots, online, *signers)
        offered = {**self.tuf_roots, before.version + 1: data}
        manifest = self._copy(self.office.manifest())
        chain = encode(Keychain(keysets=(*office.texts, text)))
        ours = self._ours(encode_signed(manifest, office.online), chain)
        self._same(ours, self.tuf.take(offered, files_of(manifest, office.online)))
        assert not ours

    # --- how

    def _publish(self, manifest: Manifest) -> None:
        self.published.append((manifest, self.office.online))

    def _copy(self, manifest: Manifest) -> Manifest:
        """A manifest of the attacker: the office does not count it."""
        self.office.seq -= 1
        return manifest

    def _deliver(self) -> None:
        if self.published:
            self._judge(self.published[-1])

    def _deliver_keys(self) -> None:
        self._publish(self.office.manifest())
        self._deliver()

    def _judge(self, made: tuple[Manifest, SigningKey], keys: int | None = None) -> None:
        manifest, by = made
        chain = None if keys else self.office.chain
        roots = {version: data for version, data in self.tuf_roots.items() if keys is None or version <= keys}
        self._same(self._ours(encode_signed(manifest, by), chain), self.tuf.take(roots, files_of(manifest, by)))

    def _ours(self, manifest: bytes, chain: bytes | None) -> bool:
        if chain is not None and not self._both("keys", chain, self._follow):
            return False
        return self._both("manifest", manifest, self._take)

    def _both(self, kind: str, data: bytes, judge: Callable[[bytes], str]) -> bool:
        """Whether it is accepted; the implementation that was written from the protocol's text gives the same word."""
        try:
            verdict = judge(data)
        except WireError as error:
            verdict = error.attack.value
        assert self.second.judge(kind, data.decode(), self.ours.now) == verdict
        return verdict in ("accepted", "same")

    def _follow(self, chain: bytes) -> str:
        before = self.ours.trust.keyset
        self.ours.follow(chain)
        return "accepted" if self.ours.trust.keyset != before else "same"

    def _take(self, manifest: bytes) -> str:
        accepted = self.ours.take(manifest)
        self.shown = frozenset(film.sha256 for film in accepted.document.files())
        return "accepted" if accepted.new else "same"

    def _same(self, ours: bool, tuf: bool) -> None:
        assert ours == tuf, f"ours {'accepts' if ours else 'refuses'}, TUF does not agree"
        if ours:
            assert self.shown == self.tuf.shown

    def _is_current(self) -> bool:
        return self.ours.trust.manifest[0] == self.office.keyset.epoch

    def _add_root(self, signers: list[SigningKey]) -> None:
        unique = {one.public: one for one in signers}
        keyset = self.office.keyset
        self.tuf_roots[keyset.version] = root_of(keyset, self.office.roots, self.office.online, *unique.values())

    def _with_roots(self, keyset: Keyset, roots: list[SigningKey], online: SigningKey) -> Keyset:
        own, threshold, key_before = self.office.roots, self.office.threshold, self.office.online
        self.office.roots, self.office.threshold, self.office.online = roots, len(roots), online
        try:
            return self.office.next_keyset(version=keyset.version)
        finally:
            self.office.roots, self.office.threshold, self.office.online = own, threshold, key_before

    def _new_key(self) -> SigningKey:
        self.next_key += 1
        return key(self.next_key)


def _one_higher(data: bytes) -> bytes:
    metadata = opened(data)
    metadata["signed"]["version"] += 1
    return closed(metadata)


def _twice(data: bytes) -> bytes:
    metadata = opened(data)
    metadata["signatures"] *= 2
    return closed(metadata)


SameHistory.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
TestSameHistory = SameHistory.TestCase
