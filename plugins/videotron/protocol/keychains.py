"""Keysets that follow one another: each signed by the roots before it and by its own (TUF 5.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from plugins.videotron.protocol.envelope import decode, open_envelope, parse_payload
from plugins.videotron.protocol.manifests import Keychain, KeyRole, Keyset
from plugins.videotron.protocol.reasons import Attack
from plugins.videotron.protocol.signatures import check_signatures, check_type, key_id
from plugins.videotron.protocol.wire import Refused


def public_keys(role: KeyRole) -> Mapping[str, bytes]:
    """The role's public keys by what signatures call them."""
    keys = [base64.b64decode(key) for key in role.keys]
    return {key_id(key): key for key in keys}


def first_keyset(data: bytes) -> Keyset:
    """The keyset, signed by its own roots: whether they are to be trusted, another must say. Raises: WireError."""
    envelope = open_envelope(data)
    check_type(envelope, Keyset)
    keyset = parse_payload(Keyset, envelope)
    check_signatures(envelope, public_keys(keyset.root), threshold=keyset.root.threshold)
    return keyset


def next_keyset(before: Keyset, data: bytes) -> Keyset:
    """The keyset that follows `before`. Raises: WireError; Refused when the roots did not sign, or it goes back."""
    envelope = open_envelope(data)
    check_type(envelope, Keyset)
    check_signatures(envelope, public_keys(before.root), threshold=before.root.threshold)
    keyset = parse_payload(Keyset, envelope)
    check_signatures(envelope, public_keys(keyset.root), threshold=keyset.root.threshold)
    check_succession(before, keyset)
    return keyset


def check_succession(before: Keyset, after: Keyset) -> None:
    """Raises: Refused when `after` is not the very next keyset of this site, or its epoch goes back."""
    if after.site != before.site:
        raise Refused(Attack.WRONG_SITE, f"a keyset of {after.site!r} after one of {before.site!r}")
    if after.version <= before.version:
        raise Refused(Attack.ROLLBACK, f"keyset {after.version} after {before.version}")
    if after.version > before.version + 1:
        raise Refused(Attack.WRONG_KEYSET, f"keyset {after.version} after {before.version}: those between are missing")
    if after.epoch < before.epoch:
        raise Refused(Attack.ROLLBACK, f"epoch {after.epoch} after {before.epoch}")


def read_keychain(data: bytes) -> tuple[Keyset, ...]:
    """All keysets of the chain, each the next of the one before. Raises: WireError."""
    texts = decode(Keychain, data).keysets
    found = [first_keyset(texts[0].encode())]
    for text in texts[1:]:
        found.append(next_keyset(found[-1], text.encode()))
    return tuple(found)
