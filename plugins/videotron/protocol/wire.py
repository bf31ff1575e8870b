"""What all forms of message share: version, limits, names, and how a refusal is raised."""

from __future__ import annotations

import re

from plugins.videotron.protocol.reasons import Attack

VERSION = 1
DEFAULT_NAMESPACE = "led/v1"
MAX_BLOCKS = 16384
MAX_BLOCK_BYTES = 1 << 20
MAX_DOCUMENT_BYTES = 1_000_000
MAX_SAFE_INTEGER = (1 << 53) - 1  # what every JSON reader keeps exactly

PLAYER_ID = re.compile(r"[a-z0-9-]{1,40}\Z")
CID = re.compile(r"[0-9a-f]{32}\Z")


class WireError(ValueError):
    """What arrived is not a version 1 frame or document of the expected kind; the text says why."""

    attack: Attack = Attack.MALFORMED


class Refused(WireError):
    """It is well-formed, and must not be believed; `attack` says of which kind the lie would be."""

    def __init__(self, attack: Attack, text: str) -> None:
        super().__init__(text)
        self.attack = attack


def cid_of(sha256: str) -> str:
    """The content id of a file: the first 32 hexadecimal digits of its SHA-256."""
    return sha256[:32]


def block_count(size: int, block_bytes: int) -> int:
    return -(-size // block_bytes)
