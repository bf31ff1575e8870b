"""What an append is about to do, kept beside it until it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hub.api import Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    place: str  # the new folder, relative to the bag
    files: Mapping[str, Sha256]  # its payload, paths relative to the bag
    before: str  # SHA-256 of the payload manifest before the append
    tags: Mapping[str, str]  # the other tag files as they shall be after it

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Intent:
        """Raises: ValueError, TypeError when the text is not an intent."""
        return cls(**json.loads(text))
