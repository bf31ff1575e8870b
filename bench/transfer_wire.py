"""What both ends of a measured transfer would learn from keys and manifests comes from their job; all is signed."""

from __future__ import annotations

from datetime import UTC, datetime

from plugins.videotron.protocol import BlockList, File, HubState, SigningKey, decode_signed, encode_signed, key_id
from plugins.videotron.transfer.contents import Content

SITE = "bench"


class HubsKey:
    """The key with which the hub signs, and which the players know."""

    def __init__(self, secret: str) -> None:
        self._key = SigningKey(bytes.fromhex(secret))

    @staticmethod
    def new() -> str:
        return SigningKey.new().secret.hex()

    def announcement(self, content: Content) -> bytes:
        """The retained block list of a content, as the hub publishes it."""
        return encode_signed(content.blocks, self._key)

    def hub_state(self, run: str, *, online: bool) -> bytes:
        return encode_signed(HubState(site=SITE, online=online, run=run, now=datetime.now(UTC)), self._key)

    def judge(self, payload: bytes, file: File) -> BlockList:
        """The block list, if the hub signed it and it is that of this file. Raises: WireError, AssertionError."""
        blocks = decode_signed(BlockList, payload, {key_id(self._key.public): self._key.public})
        assert (blocks.cid, blocks.size) == (file.cid, file.size)
        return blocks
