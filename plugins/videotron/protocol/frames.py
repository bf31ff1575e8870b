"""The binary frames: blocks from the hub, reports of what a player has."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

from plugins.videotron.protocol.wire import MAX_BLOCK_BYTES, MAX_BLOCKS, VERSION, WireError, block_count

FLUSH_INDEX = 0xFFFFFFFF
BLOCK_HEADER = struct.Struct("!BBHIII")  # version, flags, tag, index, stream sequence, hub milliseconds
REPORT_HEADER = struct.Struct("!BBHIIIQ")  # version, flags, 0, blocks, group sequence, unicast sequence, boot


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
