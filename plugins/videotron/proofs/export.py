"""A month's proofs for an auditor: JSON lines, the players' own signatures and the public keys. Blocks."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.api.files import fsync_folder
from plugins.videotron.enrolment.enrolments import Enrolment
from plugins.videotron.proofs.findings import Period
from plugins.videotron.proofs.reading import Proofs


def export(
    path: Path, player: str, month: str, period: Period, *, proofs: Proofs, machines: Sequence[Enrolment]
) -> None:
    """Write the envelopes of the month as they came, with one before and one after of each chain. Raises: OSError."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            for line in _lines(player, month, period, proofs, machines):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def _lines(
    player: str, month: str, period: Period, proofs: Proofs, machines: Sequence[Enrolment]
) -> Iterator[dict[str, Any]]:
    yield {
        "siarhub": "proof of play",
        "v": 1,
        "player": player,
        "month": month,
        "start": period.start.isoformat(),
        "end": period.end.isoformat(),
        "keys": [
            {"key": base64.b64encode(one.key).decode(), "since": _text(one.since), "revoked_at": _text(one.revoked_at)}
            for one in machines
        ],
    }
    for chain in proofs.chains(player):
        stretch = proofs.stretch(player, chain, period.start, period.end)
        for envelope in proofs.envelopes(player, chain, stretch) if stretch else ():
            yield {"received_at": envelope.received_at.isoformat(), "envelope": envelope.body.decode()}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
