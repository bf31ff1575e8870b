"""The WIRE FORMAT between hub and players, version 1. Shared with the player; no I/O. `docs/protocol.md` explains it.

Two forms travel: binary frames (blocks and `have` reports) and JSON documents in an envelope. Everything decoded here
came from outside: a frame or document that breaks a rule or a limit raises `WireError` and means nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

VERSION = 1
DEFAULT_NAMESPACE = "led/v1"
MAX_BLOCKS = 16384
MAX_BLOCK_BYTES = 1 << 20
MAX_DOCUMENT_BYTES = 1_000_000
FLUSH_INDEX = 0xFFFFFFFF
MAX_SAFE_INTEGER = (1 << 53) - 1  # what every JSON reader keeps exactly

BLOCK_HEADER = struct.Struct("!BBHIII")  # version, flags, tag, index, stream sequence, hub milliseconds
REPORT_HEADER = struct.Struct("!BBHIIIQ")  # version, flags, 0, blocks, group sequence, unicast sequence, boot

PLAYER_ID = re.compile(r"[a-z0-9-]{1,40}\Z")
CID = re.compile(r"[0-9a-f]{32}\Z")


class WireError(ValueError):
    """What arrived is not a version 1 frame or document of the expected kind; the text says why."""


# --- topics


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names under one namespace. Content and player ids go in as they are, so they must be well-formed."""

    namespace: str = DEFAULT_NAMESPACE

    @property
    def hub(self) -> str:
        """Hub to all, retained, QoS 1: `HubState`."""
        return f"{self.namespace}/hub"

    def block_list(self, cid: str) -> str:
        """Hub to players, retained, QoS 1: `BlockList`; empty when nobody needs it any more."""
        return f"{self.namespace}/c/{cid}/m"

    def group(self, cid: str) -> str:
        """Hub to all that need this content, QoS 1: block frames."""
        return f"{self.namespace}/c/{cid}/b"

    def unicast(self, player: str) -> str:
        """Hub to one player, QoS 1: block frames of any content that it needs; the tag says which."""
        return f"{self.namespace}/p/{player}/b"

    def control(self, player: str) -> str:
        """Hub to one player, QoS 0: `ProofAck`; other types of envelope are for later versions and ignored."""
        return f"{self.namespace}/p/{player}/c"

    def playlist(self, player: str) -> str:
        """Hub to one player, retained, QoS 1: `Playlist`."""
        return f"{self.namespace}/p/{player}/want"

    def report(self, cid: str, player: str) -> str:
        """Player to hub, QoS 0 (DONE: QoS 1): report frames."""
        return f"{self.namespace}/r/{cid}/{player}"

    def state(self, player: str) -> str:
        """Player to hub, retained, QoS 1, also its will: `PlayerState`."""
        return f"{self.namespace}/s/{player}/state"

    def proof(self, player: str) -> str:
        """Player to hub, QoS 1: `ProofOfPlay`."""
        return f"{self.namespace}/s/{player}/proof"

    def parse(self, topic: str) -> tuple[str, str, str]:
        """What a message is about: ("report", cid, player), ("state", "", player), ("proof", "", player),
        ("block_list", cid, ""), ("group", cid, ""), ("unicast" | "control" | "playlist", "", player), ("hub", "", "").

        Raises: WireError for any other topic.
        """
        rest = topic.removeprefix(f"{self.namespace}/")
        match rest.split("/") if rest != topic else []:
            case ["hub"]:
                return "hub", "", ""
            case ["r", cid, player] if CID.match(cid) and PLAYER_ID.match(player):
                return "report", cid, player
            case ["s", player, ("state" | "proof") as kind] if PLAYER_ID.match(player):
                return kind, "", player
            case ["c", cid, ("m" | "b") as kind] if CID.match(cid):
                return {"m": "block_list", "b": "group"}[kind], cid, ""
            case ["p", player, ("b" | "c" | "want") as kind] if PLAYER_ID.match(player):
                return {"b": "unicast", "c": "control", "want": "playlist"}[kind], "", player
        raise WireError(f"no topic of this protocol: {topic[:120]!r}")


def cid_of(sha256: str) -> str:
    """The content id of a file: the first 32 hexadecimal digits of its SHA-256."""
    return sha256[:32]


