"""What came of a player's power cuts: on its disk, on its screen, in its proofs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.api.files import sha256_of
from plugins.videotron.player.agent import SystemClock
from plugins.videotron.player.proof import ProofLog
from plugins.videotron.player.timekeeping import Timekeeper
from plugins.videotron.player.trusted import Limits, Trusted
from plugins.videotron.protocol import ProofEntry, ProofOfPlay, WireError, decode
from plugins.videotron.protocol.schedule import stale_at
from tests.faults.cuts_world import SCREEN, Record, World


def less_than(state: Path, version: tuple[int, int], override: int, proofs: dict[str, int]) -> str:
    """What of that this disk does not have any more; "" = nothing. Looking does not change the next start."""
    trusted = Trusted(
        state,
        player=SCREEN,
        chain=None,
        time=Timekeeper(SystemClock()),
        limits=Limits(file_bytes=1 << 30, total_bytes=1 << 30),
    )
    trusted.load()
    if trusted.troubles:
        return f"{trusted.troubles}"
    if trusted.version < version or trusted.override_counter < override:
        return f"follows {trusted.version} and order {trusted.override_counter}; it had said {version} and {override}"
    spoiled: list[Path] = []
    log = ProofLog(state / "proof.db", boot="0" * 16, keep=100_000, set_aside=spoiled.append)
    try:
        if spoiled or log.trouble:
            return f"the record of plays: {spoiled or log.trouble}"
        if log.seq < proofs.get(log.chain, 0):
            return f"{log.seq} plays; it had said {proofs}"
        return ""
    finally:
        log.close()


def wrongly_shown(made: World) -> list[str]:
    """Films that mpv had open and nothing signed named, or that were not what their name says."""
    allowed = made.record.hashes()
    if not made.shown:
        return ["no film was seen in mpv: nothing can be judged"]
    wrong = [name for name, right in made.shown.items() if not right]
    wrong += [name for name in made.shown if Path(name).stem not in allowed]
    return wrong + made.record.unsigned


def left_on_disk(made: World) -> list[str]:
    """What should not be in the player's folder."""
    state = made.state
    films = [path for path in (state / "media").iterdir() if path.suffix == ".mp4"]
    bad = [path.name for path in films if sha256_of(path) != path.stem]
    bad += [path.name for path in (state / "media").iterdir() if path not in films and path.suffix != ".part"]
    litter = [path.name for path in state.iterdir() if ".spoiled-" in path.name or path.suffix == ".tmp"]
    return bad + litter if len(litter) > 1 else bad  # one may be of a write that goes on now


def wrongly_proved(made: World) -> list[str]:
    """By the hub's own check of the month, and by what was signed when each film was shown."""
    month = datetime.now(UTC) + timedelta(hours=8)
    out = made.folder / "month.jsonl"
    ran = made.siarhub("videotron", "verify-proof", SCREEN, f"{month:%Y-%m}", "--json", "--out", str(out))
    found = json.loads(ran.stdout or "{}").get("problems", [ran.stderr]) if ran.returncode else []
    entries = list(_entries(out))
    found += [] if entries else ["nothing was proved"]
    return [*map(str, found), *(why for entry in entries if (why := _unfounded(made.record, entry)))]


def _unfounded(record: Record, entry: ProofEntry) -> str:
    """Why nothing signed allowed this play; "" = something did."""
    if any(film.sha256 == entry.sha256 for override in record.overrides.values() for film in override.films):
        return ""
    manifest = record.manifests.get((entry.epoch, entry.manifest))
    if manifest is None:
        return f"{entry.item} by manifest {entry.manifest}, which nobody signed"
    for item in manifest.items:
        if item.sha256 == entry.sha256 and item.start <= entry.started_at < stale_at(manifest, item):
            return ""
    return f"{entry.item} is not in manifest {entry.manifest} at {entry.started_at}"


def _entries(path: Path) -> Iterator[ProofEntry]:
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            proof = decode(ProofOfPlay, json.loads(line)["envelope"].encode())
        except (WireError, KeyError, AttributeError):
            continue
        yield from (ProofEntry.model_validate_json(text) for text in proof.entries)
