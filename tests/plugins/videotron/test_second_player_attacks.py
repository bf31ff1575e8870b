"""The second player (`second_player/`) against the attack list of docs/protocol.md, and its own disk against it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.plugins.videotron.second_player import documents, wire
from tests.plugins.videotron.second_player.films import Films
from tests.plugins.videotron.second_player.proofs import Proofs
from tests.plugins.videotron.second_player.trust import Trust

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
DATA = b"a film" * 500
SHA256 = hashlib.sha256(DATA).hexdigest()
FILM = {"cid": SHA256[:32], "sha256": SHA256, "size": len(DATA), "seconds": 6, "fetch_after": None, "item": "IP-1"}


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def at(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()


def public(number: int) -> str:
    return base64.b64encode(key(number).public_key().public_bytes_raw()).decode()


def keyset(version: int = 1, epoch: int = 1, online: int = 100, **changes: Any) -> str:
    root, speaks = ({"threshold": 1, "keys": [public(one)]} for one in (1, online))
    told = {"site": "kantor", "version": version, "epoch": epoch, "issued": at(0), "expires": at(9000)}
    return wire.sign("siarhub.keyset.v1", told | {"root": root, "online": speaks} | changes, key(1)).decode()


def keychain(*keysets: str) -> bytes:
    return wire.sign("siarhub.keychain.v1", {"keysets": list(keysets)}, key(1))


def manifest(seq: int = 1, **changes: Any) -> dict[str, Any]:
    order = {
        "site": "kantor",
        "aud": "gate-1",
        "keyset": 1,
        "epoch": 1,
        "seq": seq,
        "issued": at(0),
        "expires": at(168),
    }
    screen = {"width": 64, "height": 32, "zone": "Asia/Makassar"}
    return order | {"screen": screen, "items": [], "standby": [], "fallback": None} | changes


def override(counter: int = 1, mode: str = "blackout", **changes: Any) -> dict[str, Any]:
    order = {"site": "kantor", "aud": "gate-1", "keyset": 1, "epoch": 1, "issued": at(0), "until": None, "films": []}
    return order | {"counter": counter, "mode": mode} | changes


def command(counter: int = 1, **changes: Any) -> dict[str, Any]:
    told = {"site": "kantor", "aud": "gate-1", "epoch": 1, "counter": counter, "name": "screenshot"}
    return told | {"issued": at(0), "expires": at(1)} | changes


@dataclass
class Screen:
    """A player's judgement, with a clock of ours; `again` is the same after a power cut."""

    folder: Path
    clock: datetime = NOW
    trust: Trust = field(init=False)

    def __post_init__(self) -> None:
        self.trust = Trust.enrol(self.folder / "trust", keychain(keyset()), pid="gate-1", clock=lambda: self.clock)

    def again(self) -> None:
        self.trust = Trust(self.folder / "trust", pid="gate-1", clock=lambda: self.clock)

    def hears(self, what: str, document: dict[str, Any] | bytes, signed_by: int = 100) -> str:
        raw = document if isinstance(document, bytes) else wire.sign(f"siarhub.{what}.v1", document, key(signed_by))
        try:
            return "accepted" if getattr(self.trust, f"judge_{what}")(raw) else "same"
        except wire.Refused as refused:
            return refused.verdict


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return Screen(tmp_path)


def test_a_command_that_comes_again_after_a_power_cut_is_refused(screen: Screen) -> None:
    assert screen.hears("command", command(7)) == "accepted"
    screen.again()
    assert [screen.hears("command", command(n)) for n in (7, 6, 8)] == ["replayed", "replayed", "accepted"]


def test_an_old_schedule_is_refused_after_a_power_cut(screen: Screen) -> None:
    assert screen.hears("manifest", manifest(5)) == "accepted"
    screen.again()
    assert [screen.hears("manifest", manifest(n)) for n in (4, 5, 6)] == ["rollback", "same", "accepted"]


def test_a_frozen_player_stops_by_itself(screen: Screen) -> None:
    screen.hears("override", override(until=at(1)))
    assert screen.trust.override

    screen.clock = NOW + timedelta(hours=1)
    assert screen.trust.override is None
    screen.hears("override", override(2))
    screen.clock = NOW + timedelta(hours=9000)
    assert screen.trust.override is None  # its keyset has expired
    assert [screen.hears("manifest", manifest(9, expires=at(9999))), screen.hears("command", command(9))] == [
        "expired"
    ] * 2


