"""An office in memory: root keys, online keys and a hub that signs. What it makes, the attacker has, and may change.

After python-tuf's RepositorySimulator: the transport is a method call, so that an attack is a few lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from plugins.videotron.keys.keyring import role
from plugins.videotron.protocol import (
    BlockList,
    Command,
    CommandName,
    Document,
    File,
    HubState,
    Keychain,
    Keyset,
    Manifest,
    ManifestItem,
    Mode,
    Override,
    ProofAck,
    Screen,
    SigningKey,
    encode,
    encode_signed,
)
from plugins.videotron.protocol.trust import Accepted, Trust, begin, follow_chain, judge_manifest

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
PLAYER = "gate-1"
MAX_FILE, MAX_TOTAL = 1 << 30, 4 << 30


def key(number: int) -> SigningKey:
    """The same key each time: RFC 8032 seeds of one repeated byte."""
    return SigningKey(bytes([number]) * 32)


def film(number: int = 1, *, size: int = 1000) -> ManifestItem:
    sha256 = f"{number:02x}" * 32
    return ManifestItem(
        cid=sha256[:32],
        sha256=sha256,
        size=size,
        seconds=10.0,
        item=f"IP-2026-11-{number:04d}",
        title=f"Film {number}",
        start=START - timedelta(days=1),
        end=START + timedelta(days=30),
        fresh_s=86400,
    )


@dataclass
class Office:
    """`roots` sign keysets, `online` everything else; each `rotate` adds a keyset to `texts`."""

    site: str = "kantor"
    roots: list[SigningKey] = field(default_factory=lambda: [key(1)])
    threshold: int = 1
    online: SigningKey = field(default_factory=lambda: key(100))
    now: datetime = START
    keysets: list[Keyset] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    seq: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        self.add_keyset(self.next_keyset(), self.roots)

    @property
    def keyset(self) -> Keyset:
        return self.keysets[-1]

    @property
    def chain(self) -> bytes:
        return encode(Keychain(keysets=tuple(self.texts)))

    def trust(self) -> Trust:
        """What a player knows that was enrolled just now."""
        return begin(self.chain)

    def next_keyset(self, **changes: Any) -> Keyset:
        before = self.keysets[-1] if self.keysets else None
        values: dict[str, Any] = {
            "site": self.site,
            "version": before.version + 1 if before else 1,
            "epoch": before.epoch if before else 1,
            "issued": self.now,
            "expires": self.now + timedelta(days=400),
            "root": role(*(one.public for one in self.roots), threshold=self.threshold),
            "online": role(self.online.public),
        }
        return Keyset(**{**values, **changes})

    def add_keyset(self, keyset: Keyset, signers: Sequence[SigningKey]) -> None:
        self.keysets.append(keyset)
        self.texts.append(encode_signed(keyset, *signers).decode())

    def rotate_online(self, new: SigningKey, *, stolen: bool = False) -> None:
        """Another online key; `stolen`: the numbers begin anew in a higher epoch."""
        self.online = new
        self.add_keyset(self.next_keyset(epoch=self.keyset.epoch + stolen), self.roots)
        if stolen:
            self.seq = self.counter = 0

    def rotate_roots(self, new: Sequence[SigningKey], threshold: int) -> None:
        old = self.roots
        self.roots, self.threshold = list(new), threshold
        self.add_keyset(self.next_keyset(), list({one.public: one for one in (*old, *new)}.values()))

    # --- documents

    def manifest(self, **changes: Any) -> Manifest:
        """The next manifest, not signed yet."""
        self.seq += 1
        values: dict[str, Any] = {
            "site": self.site,
            "aud": PLAYER,
            "keyset": self.keyset.version,
            "epoch": self.keyset.epoch,
            "seq": self.seq,
            "issued": self.now,
            "expires": self.now + timedelta(days=7),
            "screen": Screen(width=1920, height=1080),
            "items": (film(),),
        }
        return Manifest(**{**values, **changes})

    def publish(self, **changes: Any) -> bytes:
        """The next manifest, signed."""
        return self.sign(self.manifest(**changes))

    def override(self, **changes: Any) -> bytes:
        self.counter += 1
        values: dict[str, Any] = {
            "site": self.site,
            "aud": PLAYER,
            "keyset": self.keyset.version,
            "epoch": self.keyset.epoch,
            "counter": self.counter,
            "issued": self.now,
            "until": None,
            "mode": Mode.BLACKOUT,
        }
        return self.sign(Override(**{**values, **changes}))

    def command(self, **changes: Any) -> bytes:
        self.counter += 1
        values: dict[str, Any] = {
            "site": self.site,
            "aud": PLAYER,
            "epoch": self.keyset.epoch,
            "counter": self.counter,
            "issued": self.now,
            "expires": self.now + timedelta(minutes=5),
            "name": CommandName.SCREENSHOT,
        }
        return self.sign(Command(**{**values, **changes}))

    def hub(self, **changes: Any) -> bytes:
        values: dict[str, Any] = {"site": self.site, "online": True, "run": "0" * 16, "now": self.now}
        return self.sign(HubState(**{**values, **changes}))

    def blocks(self, of: File, **changes: Any) -> bytes:
        values: dict[str, Any] = {
            "site": self.site,
            "cid": of.cid,
            "sha256": of.sha256,
            "size": of.size,
            "block_bytes": 1024,
            "n": -(-of.size // 1024),
            "hashes": "A" * 43 + "=",
        }
        return self.sign(BlockList(**{**values, **changes}))

    def ack(self, **changes: Any) -> bytes:
        values: dict[str, Any] = {"site": self.site, "player": PLAYER, "chain": "0" * 16, "seq": 5, "hash": "0" * 64}
        return self.sign(ProofAck(**{**values, **changes}))

    def sign(self, document: Document) -> bytes:
        return encode_signed(document, self.online)


@dataclass
class Screenside:
    """A player's judgement: what it trusts and what time it is there."""

    trust: Trust
    now: datetime = START

    def take(self, data: bytes, *, player: str = PLAYER) -> Accepted[Manifest]:
        """Judge a manifest and remember what came of it. Raises: WireError."""
        now = max(self.now, self.trust.floor)
        accepted = judge_manifest(self.trust, data, player=player, now=now, max_file=MAX_FILE, max_total=MAX_TOTAL)
        self.trust = accepted.trust
        return accepted

    def follow(self, chain: bytes) -> None:
        """Raises: WireError."""
        self.trust = follow_chain(self.trust, chain)


def opened(data: bytes) -> dict[str, Any]:
    """An envelope to tamper with."""
    envelope: dict[str, Any] = json.loads(data)
    return envelope


def closed(envelope: dict[str, Any]) -> bytes:
    return json.dumps(envelope).encode()


def with_payload(data: bytes, **changes: Any) -> bytes:
    """The envelope with its payload changed and its signatures as they were."""
    envelope = opened(data)
    envelope["payload"] = json.dumps({**json.loads(envelope["payload"]), **changes})
    return closed(envelope)
