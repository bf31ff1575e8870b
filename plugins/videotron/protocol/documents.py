"""The JSON documents: frozen, strict, with limits. `manifests.py` has those that say what a screen may show."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    model_validator,
)

from plugins.videotron.protocol.wire import MAX_BLOCK_BYTES, MAX_BLOCKS, MAX_SAFE_INTEGER, block_count, cid_of


def _written(value: object) -> object:
    """Pydantic would take numbers and other ways of writing, too, which another implementation would not."""
    if not isinstance(value, str):
        return value
    if not _RFC3339.fullmatch(value):
        raise ValueError("not a time with seconds and offset")
    return datetime.fromisoformat(value)


def _in_utc(time: datetime) -> datetime:
    if not 1900 <= time.year <= 9990:  # beyond, it could not be told in every zone
        raise ValueError("a time that nobody means")
    return time.astimezone(UTC)


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)

Time = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_utc)]
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

    site: Site
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


class HubState(Document):
    """Whether the hub is there. Another `run` means that it started anew: report everything within a second."""

    TYPE: ClassVar[str] = "siarhub.hub.v1"

    site: Site
    online: bool
    run: Boot
    now: Time  # a player's time is never before this


class Playing(Document):
    """What is on the screen."""

    item: ItemId
    cid: Cid
    since: Time
    position: Seconds = 0.0  # in the film


class Problem(Document):
    """What a technician should know; `code` is of `reasons.Trouble`, other words are for later versions."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9 -]{0,39}$")]
    text: Text = ""


class Rejection(Document):
    """How often the player refused what the broker brought it, and why: of `reasons.Attack`."""

    attack: Annotated[str, Field(pattern=r"^[a-z][a-z0-9 -]{0,39}$")]
    count: Count
    last: Time
    text: Text = ""


class Machine(Document):
    """How the machine at the screen is; None where it cannot tell."""

    memory_mb: Count | None = None  # free
    mpv_memory_mb: Count | None = None
    temperature_c: Annotated[float, Field(ge=-100, le=300, allow_inf_nan=False)] | None = None
    throttled: bool | None = None  # too hot, or too little voltage
    uptime_s: Count | None = None
    output: Annotated[str, Field(max_length=80)] = ""  # "HDMI-A-1 connected 1920x1080"
    decoder: Annotated[str, Field(max_length=40)] = ""  # "" = software
    dropped_frames: Count = 0  # since mpv began
    disk_errors: Count | None = None


class PlayerState(Document):
    """How a player is, signed by its own key. As its will: the same with `online` false, which alone is news then."""

    TYPE: ClassVar[str] = "siarhub.state.v1"

    player: PlayerId
    online: bool
    software: Annotated[str, Field(max_length=80)]
    boot: Boot
    boots: Count  # how often it started; with `n` it orders all states of one player
    n: Count  # grows with each state of one boot
    keyset: Count  # version of the keyset that it trusts
    epoch: Count  # of the manifest that it follows; 0 = none
    seq: Count
    override: Count  # counter of the override in force; 0 = none came yet
    command: Count  # counter of the last command carried out
    shows: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]  # of `manifests.Shows`
    playing: Playing | None
    holds: Annotated[tuple[Cid, ...], Field(max_length=2000), FailFast()]  # whole, verified files
    mpv: Annotated[str, Field(max_length=40)]  # "playing", "idle", "starting", "down"
    free_bytes: Count
    received_bytes: Count = 0  # of blocks, since the boot
    received_bytes_per_s: Count = 0  # over the last half minute
    clock: Time
    time: Time  # what it goes by: later than `clock` when that is known to be behind
    chain: Boot  # of its proofs of play
    proof_seq: Count  # the last proof in it
    proofs_waiting: Count = 0
    machine: Machine = Machine()
    problems: Annotated[tuple[Problem, ...], Field(max_length=20), FailFast()] = ()
    rejections: Annotated[tuple[Rejection, ...], Field(max_length=20), FailFast()] = ()


class ProofEntry(Document):
    """One playback, as it stands in a proof's `entries`: a JSON text of its own, because its bytes are hashed."""

    seq: Annotated[int, Field(ge=1, le=MAX_SAFE_INTEGER)]  # grows by one within a chain, over restarts
    boot: Boot
    item: ItemId
    title: Annotated[str, Field(max_length=300)]
    cid: Cid
    sha256: Digest
    epoch: Count  # of the manifest that it was played by
    manifest: Count  # its seq
    started_at: Time
    seconds: Seconds  # by the monotonic clock
    result: Annotated[str, Field(pattern=r"^(completed|partial|failed|unknown)$")]
    reason: Text = ""


class ProofOfPlay(Document):
    """Playbacks in a hash chain, signed by the player's key, sent again until a `ProofAck` covers them.

    The hash of an entry is SHA-256(hash of the entry before it, 32 bytes || the entry's text, UTF-8); before the first
    entry of a chain it is 32 zero bytes. `prev` is the hash before the first of `entries`.
    """

    TYPE: ClassVar[str] = "siarhub.proof.v1"

    player: PlayerId
    chain: Boot  # chosen at random when the player's record began
    prev: Digest
    entries: Annotated[
        tuple[Annotated[str, Field(max_length=3000)], ...], Field(min_length=1, max_length=200), FailFast()
    ]


class ProofAck(Document):
    """The hub has dealt with all entries of this chain up to `seq`, durably: the player may forget them.

    `hash` is that of the hub's entry `seq`: a player that has another one there is not what it was.
    """

    TYPE: ClassVar[str] = "siarhub.proof-ack.v1"

    site: Site
    player: PlayerId
    chain: Boot
    seq: Count
    hash: Digest


class Shot(Document):
    """What stood on the screen, as a small JPEG, signed by the player's key."""

    TYPE: ClassVar[str] = "siarhub.shot.v1"

    player: PlayerId
    boot: Boot
    at: Time
    command: Count  # that asked for it; 0 = by the schedule
    shows: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    item: ItemId | None
    cid: Cid | None
    position: Seconds
    width: Annotated[int, Field(ge=1, le=4096)]
    height: Annotated[int, Field(ge=1, le=4096)]
    jpeg: Annotated[str, Field(max_length=400_000)]  # base64
