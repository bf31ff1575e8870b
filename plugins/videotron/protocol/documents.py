"""The JSON documents: frozen, strict, with limits."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from plugins.videotron.protocol.wire import MAX_BLOCK_BYTES, MAX_BLOCKS, MAX_SAFE_INTEGER, block_count, cid_of

Cid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlayerId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
ItemId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")]
Boot = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]  # the report's `boot`, in hexadecimal
Text = Annotated[str, Field(max_length=300)]
Site = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]  # whose screens these are: one root of trust, one hub
Count = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]


class Document(BaseModel):
    """Base of every JSON payload: frozen, strict; unknown fields are for later versions and left out."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    TYPE: ClassVar[str]


class BlockList(Document):
    """How one content is cut into blocks. `hashes` is base64 of `n` x 32 bytes, the SHA-256 of each block."""

    TYPE: ClassVar[str] = "siarhub.blocks.v1"

    cid: Cid
    sha256: Digest
    size: Annotated[int, Field(ge=1, le=MAX_BLOCKS * MAX_BLOCK_BYTES)]
    block_bytes: Annotated[int, Field(ge=1024, le=MAX_BLOCK_BYTES)]
    n: Annotated[int, Field(ge=1, le=MAX_BLOCKS)]
    hashes: Annotated[str, Field(max_length=44 * MAX_BLOCKS)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.cid != cid_of(self.sha256) or self.n != block_count(self.size, self.block_bytes):
            raise ValueError("cid, size and n do not belong together")
        if len(self.digests()) != 32 * self.n:
            raise ValueError("not one hash a block")
        return self

    def digests(self) -> bytes:
        """The hashes end to end: block i has bytes 32 i to 32 i + 32. Decode once and keep it."""
        try:
            return base64.b64decode(self.hashes, validate=True)
        except binascii.Error as error:
            raise ValueError(f"hashes: {error}") from None


class PlaylistItem(Document):
    """One file to play in turn from `start` until just before `end`."""

    item: ItemId
    cid: Cid
    sha256: Digest
    size: Annotated[int, Field(ge=1, le=MAX_BLOCKS * MAX_BLOCK_BYTES)]
    start: AwareDatetime
    end: AwareDatetime
    seconds: Seconds  # how long the file runs


class Screen(Document):
    width: Annotated[int, Field(ge=1, le=16384)]
    height: Annotated[int, Field(ge=1, le=16384)]


class Playlist(Document):
    """All that one player should hold and play, in playing order. A higher `serial` replaces a lower one."""

    TYPE: ClassVar[str] = "siarhub.playlist.v1"

    aud: PlayerId
    serial: Count
    issued: AwareDatetime
    screen: Screen
    items: Annotated[tuple[PlaylistItem, ...], Field(max_length=1000)]


class HubState(Document):
    """Whether the hub is there. Another `epoch` means that it started anew: report everything within a second."""

    TYPE: ClassVar[str] = "siarhub.hub.v1"

    online: bool
    epoch: Boot
    now: AwareDatetime


class Playing(Document):
    item: ItemId
    cid: Cid
    since: AwareDatetime


class PlayerState(Document):
    """How a player is. As its will: the same with `online` false; only that field of a will is news."""

    TYPE: ClassVar[str] = "siarhub.state.v1"

    player: PlayerId
    online: bool
    software: Annotated[str, Field(max_length=80)]
    boot: Boot
    serial: Count  # of the playlist it follows; 0 = none
    playing: Playing | None
    holds: Annotated[tuple[Cid, ...], Field(max_length=2000)]  # whole, verified files
    mpv: Annotated[str, Field(max_length=40)]  # "playing", "idle", "starting", "down"
    free_bytes: Count
    clock: AwareDatetime
    errors: Annotated[tuple[Text, ...], Field(max_length=20)] = ()


class ProofEntry(Document):
    """One playback. `seq` grows within a boot; `seconds` by the monotonic clock; `complete`: it ran to its end."""

    seq: Annotated[int, Field(ge=1, le=MAX_SAFE_INTEGER)]
    item: ItemId
    cid: Cid
    started_at: AwareDatetime
    seconds: Seconds
    complete: bool


class ProofOfPlay(Document):
    """Playbacks of one boot in growing `seq`, kept by the player and sent again until a `ProofAck` covers them."""

    TYPE: ClassVar[str] = "siarhub.proof.v1"

    player: PlayerId
    boot: Boot
    entries: Annotated[tuple[ProofEntry, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(a.seq >= b.seq for a, b in zip(self.entries, self.entries[1:], strict=False)):
            raise ValueError("seq does not grow")
        return self


class ProofAck(Document):
    """The hub has dealt with the entries `first` to `seq` of this boot, durably: the player may forget them."""

    TYPE: ClassVar[str] = "siarhub.proof-ack.v1"

    player: PlayerId
    boot: Boot
    first: Count
    seq: Count
