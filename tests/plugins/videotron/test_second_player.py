"""A second implementation, written from docs/protocol.md alone: the document is exact enough, and the hub agrees."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from second_player import documents, schedule, wire  # noqa: E402
from second_player.trust import Trust  # noqa: E402

VERDICTS = json.loads((HERE / "vectors/verdicts.json").read_text())
SCHEDULES = json.loads((HERE / "protocol/schedule_vectors.json").read_text())


def test_signs_the_published_bytes() -> None:
    for vector in json.loads((HERE / "vectors/signatures.json").read_text()):
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
        signed = wire.pae(vector["type"], vector["payload"])

        assert signed.hex() == vector["signed"]
        assert wire.kid_of(key.public_key().public_bytes_raw()) == vector["kid"]
        assert key.sign(signed).hex() == vector["signature"]


@pytest.mark.parametrize("history", VERDICTS["histories"], ids=lambda history: history["name"])
def test_judges_as_published(history: dict, tmp_path: Path) -> None:
    clock = [datetime(2000, 1, 1, tzinfo=UTC)]
    settings = {"pid": VERDICTS["player"], "clock": lambda: clock[0]}
    limits = {"max_file": VERDICTS["max_file"], "max_total": VERDICTS["max_total"]}
    trust = Trust.enrol(tmp_path / "kept", history["enrolled_with"].encode(), **settings, **limits)
    for step in history["steps"]:
        clock[0] = datetime.fromisoformat(step["clock"])

        assert verdict_on(trust, step["kind"], step["document"].encode()) == step["verdict"], step["name"]
        assert kept_by(trust) == step["trust"], step["name"]
        assert kept_by(Trust(tmp_path / "kept", **settings, **limits)) == step["trust"], "not durable"


def verdict_on(trust: Trust, kind: str, raw: bytes) -> str:
    judges = {
        "manifest": trust.judge_manifest,
        "override": trust.judge_override,
        "command": trust.judge_command,
        "keys": trust.judge_keychain,
        "hub": lambda raw: trust.judge_hub(raw)[1],
        "ack": trust.judge_ack,
        "blocks": lambda raw: trust.judge_blocks(raw, VERDICTS["wanted_file"]),
    }
    try:
        return "accepted" if judges[kind](raw) else "same"
    except wire.Refused as refused:
        return refused.verdict


def kept_by(trust: Trust) -> dict:
    kept = trust.kept
    numbers = {
        key: [getattr(kept, key).epoch, getattr(kept, key).number] for key in ("manifest", "override", "command")
    }
    not_before = kept.not_before.replace("+00:00", "Z")
    return {"keyset": trust.keyset["version"], "epoch": trust.keyset["epoch"], "not_before": not_before, **numbers}


@pytest.mark.parametrize("vector", SCHEDULES, ids=lambda vector: vector["name"])
def test_shows_what_the_published_schedules_show(vector: dict) -> None:
    manifest = documents.read("siarhub.manifest.v1", json.dumps(vector["manifest"]))

    found = schedule.loop(manifest, datetime.fromisoformat(vector["now"]), lambda film: True)

    assert [place.key for place in found.places] == vector["loop"]
    assert found.until == datetime.fromisoformat(vector["next_change"])
