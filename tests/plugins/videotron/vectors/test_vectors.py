"""The published vectors are what this code says, and each of them is what it is meant to be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from plugins.videotron.protocol import Attack
from tests.plugins.videotron.vectors import generate
from tests.plugins.videotron.vectors.second import Player

HERE = Path(__file__).parent
DOCS = HERE.parents[3] / "docs"
VERDICTS: dict[str, Any] = json.loads((HERE / "verdicts.json").read_text())
STEPS = [(history["name"], step) for history in VERDICTS["histories"] for step in history["steps"]]
# Said by the player about blocks and by the hub: no document that is judged ends so.
NOT_HERE = {Attack.WRONG_BLOCK, Attack.TOO_LARGE}


def test_the_vectors_are_made_anew_byte_for_byte(tmp_path: Path) -> None:
    generate.write(tmp_path)

    for name in ("signatures.json", "verdicts.json"):
        again = "python -m tests.plugins.videotron.vectors.generate"
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes(), f"changed on purpose? {again}"


@pytest.mark.parametrize("vector", json.loads((HERE / "signatures.json").read_text()), ids=lambda one: one["type"])
def test_the_signatures_are_those_of_an_independent_reading(vector: dict[str, str]) -> None:
    kind, payload = vector["type"].encode(), vector["payload"].encode()
    signed = b"DSSEv1 " + b" ".join([str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))

    assert signed.hex() == vector["signed"]
    assert private.public_key().public_bytes_raw().hex() == vector["public"]
    assert private.sign(signed).hex() == vector["signature"]
    assert hashlib.sha256(bytes.fromhex(vector["public"])).hexdigest()[:32] == vector["kid"]


def test_every_verdict_that_a_document_can_get_is_shown() -> None:
    shown = {step["verdict"] for _, step in STEPS}

    assert shown >= {"accepted", "same"} | {attack.value for attack in Attack if attack not in NOT_HERE}


@pytest.mark.parametrize("history", VERDICTS["histories"], ids=lambda one: str(one["name"]))
def test_a_second_implementation_from_the_text_alone_comes_to_the_same_verdicts(history: dict[str, Any]) -> None:
    player = Player(
        VERDICTS["player"],
        history["enrolled_with"],
        max_file=VERDICTS["max_file"],
        max_total=VERDICTS["max_total"],
        wanted=VERDICTS["wanted_file"],
    )

    for step in history["steps"]:
        verdict = player.judge(step["kind"], step["document"], datetime.fromisoformat(step["clock"]))

        assert (step["name"], verdict) == (step["name"], step["verdict"])
        kept = {name: list(number) for name, number in player.kept.items()}
        kept |= {name: player.keyset[key] for name, key in (("keyset", "version"), ("epoch", "epoch"))}
        assert kept == {name: value for name, value in step["trust"].items() if name != "not_before"}
        assert player.not_before == datetime.fromisoformat(step["trust"]["not_before"])


@pytest.mark.parametrize(("history", "step"), STEPS, ids=lambda one: one if isinstance(one, str) else one["name"])
def test_what_was_accepted_has_a_signature_that_holds(history: str, step: dict[str, Any]) -> None:
    """By an independent reading, with whichever key of the office: the verdicts are not merely what our code says."""
    envelope = json.loads(step["document"])
    if step["verdict"] not in ("accepted", "same") or step["kind"] == "keys":
        return
    kind, payload = envelope["type"].encode(), envelope["payload"].encode()
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    online = {key(number) for number in (100, 101)}
    by = {hashlib.sha256(public).hexdigest()[:32]: public for public in online}

    counted = [one for one in envelope["signatures"] if one["kid"] in by]

    assert counted, history
    for one in counted:
        Ed25519PublicKey.from_public_bytes(by[one["kid"]]).verify(base64.b64decode(one["sig"]), message)


def test_the_protocol_shows_the_first_signature_as_it_is() -> None:
    vector = json.loads((HERE / "signatures.json").read_text())[0]
    text = (DOCS / "protocol.md").read_text().partition("<!-- signature example -->")[2]

    shown = dict(line.split(maxsplit=1) for line in text.strip().splitlines()[:6])

    assert shown == {name: vector[name] for name in ("type", "payload", "signed", "public", "kid", "signature")}


def test_every_attack_that_the_protocol_names_has_its_tests() -> None:
    tests = " ".join(path.read_text() for path in (HERE.parent / "attacks").glob("test_*.py"))
    table = (DOCS / "protocol.md").read_text().partition("| attack (TUF")[2].partition("\n\n")[0]

    named = re.findall(r"`(test_\w+)`", table)

    assert len(named) > 20
    assert [name for name in named if f"def {name}" not in tests] == []


def key(number: int) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw()