def block_count(size: int, block_bytes: int) -> int:
    return -(-size // block_bytes)


# --- binary frames


class BlockFlag(IntFlag):
    GROUP = 1  # `sequence` counts the group stream of this content
    UNICAST = 2  # `sequence` counts the stream of this content to this player alone


class ReportFlag(IntFlag):
    IN_GROUP = 1  # subscribed to the group topic
    DONE = 2  # the whole file is verified, durable and in its place
    LEFT = 4  # not subscribed to the group topic: wants unicast only


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block, or with `index` FLUSH_INDEX and no data the marker "a burst has ended: report now"."""

    flags: BlockFlag
    tag: int
    index: int
    sequence: int
    sent_ms: int
    data: bytes | memoryview

    @property
    def is_flush(self) -> bool:
        return self.index == FLUSH_INDEX


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a player holds of one content. `have` has bit i set when block i is verified and on its disk."""

    flags: ReportFlag
    blocks: int
    group_sequence: int  # of the block last seen on the group topic; 0 = none since it subscribed
    unicast_sequence: int
    boot: int
    have: int


def tag_of(cid: str) -> int:
    """The 16 bits by which a unicast frame names its content; when two collide, the block's hash decides."""
    return int(cid[:4], 16)


def encode_block(block: Block) -> bytes:
    header = BLOCK_HEADER.pack(VERSION, block.flags, block.tag, block.index, block.sequence, block.sent_ms & 0xFFFFFFFF)
    return b"".join((header, block.data))


def decode_block(frame: bytes) -> Block:
    """The block in a frame, its data not copied. Raises: WireError."""
    if not BLOCK_HEADER.size <= len(frame) <= BLOCK_HEADER.size + MAX_BLOCK_BYTES:
        raise WireError(f"a block frame of {len(frame)} bytes")
    version, flags, tag, index, sequence, sent_ms = BLOCK_HEADER.unpack_from(frame)
    data = memoryview(frame)[BLOCK_HEADER.size :]
    if version != VERSION:
        raise WireError(f"a block frame of version {version}")
    if (index == FLUSH_INDEX) != (len(data) == 0):
        raise WireError("a block frame without data")
    return Block(flags=BlockFlag(flags), tag=tag, index=index, sequence=sequence, sent_ms=sent_ms, data=data)


def encode_report(report: Report) -> bytes:
    header = REPORT_HEADER.pack(
        VERSION, report.flags, 0, report.blocks, report.group_sequence, report.unicast_sequence, report.boot
    )
    return header + report.have.to_bytes(block_count(report.blocks, 8), "little")


def decode_report(frame: bytes) -> Report:
    """Raises: WireError."""
    if len(frame) < REPORT_HEADER.size:
        raise WireError(f"a report of {len(frame)} bytes")
    version, flags, _, blocks, group, unicast, boot = REPORT_HEADER.unpack_from(frame)
    if version != VERSION:
        raise WireError(f"a report of version {version}")
    if not 1 <= blocks <= MAX_BLOCKS or len(frame) != REPORT_HEADER.size + block_count(blocks, 8):
        raise WireError(f"a report of {len(frame)} bytes about {blocks} blocks")
    have = int.from_bytes(frame[REPORT_HEADER.size :], "little")
    if have >> blocks:
        raise WireError("a report of blocks that do not exist")
    return Report(
        flags=ReportFlag(flags),
        blocks=blocks,
        group_sequence=group,
        unicast_sequence=unicast,
        boot=boot,
        have=have,
    )


# --- documents

Cid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlayerId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
ItemId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")]
Boot = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]  # the report's `boot`, in hexadecimal
Text = Annotated[str, Field(max_length=300)]
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


# --- the envelope


class Envelope(BaseModel):
    """`payload` is the exact JSON text: signatures (later) are over these bytes, never over a text written anew."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    v: Literal[1]
    type: Annotated[str, Field(max_length=80)]
    payload: str
    signatures: Annotated[tuple[dict[str, Any], ...], Field(max_length=8)]


DocumentT = TypeVar("DocumentT", bound=Document)


def encode(document: Document) -> bytes:
    """The document in its envelope. Raises: WireError when it is larger than a receiver accepts."""
    envelope = Envelope(v=1, type=document.TYPE, payload=document.model_dump_json(), signatures=())
    data = envelope.model_dump_json().encode()
    if len(data) > MAX_DOCUMENT_BYTES:
        raise WireError(f"{document.TYPE}: {len(data)} bytes is more than {MAX_DOCUMENT_BYTES}")
    return data


def open_envelope(data: bytes) -> Envelope:
    """The envelope, its payload not looked at yet. Raises: WireError."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise WireError(f"a document of {len(data)} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WireError("a document that is not UTF-8") from None
    return _parse(Envelope, text)


def decode(kind: type[DocumentT], data: bytes) -> DocumentT:
    """The document of this kind in an envelope. Raises: WireError."""
    envelope = open_envelope(data)
    if envelope.type != kind.TYPE:
        raise WireError(f"{envelope.type!r} where {kind.TYPE!r} belongs")
    return _parse(kind, envelope.payload)


ModelT = TypeVar("ModelT", bound=BaseModel)


def _parse(model: type[ModelT], text: str) -> ModelT:
    try:
        json.loads(text, object_pairs_hook=_without_duplicates)  # pydantic would take the last of two equal keys
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"{model.__name__}: {'.'.join(map(str, first['loc']))} {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise WireError(f"{model.__name__}: {str(error)[:200]}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice in one object")
    return found
