"""What a player believes, and how it judges what the broker brings: pure, and the same for every implementation.

The broker is nobody's friend here: it may forge, replay, withhold, mix and delay. `Trust` is what a player remembers
for good; a judgement returns the document and the trust after it, which the player stores before it acts. The scheme is
TUF's (root, then online key, versions that never go back, expiry) with one signed manifest for each player instead of
its timestamp, snapshot and targets (theupdateframework.github.io/specification, section 5; docs/protocol.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from plugins.videotron.protocol.documents import BlockList, Document, HubState, ProofAck
from plugins.videotron.protocol.envelope import decode, open_envelope, parse_payload
from plugins.videotron.protocol.hours import zone_of
from plugins.videotron.protocol.keychains import first_keyset, next_keyset, public_keys
from plugins.videotron.protocol.manifests import Command, File, Keychain, Keyset, Manifest, Override
from plugins.videotron.protocol.reasons import Attack
from plugins.videotron.protocol.signatures import decode_signed, pae
from plugins.videotron.protocol.wire import Refused

Keys = Mapping[str, bytes]
Version = tuple[int, int]  # (epoch, number): numbers begin anew in a higher epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """All that a player keeps for good. `manifest`, `override` and `command` are what was accepted last."""

    keyset: Keyset
    keyset_text: str  # its envelope, to notice another one under the same version
    manifest: Version = (0, 0)
    manifest_digest: str = ""  # `digest_of` it
    override: Version = (0, 0)
    override_digest: str = ""
    command: Version = (0, 0)
    floor: datetime  # it is not earlier than this: the newest time in anything signed

    @property
    def online(self) -> Keys:
        """The keys that sign for the hub, `keyset.online.threshold` of them at least."""
        return public_keys(self.keyset.online)


DocumentT = TypeVar("DocumentT", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Generic[DocumentT]):
    """A document that may be believed; `new` is False for the one that is in force already."""

    document: DocumentT
    trust: Trust
    new: bool


def begin(chain: bytes) -> Trust:
    """Trust in the last keyset of a chain that came by a safe way (enrolment, USB). Raises: WireError."""
    first, *rest = decode(Keychain, chain).keysets
    keyset = first_keyset(first.encode())
    trust = Trust(keyset=keyset, keyset_text=first, floor=keyset.issued)
    for text in rest:
        trust = _step(trust, text)
    return trust


def follow_chain(trust: Trust, chain: bytes) -> Trust:
    """Trust in the last keyset of a chain that the broker brought: every step from the trusted one must hold.

    All of it or nothing. Raises: WireError; Refused for a chain that goes back, aside, or leaves a step out.
    """
    last = 0
    for text in decode(Keychain, chain).keysets:
        last = parse_payload(Keyset, open_envelope(text.encode())).version  # unproved: it only says where to begin
        if last == trust.keyset.version and _payload(text) != _payload(trust.keyset_text):
            raise Refused(Attack.EQUIVOCATION, f"two different keysets have the version {last}")
        if last > trust.keyset.version:
            trust = _step(trust, text)
    if last < trust.keyset.version:
        raise Refused(Attack.ROLLBACK, f"a chain that ends with keyset {last}; {trust.keyset.version} is trusted")
    return trust


def judge_manifest(
    trust: Trust, data: bytes, *, player: str, now: datetime, max_file: int, max_total: int
) -> Accepted[Manifest]:
    """The manifest to follow. `now` is the player's time, never before its floor. Raises: WireError, Refused."""
    _keyset_in_force(trust, now)
    manifest = _signed(Manifest, data, trust)
    zone_of(manifest.screen.zone)  # taken with one that is not known here, it would end the player at each start
    _for_us(trust, manifest.site, manifest.aud, player)
    _of_this_epoch(trust, manifest.epoch, manifest.keyset)
    new = _not_older(trust.manifest, trust.manifest_digest, (manifest.epoch, manifest.seq), data, "manifest")
    if manifest.expires <= now:
        raise Refused(Attack.EXPIRED, f"manifest {manifest.seq} expired on {manifest.expires:%Y-%m-%d %H:%M} UTC")
    _within_limits(manifest.files(), max_file, max_total)
    after = replace(
        trust,
        manifest=(manifest.epoch, manifest.seq),
        manifest_digest=digest_of(data),
        floor=_floor(trust, manifest.issued),
    )
    return Accepted(document=manifest, trust=after, new=new)


def judge_override(trust: Trust, data: bytes, *, player: str, now: datetime) -> Accepted[Override]:
    """The override in force. Raises: WireError, Refused."""
    _keyset_in_force(trust, now)
    override = _signed(Override, data, trust)
    _for_us(trust, override.site, override.aud, player)
    _of_this_epoch(trust, override.epoch, override.keyset)
    new = _not_older(trust.override, trust.override_digest, (override.epoch, override.counter), data, "override")
    after = replace(
        trust,
        override=(override.epoch, override.counter),
        override_digest=digest_of(data),
        floor=_floor(trust, override.issued),
    )
    return Accepted(document=override, trust=after, new=new)


def judge_command(trust: Trust, data: bytes, *, player: str, now: datetime) -> Accepted[Command]:
    """A command to carry out once. Raises: WireError, Refused."""
    _keyset_in_force(trust, now)
    command = _signed(Command, data, trust)
    _for_us(trust, command.site, command.aud, player)
    _of_this_epoch(trust, command.epoch, trust.keyset.version)
    version = (command.epoch, command.counter)
    if version <= trust.command:
        raise Refused(Attack.REPLAYED, f"command {command.counter} was carried out before")
    if command.expires <= now:
        raise Refused(Attack.EXPIRED, f"command {command.counter} came too late")
    after = replace(trust, command=version, floor=_floor(trust, command.issued))
    return Accepted(document=command, trust=after, new=True)


