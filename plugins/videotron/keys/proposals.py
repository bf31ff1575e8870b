"""The next keyset on its way to those who must sign it: a keychain whose last keyset is not fully signed yet.

The file holds all that a custodian needs to see what changes, and to check that the rest is what the players trust.
Pure: `ceremony.py` keeps the folder, `commands_keys.py` talks with people.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from plugins.videotron.keys.keyfiles import BadKeys, fingerprint
from plugins.videotron.keys.keyring import MAX_KEYSETS
from plugins.videotron.protocol import (
    Keychain,
    KeyRole,
    Keyset,
    Signs,
    WireError,
    decode,
    encode,
    key_id,
    open_envelope,
)
from plugins.videotron.protocol.envelope import Envelope, Signature, parse_payload, seal
from plugins.videotron.protocol.keychains import check_succession, next_keyset, public_keys, read_keychain
from plugins.videotron.protocol.signatures import check_signatures, check_type, signature
from plugins.videotron.protocol.trust import begin, follow_chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The keysets in force, the one that shall follow, and who signed it so far."""

    texts: tuple[str, ...]  # of the keysets in force
    before: Keyset
    after: Keyset
    payload: str  # of `after`: the exact text that is signed
    signatures: tuple[Signature, ...]  # each holds, and is of a root that counts

    @property
    def text(self) -> str:
        """The envelope of `after`."""
        return seal(Keyset.TYPE, self.payload, self.signatures).decode()

    def missing(self) -> tuple[int, int]:
        """How many signatures of the roots before and of the new roots are still needed."""
        signed = {one.kid for one in self.signatures}
        old, new = (role.threshold - len(signed & public_keys(role).keys()) for role in self._roles())
        return max(old, 0), max(new, 0)

    def may_sign(self, public: bytes) -> bool:
        return any(key_id(public) in public_keys(role) for role in self._roles())

    def signed_by(self, public: bytes) -> bool:
        return any(one.kid == key_id(public) for one in self.signatures)

    def _roles(self) -> tuple[KeyRole, KeyRole]:
        return self.before.root, self.after.root


def propose(texts: Sequence[str], before: Keyset, after: Keyset, *keys: Signs) -> Proposal:
    """A proposal, signed by those of these keys that count."""
    proposal = Proposal(texts=tuple(texts), before=before, after=after, payload=after.model_dump_json(), signatures=())
    for key in keys:
        if proposal.may_sign(key.public):
            proposal = sign(proposal, key)
    return proposal


def read_proposal(data: bytes) -> Proposal:
    """The proposal in a file: the keysets before it hold, and it may follow them. Raises: BadKeys."""
    try:
        texts = decode(Keychain, data).keysets
        if len(texts) < 2:
            raise BadKeys("the file holds a keychain and no proposal: nothing waits to be signed")
        before = read_keychain(encode(Keychain(keysets=texts[:-1])))[-1]
        envelope = open_envelope(texts[-1].encode())
        check_type(envelope, Keyset)
        after = parse_payload(Keyset, envelope)
        check_succession(before, after)
    except WireError as error:
        raise BadKeys(f"the file is not a proposal of a keyset, or somebody changed it ({error})") from None
    keys = {**public_keys(before.root), **public_keys(after.root)}
    empty = Proposal(texts=texts[:-1], before=before, after=after, payload=envelope.payload, signatures=())
    return _with(empty, [one for one in envelope.signatures if _holds(one, envelope.payload, keys)])


def write_proposal(proposal: Proposal) -> bytes:
    return encode(Keychain(keysets=(*proposal.texts, proposal.text)[-MAX_KEYSETS:]))


def check_known(proposal: Proposal, known: bytes) -> None:
    """Raises: BadKeys when the keysets in the proposal do not go on from this keychain, which somebody has kept.

    A signature is of the new keyset alone. Whoever made up those before it could hide from a custodian what is new.
    """
    try:
        kept = begin(known)
    except WireError as error:
        raise BadKeys(f"the keychain that you kept is damaged ({error})") from None
    try:
        follow_chain(kept, encode(Keychain(keysets=proposal.texts)))
    except WireError as error:
        raise BadKeys(
            f"the proposal does not go on from keyset {kept.keyset.version} of {kept.keyset.site}, which you kept: "
            f"do not sign it, and ask where it comes from ({error})"
        ) from None


def sign(proposal: Proposal, key: Signs) -> Proposal:
    """The proposal with this key's signature too. Raises: BadKeys when the key does not count in it."""
    if not proposal.may_sign(key.public):
        raise BadKeys(f"the key {fingerprint(key.public)} is no root before or after this change: it does not count")
    return _with(proposal, (signature(Keyset.TYPE, proposal.payload, key),))


def merge(proposals: Sequence[Proposal]) -> Proposal:
    """One proposal with everybody's signatures. Raises: BadKeys when they are not of the same keyset."""
    first, *others = proposals
    for other in others:
        if other.payload != first.payload or other.before != first.before:
            raise BadKeys("these files are different proposals: only one of them can be installed")
        first = _with(first, other.signatures)
    return first


def finished(proposal: Proposal) -> str:
    """The envelope of the new keyset, as every player will judge it. Raises: BadKeys with what is missing."""
    try:
        next_keyset(proposal.before, proposal.text.encode())
    except WireError:
        raise BadKeys(f"keyset {proposal.after.version} is not complete: {say_missing(proposal)}") from None
    return proposal.text


def say_missing(proposal: Proposal) -> str:
    """What is missing, in words; "" when nothing is."""
    old, new = proposal.missing()
    if proposal.before.root == proposal.after.root:
        counts = [(old, "roots")]
    else:
        counts = [(old, "roots before"), (new, "new roots")]
    parts = [f"{count} more of the {name}" for count, name in counts if count]
    return f"it needs the signature of {' and '.join(parts)}" if parts else ""


def changes(before: Keyset, after: Keyset) -> list[str]:
    """What another keyset changes, a sentence each."""
    said = [
        *_changed_role("a root key", before.root, after.root),
        *_changed_role("an online key", before.online, after.online),
    ]
    if after.epoch != before.epoch:
        said.append(
            f"Epoch {before.epoch} becomes {after.epoch}: all that was signed before is void, also on the players."
        )
    left = (after.expires - after.issued) // timedelta(days=1)
    said.append(f"It holds until {after.expires:%Y-%m-%d}, {left} days after it was made.")
    return said


def _changed_role(name: str, before: KeyRole, after: KeyRole) -> list[str]:
    said = []
    if (before.threshold, len(before.keys)) != (after.threshold, len(after.keys)):
        said.append(
            f"Where {name} must sign: {before.threshold} of {len(before.keys)} before, {after.threshold} of "
            f"{len(after.keys)} from now on."
        )
    said += [f"No longer {name}: {_named(key)}" for key in before.keys if key not in after.keys]
    said += [f"From now on {name}: {_named(key)}" for key in after.keys if key not in before.keys]
    return said


def _named(key: str) -> str:
    return fingerprint(base64.b64decode(key))


def _with(proposal: Proposal, more: Sequence[Signature]) -> Proposal:
    found = {one.kid: one for one in (*proposal.signatures, *more)}
    return replace(proposal, signatures=tuple(found.values()))


def _holds(one: Signature, payload: str, keys: dict[str, bytes]) -> bool:
    envelope = Envelope(v=1, type=Keyset.TYPE, payload=payload, signatures=(one,))
    try:
        check_signatures(envelope, keys)
    except WireError:
        return False
    return True