def test_a_clock_that_is_turned_back_does_not_turn_time_back(screen: Screen) -> None:
    screen.hears("manifest", manifest(issued=at(5)))
    screen.clock = datetime(1970, 1, 1, tzinfo=UTC)
    screen.again()

    assert NOW + timedelta(hours=5) <= screen.trust.now() < NOW + timedelta(hours=6)
    assert screen.hears("manifest", manifest(2, expires=at(5))) == "expired"


def test_a_thief_who_counted_and_dated_as_far_as_he_could_is_undone_by_a_new_epoch(screen: Screen) -> None:
    thief = {"issued": at(8999), "expires": at(9999)}
    screen.hears("manifest", manifest(2**53 - 1, **thief))
    screen.hears("override", override(2**53 - 1, issued=at(8999)))

    assert screen.trust.judge_keychain(keychain(keyset(), keyset(2, 2, 101, issued=at(1))))

    assert (screen.trust.manifest, screen.trust.override) == (None, None)
    assert screen.trust.now() < NOW + timedelta(hours=2)
    anew = {"keyset": 2, "epoch": 2}
    assert screen.hears("manifest", manifest(1, **anew), 101) == "accepted"
    assert screen.hears("override", override(1, **anew), 101) == "accepted"
    assert screen.hears("manifest", manifest(3, **anew), 100) == "unknown key"
    assert screen.hears("manifest", manifest(3), 101) == "wrong keyset"


def test_keys_are_followed_as_a_whole_or_not_at_all(screen: Screen) -> None:
    good, foreign = keyset(2, online=101), keyset(3, site="lain")
    for chain, verdict in (
        (keychain(keyset(), good, foreign), "wrong site"),
        (keychain(keyset(), keyset(3)), "wrong keyset"),
        (keychain(keyset(issued=at(1))), "equivocation"),
        (keychain(good, keyset(3, online=102), good), "rollback"),
    ):
        assert screen.hears("keychain", chain) == verdict
        assert screen.trust.keyset["version"] == 1
    assert screen.hears("keychain", keychain(good)) == "accepted"
    assert screen.hears("keychain", keychain(keyset())) == "rollback"


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": True},
        {"seq": 1.0},
        {"seq": 2**53},
        {"seq": 0},
        {"items": {}},
        {"items": [{}]},
        {"items": [None] * 1001},
        {"issued": "2026-11-23"},
        {"issued": "2026-11-23T03:00:00"},
        {"issued": "1899-11-23T03:00:00Z"},
        {"issued": "9991-11-23T03:00:00Z"},
        {"fallback": {**FILM, "title": "", "name": "", "cid": "0" * 32}},
        {"fallback": {**FILM, "title": "", "name": "", "size": -1}},
        {"screen": {"width": 64, "height": 32, "zone": "../../etc/passwd"}},
        {"aud": "../gate-1"},
        {"extra": [0] * 2001},
    ],
    ids=repr,
)
def test_what_is_no_manifest_changes_nothing(screen: Screen, changes: dict[str, Any]) -> None:
    assert screen.hears("manifest", manifest() | changes) == "malformed"
    assert screen.trust.manifest is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"\xff",
        b'{"v":1}',
        b"[" * 100_000,
        b'{"v":true,"type":"","payload":"","signatures":[]}',
        b'{"v":1,"v":1,"type":"","payload":"","signatures":[]}',
        b'{"v":1,"type":"siarhub.manifest.v1","payload":"\\ud800","signatures":[]}',
        b'{"v":1,"type":"siarhub.manifest.v1","payload":"","signatures":[{"kid":"x","sig":""}]}',
        b'{"v":1,"type":"siarhub.manifest.v1","payload":"","signatures":[],"more":NaN}',
    ],
    ids=lambda raw: raw[:40].decode(errors="replace"),
)
def test_what_is_no_envelope_is_malformed(screen: Screen, raw: bytes) -> None:
    assert screen.hears("manifest", raw) == "malformed"


def blocks_of(data: bytes, claimed: bytes = DATA) -> dict[str, Any]:
    parts = [data[n : n + 1024] for n in range(0, len(data), 1024)]
    hashes = b"".join(hashlib.sha256(part).digest() for part in parts)
    sha256 = hashlib.sha256(claimed).hexdigest()
    told = {"cid": sha256[:32], "sha256": sha256, "size": len(data), "block_bytes": 1024, "n": len(parts)}
    told |= {"site": "kantor", "hashes": base64.b64encode(hashes).decode()}
    return documents.read("siarhub.blocks.v1", json.dumps(told))


