"""trust.json: what a player remembers for good, with a checksum: a bit that the disk turns must not be believed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from plugins.videotron.protocol import Keyset, decode
from plugins.videotron.protocol.trust import Trust

TRUST = "trust.json"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int
    keyset: str
    manifest: tuple[int, int]
    manifest_digest: str
    override: tuple[int, int]
    override_digest: str
    command: tuple[int, int]
    floor: AwareDatetime


def older(name: str) -> str:
    """The name of the generation before."""
    return name.replace(".json", ".old.json")


def pack(trust: Trust) -> bytes:
    """A line of JSON, and its SHA-256 in the next."""
    kept = {
        "v": 1,
        "keyset": trust.keyset_text,
        "manifest": trust.manifest,
        "manifest_digest": trust.manifest_digest,
        "override": trust.override,
        "override_digest": trust.override_digest,
        "command": trust.command,
        "floor": trust.floor.isoformat(),
    }
    line = json.dumps(kept).encode()
    return line + b"\n" + _sum(line) + b"\n"


def unpack(data: bytes) -> Trust:
    """Raises: ValueError for what was not written by `pack`."""
    line, _, checksum = data.partition(b"\n")
    if checksum.strip() != _sum(line):
        raise ValueError("it is not what was written")
    try:
        kept = _Kept.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(str(error)[:200]) from None
    return Trust(
        keyset=decode(Keyset, kept.keyset.encode()),  # it was judged when it came
        keyset_text=kept.keyset,
        manifest=kept.manifest,
        manifest_digest=kept.manifest_digest,
        override=kept.override,
        override_digest=kept.override_digest,
        command=kept.command,
        floor=kept.floor,
    )


def known_trust(folder: Path) -> Trust | None:
    """What the player with this state folder trusts, by the newest of its states that is whole; None: nothing yet.

    Blocks. Raises: OSError, but for a file that is not there.
    """
    for name in (TRUST, older(TRUST)):
        try:
            return unpack((folder / name).read_bytes())
        except (FileNotFoundError, ValueError):
            continue
    return None


def _sum(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest().encode()
