"""The hub's newer keys on a stick: for a player that the network keeps them from, or that was away for too long."""

from __future__ import annotations

from pathlib import Path

from hub.api.errors import HubError
from plugins.videotron.player.kept import known_trust
from plugins.videotron.player.owned import write_owned
from plugins.videotron.player.trusted import KEYCHAIN
from plugins.videotron.protocol import Attack, Keychain, Keyset, Refused, WireError, decode, encode
from plugins.videotron.protocol.trust import follow_chain
from plugins.videotron.protocol.wire import MAX_DOCUMENT_BYTES


def install(folder: Path, file: Path) -> Keyset:
    """Put a hub's keychain.json where the player takes it up at its next start. It may be running. Blocks.

    Raises: HubError when the player could not follow it, and why; OSError.
    """
    with file.open("rb") as opened:
        chain = opened.read(MAX_DOCUMENT_BYTES + 1)
    trust = known_trust(folder)
    if trust is None:
        raise HubError("this player knows no hub yet: enrol it, that brings the keys along")
    try:
        after = follow_chain(trust, chain)
    except WireError as error:
        raise HubError(_why(error, trust.keyset)) from None
    write_owned(folder / KEYCHAIN, _from(trust.keyset.version, chain), mode=0o644)
    return after.keyset


def _from(version: int, chain: bytes) -> bytes:
    """The chain from the trusted keyset on: nobody has judged what stands before it, and the player may one day have
    nothing but this file to begin with."""
    texts = decode(Keychain, chain).keysets
    return encode(Keychain(keysets=tuple(text for text in texts if decode(Keyset, text.encode()).version >= version)))


def _why(error: WireError, keyset: Keyset) -> str:
    if isinstance(error, Refused) and error.attack is Attack.ROLLBACK:
        return f"these keys are older than keyset {keyset.version}, which this player has: take the hub's newest"
    return (
        f"this player trusts keyset {keyset.version} of {keyset.site}, and these keys do not follow it ({error}). Are "
        "they of this hub? After a hub began anew with other roots: siarhub-player forget, then enrol it"
    )