def block(index: int, data: bytes) -> wire.Block:
    return wire.Block(in_group=True, tag=0, index=index, sequence=1, data=data)


def test_a_block_that_is_not_the_listed_one_is_thrown_away(tmp_path: Path) -> None:
    films = Films(tmp_path)
    fetch = films.begin(FILM, blocks_of(DATA))
    for wrong in (block(0, b"x" * 1024), block(0, DATA[:1023]), block(3, DATA[:1024]), block(1, DATA[:1024])):
        with pytest.raises(wire.Refused, match="wrong block"):
            films.take(fetch, wrong)
    assert not any(fetch.have)


def test_a_file_whose_blocks_are_right_and_whose_whole_is_not_is_never_held(tmp_path: Path) -> None:
    films, forged = Films(tmp_path), bytes(len(DATA))
    fetch = films.begin(FILM, blocks_of(forged))
    for index in range(3):
        films.take(fetch, block(index, forged[1024 * index : 1024 * index + 1024]))

    assert not films.complete(fetch)
    assert not films.holds(FILM)
    assert not any(fetch.have)


def test_a_film_that_rotted_on_the_disk_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / FILM["cid"]).write_bytes(DATA[:-1] + b"?")
    assert not Films(tmp_path).holds(FILM)
    (tmp_path / FILM["cid"]).write_bytes(DATA)
    assert Films(tmp_path).holds(FILM)


PLAY = {"boot": "0" * 16, **{name: FILM[name] for name in ("item", "cid", "sha256")}, "title": "", "epoch": 1}


def prove(proofs: Proofs, plays: int) -> None:
    for _ in range(plays):
        proofs.begin(PLAY | {"manifest": 1, "started_at": at(0)})
        proofs.end("completed", 6)


def entries(proofs: Proofs) -> list[dict[str, Any]]:
    batch = proofs.batch("gate-1")
    return [json.loads(text) for text in batch["entries"]] if batch else []


def hash_of(proofs: Proofs, seq: int) -> str:
    batch, found = proofs.batch("gate-1"), b""
    found = bytes.fromhex(batch["prev"])
    for text in batch["entries"][:seq]:
        found = hashlib.sha256(found + text.encode()).digest()
    return found.hex()


def test_a_play_that_a_power_cut_ended_is_told_as_unknown(tmp_path: Path) -> None:
    Proofs(tmp_path / "proofs").begin(PLAY | {"manifest": 1, "started_at": at(0)})

    [entry] = entries(Proofs(tmp_path / "proofs"))

    assert (entry["seq"], entry["result"], entry["seconds"]) == (1, "unknown", 0)


def test_only_an_acknowledgement_with_the_players_own_hash_forgets(tmp_path: Path) -> None:
    proofs = Proofs(tmp_path / "proofs")
    prove(proofs, 3)
    ack = {"chain": proofs.chain, "seq": 2, "hash": hash_of(proofs, 2)}

    assert not proofs.acknowledge(ack | {"chain": "f" * 16})
    assert proofs.acknowledge(ack)
    assert not proofs.acknowledge(ack)
    again = Proofs(tmp_path / "proofs")
    assert ([one["seq"] for one in entries(again)], again.batch("gate-1")["prev"]) == ([3], ack["hash"])


@pytest.mark.parametrize("changes", [{"seq": 2, "hash": "f" * 64}, {"seq": 9, "hash": "f" * 64}])
def test_a_fork_begins_a_new_chain_and_loses_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    proofs = Proofs(tmp_path / "proofs")
    prove(proofs, 3)
    before = proofs.chain

    proofs.acknowledge({"chain": before} | changes)

    assert proofs.chain != before
    assert [one["seq"] for one in entries(proofs)] == [1, 2, 3]
    assert [bool(one["reason"]) for one in entries(proofs)] == [True, False, False]


def test_a_full_record_says_how_many_plays_it_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.plugins.videotron.second_player.proofs.MOST_WAITING", 2)
    proofs = Proofs(tmp_path / "proofs")
    prove(proofs, 5)
    proofs.acknowledge({"chain": proofs.chain, "seq": 2, "hash": hash_of(proofs, 2)})
    prove(proofs, 1)

    assert [(one["seq"], one["reason"]) for one in entries(proofs)] == [(3, "lost 3 before this")]


def test_a_spoiled_record_begins_anew_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "proofs").write_bytes(b"\0" * 100)
    proofs = Proofs(tmp_path / "proofs")
    prove(proofs, 1)

    assert "spoiled" in entries(proofs)[0]["reason"]
