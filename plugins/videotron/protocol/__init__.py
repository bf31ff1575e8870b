"""The WIRE FORMAT between hub and players, version 1. Shared with the player; no I/O. `docs/protocol.md` explains it.

Two forms travel: binary frames (blocks and `have` reports) and JSON documents in an envelope. Everything decoded here
came from outside: a frame or document that breaks a rule or a limit raises `WireError` and means nothing.
"""

from __future__ import annotations

from plugins.videotron.protocol.documents import (
    BlockList,
    Document,
    HubState,
    PlayerId,
    PlayerState,
    Playing,
    Playlist,
    PlaylistItem,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    Screen,
)
from plugins.videotron.protocol.envelope import (
    Envelope,
    decode,
    encode,
    open_envelope,
)
from plugins.videotron.protocol.frames import (
    BLOCK_HEADER,
    FLUSH_INDEX,
    REPORT_HEADER,
    Block,
    BlockFlag,
    Report,
    ReportFlag,
    decode_block,
    decode_report,
    encode_block,
    encode_report,
    tag_of,
)
from plugins.videotron.protocol.topics import (
    Topics,
)
from plugins.videotron.protocol.wire import (
    CID,
    DEFAULT_NAMESPACE,
    MAX_BLOCK_BYTES,
    MAX_BLOCKS,
    MAX_DOCUMENT_BYTES,
    MAX_SAFE_INTEGER,
    PLAYER_ID,
    VERSION,
    WireError,
    block_count,
    cid_of,
)

__all__ = [
    "BLOCK_HEADER",
    "CID",
    "DEFAULT_NAMESPACE",
    "FLUSH_INDEX",
    "MAX_BLOCKS",
    "MAX_BLOCK_BYTES",
    "MAX_DOCUMENT_BYTES",
    "MAX_SAFE_INTEGER",
    "PLAYER_ID",
    "REPORT_HEADER",
    "VERSION",
    "Block",
    "BlockFlag",
    "BlockList",
    "Document",
    "Envelope",
    "HubState",
    "PlayerId",
    "PlayerState",
    "Playing",
    "Playlist",
    "PlaylistItem",
    "ProofAck",
    "ProofEntry",
    "ProofOfPlay",
    "Report",
    "ReportFlag",
    "Screen",
    "Topics",
    "WireError",
    "block_count",
    "cid_of",
    "decode",
    "decode_block",
    "decode_report",
    "encode",
    "encode_block",
    "encode_report",
    "open_envelope",
    "tag_of",
]