def judge_hub(trust: Trust, data: bytes, *, now: datetime) -> Accepted[HubState]:
    """Whether the hub is there. An old one may come again: nothing but reports depends on it. Raises: WireError."""
    _keyset_in_force(trust, now)
    hub = _signed(HubState, data, trust)
    _of_site(trust, hub.site)
    return Accepted(document=hub, trust=replace(trust, floor=_floor(trust, hub.now)), new=hub.now > trust.floor)


def judge_blocks(trust: Trust, data: bytes, *, wanted: File) -> BlockList:
    """The block list of this file, and of no other. Raises: WireError, Refused."""
    blocks = _signed(BlockList, data, trust)
    _of_site(trust, blocks.site)
    if (blocks.cid, blocks.sha256, blocks.size) != (wanted.cid, wanted.sha256, wanted.size):
        raise Refused(Attack.WRONG_FILE, f"{wanted.cid}: a block list of another file than the manifest names")
    return blocks


def judge_ack(trust: Trust, data: bytes, *, player: str) -> ProofAck:
    """What the hub has of this player's proofs. Raises: WireError, Refused."""
    ack = _signed(ProofAck, data, trust)
    _for_us(trust, ack.site, ack.player, player)
    return ack


def in_force(trust: Trust, manifest: Manifest) -> Manifest | None:
    """An accepted manifest as it counts under this trust: never longer than the keyset; None in another epoch."""
    if manifest.epoch != trust.keyset.epoch:
        return None
    if manifest.expires <= trust.keyset.expires:
        return manifest
    return manifest.model_copy(update={"expires": trust.keyset.expires})


def override_in_force(trust: Trust, override: Override) -> Override | None:
    """An accepted override as it counts under this trust: it ends with the keyset at the latest; None in another epoch.

    Else a stolen online key could hold a screen for ever that is kept from the network.
    """
    if override.epoch != trust.keyset.epoch:
        return None
    if override.until is not None and override.until <= trust.keyset.expires:
        return override
    return override.model_copy(update={"until": trust.keyset.expires})


def digest_of(data: bytes) -> str:
    """SHA-256 of what is signed: who signed it, and what else stands in the envelope, changes nothing.

    Raises: WireError.
    """
    envelope = open_envelope(data)
    return hashlib.sha256(pae(envelope.type, envelope.payload.encode())).hexdigest()


def _signed(kind: type[DocumentT], data: bytes, trust: Trust) -> DocumentT:
    return decode_signed(kind, data, trust.online, threshold=trust.keyset.online.threshold)


def _payload(text: str) -> str:
    return open_envelope(text.encode()).payload


def _step(trust: Trust, text: str) -> Trust:
    """The trust after the next keyset. In a higher epoch the time begins anew, too: a stolen key may have said any."""
    keyset = next_keyset(trust.keyset, text.encode())
    anew = keyset.epoch > trust.keyset.epoch
    floor = keyset.issued if anew else max(trust.floor, keyset.issued)
    return replace(trust, keyset=keyset, keyset_text=text, floor=floor)


def _floor(trust: Trust, said: datetime) -> datetime:
    """The time floor after a signed document says when it was made.

    It is never refused for being ahead of the player's clock, which may stand in 1970. But no online key speaks for a
    time after its keyset: a stolen one could otherwise end every keyset to come. Raises: Refused.
    """
    if said >= trust.keyset.expires:
        raise Refused(Attack.EXPIRED, f"made on {said:%Y-%m-%d}, after the end of keyset {trust.keyset.version}")
    return max(trust.floor, said)


def _keyset_in_force(trust: Trust, now: datetime) -> None:
    if trust.keyset.expires <= now:
        raise Refused(Attack.EXPIRED, f"keyset {trust.keyset.version} expired on {trust.keyset.expires:%Y-%m-%d}")


def _of_site(trust: Trust, site: str) -> None:
    if site != trust.keyset.site:
        raise Refused(Attack.WRONG_SITE, f"it is of {site}, this player belongs to {trust.keyset.site}")


def _for_us(trust: Trust, site: str, audience: str, player: str) -> None:
    _of_site(trust, site)
    if audience != player:
        raise Refused(Attack.WRONG_AUDIENCE, f"it is for {audience}")


def _of_this_epoch(trust: Trust, epoch: int, keyset: int) -> None:
    if epoch != trust.keyset.epoch or keyset > trust.keyset.version:
        raise Refused(Attack.WRONG_KEYSET, f"it is of epoch {epoch}, keyset {keyset}; trusted is {_named(trust)}")


def _named(trust: Trust) -> str:
    return f"epoch {trust.keyset.epoch}, keyset {trust.keyset.version}"


def _not_older(before: Version, digest: str, version: Version, data: bytes, what: str) -> bool:
    """Whether it is new. Raises: Refused for one that goes back, or differs under the same number."""
    if version < before:
        raise Refused(Attack.ROLLBACK, f"{what} {version[1]} is older than {before[1]}, which is followed")
    if version == before and digest_of(data) != digest:
        raise Refused(Attack.EQUIVOCATION, f"two different {what}s have the number {version[1]}")
    return version > before


def _within_limits(files: tuple[File, ...], max_file: int, max_total: int) -> None:
    sizes: dict[str, int] = {}
    for file in files:
        if sizes.setdefault(file.sha256, file.size) != file.size:
            raise Refused(Attack.MALFORMED, f"{file.cid} has two sizes")
    if max(sizes.values(), default=0) > max_file or sum(sizes.values()) > max_total:
        raise Refused(Attack.OVER_LIMIT, "the manifest asks for more than this player may hold")
