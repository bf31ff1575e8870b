"""A second implementation, written from docs/protocol.md alone: the document is exact enough, and the hub agrees."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.plugins.videotron.second_player import documents, schedule, wire
from tests.plugins.videotron.second_player.enrolling import Code, read_credential
from tests.plugins.videotron.second_player.trust import Trust

HERE = Path(__file__).parent
VERDICTS = json.loads((HERE / "vectors/verdicts.json").read_text())
SCHEDULES = json.loads((HERE / "protocol/schedule_vectors.json").read_text())

ASK = (
    b'{"id":"60c3a2558ab60494","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",'
    b'"box":"E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20=","salt":"CQkJCQkJCQkJCQkJCQkJCQ==",'
    b'"software":"vector 1","screen":{"width":1920,"height":540},"stored":null}'
)
MAC = "d1c4c06044da5dc6c668eb9e7fd879610cbc0200d3612b0ed5a32bb037aa3444"
ANSWER = (
    "50a61409b1ddd0325e9b16b700e719e9772c07000b1bd7786e907c653d20495d030303030303030303030303"
    "9f3deaefd4b3de204902603afca21ee934dddd8e327d0b5e84a75719790dd2631b7579b70804279fdd36daf1"
    "a80701f70215f11c3fa11c99b5c681de86806b478e00bce8e42c53fd784b9ab844815c62fa9fe51d1706dfb6"
    "1b306cab4424222b19279662d5962a836546058b5be3f1ca9abbe254d93673c8edb26a0303576baf412a24a6"
    "60651dea9c965e8c6a572ebb34d95edf3f9f32e2ae971bb24943ec93466aa501f179eeb0deee88e11922673b"
    "7627e6debc4300f9fc0dfe28f81f2f3d080c2a7805db7e6766"
)
DIGEST = "64302ca9e0c7c5ab75c79fafeb2fa0906d993daf9f15ee8f593c7ba2a6ba3f46"


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


def test_the_published_code_comes_out_of_the_published_keys_and_opens_the_published_answer() -> None:
    """The golden bytes of protocol/test_enrolment.py."""
    box = X25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    code = Code(key=bytes(range(32)), box=box, salt=bytes([9]) * 16)

    ask = code.ask()
    opened = code.open(bytes.fromhex(ANSWER))

    assert (code.shown, code.id) == ("E68A-XSK8-1MKV-8R7E", "60c3a2558ab60494")
    assert code.password == "0gw1p8RFjmQxMfLKKjd_Mq5t35RVL6gF"
    assert hmac.digest(code._derived(b"ask", 32), b"siarhub.enrol-ask.v1\0" + ASK, "sha256").hex() == MAC
    assert json.loads(ask[32:]).keys() == json.loads(ASK).keys()
    assert hashlib.sha256(opened.encode()).hexdigest() == DIGEST
    assert read_credential(opened)["player"] == "gate-1"


@pytest.mark.parametrize("place", [0, 31, 32, 44, 100, -1])
def test_an_answer_that_was_changed_anywhere_is_refused(place: int) -> None:
    box = X25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    changed = bytearray.fromhex(ANSWER)
    changed[place] ^= 1

    with pytest.raises(wire.Refused):
        Code(key=bytes(range(32)), box=box, salt=bytes([9]) * 16).open(bytes(changed))


def test_chains_and_signs_proofs_as_the_documents_example_does() -> None:
    text = (HERE.parents[2] / "docs/protocol.md").read_text()
    example = re.search(r"<!-- proof example -->\n    (.*)\n", text)[1]
    envelope = wire.open_envelope(example.encode())
    proof = json.loads(envelope.payload)
    hashes = [bytes.fromhex(proof["prev"])]
    for entry in proof["entries"]:
        hashes.append(hashlib.sha256(hashes[-1] + entry.encode()).digest())

    signed = wire.sign("siarhub.proof.v1", proof, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))

    assert wire.open_envelope(signed) == dataclasses.replace(envelope, text=signed.decode())
    assert [one.hex() for one in hashes[1:]] == re.findall(r"    hash\(\d\) = ([0-9a-f]{64})", text)
