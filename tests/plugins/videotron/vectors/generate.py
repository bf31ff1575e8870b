"""Makes the published test vectors: python -m tests.plugins.videotron.vectors.generate

Keys come from fixed seeds and Ed25519 is deterministic, so that everybody makes the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from plugins.videotron.protocol import Attack, Keychain, SigningKey, WireError, encode, encode_signed, key_id
from plugins.videotron.protocol.signatures import pae
from plugins.videotron.protocol.trust import (
    Trust,
    begin,
    follow_chain,
    judge_ack,
    judge_blocks,
    judge_command,
    judge_hub,
    judge_manifest,
    judge_override,
)
from tests.plugins.videotron.attacks.office import (
    MAX_FILE,
    MAX_TOTAL,
    PLAYER,
    START,
    Office,
    closed,
    film,
    key,
    opened,
    with_payload,
)

HERE = Path(__file__).parent
WANTED = film(1)


class History:
    """One player's life: what came, when, and what was to be done with it."""

    def __init__(self, name: str, office: Office) -> None:
        self.name, self.office = name, office
        self.enrolled = office.chain.decode()
        self.enrolled_text = office.texts[-1]
        self.trust = begin(office.chain)
        self.now = START
        self.steps: list[dict[str, Any]] = []

    def came(self, name: str, kind: str, data: bytes) -> None:
        """A document, judged; its verdict stands in the vector."""
        verdict = "accepted"
        try:
            after = _judge(kind, self.trust, data, max(self.now, self.trust.floor))
            verdict = "same" if after is None else verdict
            self.trust = after or self.trust
        except WireError as error:
            verdict = error.attack.value
        self.steps.append(
            {
                "name": name,
                "kind": kind,
                "clock": _text(self.now),
                "document": data.decode(),
                "verdict": verdict,
                "trust": _trust(self.trust),
            }
        )

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "enrolled_with": self.enrolled, "steps": self.steps}


def verdicts() -> dict[str, Any]:
    """verdicts.json"""
    histories = [forgeries(), rollback(), stolen_online_key(), custodians(), times(), orders()]
    return {
        "player": PLAYER,
        "max_file": MAX_FILE,
        "max_total": MAX_TOTAL,
        "wanted_file": {"cid": WANTED.cid, "sha256": WANTED.sha256, "size": WANTED.size},
        "verdicts": ["accepted", "same", *(attack.value for attack in Attack)],
        "histories": [history.as_json() for history in histories],
    }


def signatures() -> list[dict[str, str]]:
    """signatures.json"""
    texts = [
        ("siarhub.test.v1", "{}"),
        ("siarhub.test.v1", ""),
        ("siarhub.manifest.v1", '{"title":"Cegah DBD – bersama é 𝄞"}'),
        ("siarhub.override.v1", '{"title":"Cegah DBD – bersama é 𝄞"}'),
    ]
    return [_signature(key(number), kind, payload) for number, (kind, payload) in enumerate(texts, 1)]


def forgeries() -> History:
    office = Office()
    told = History("forgeries", office)
    manifest = office.manifest()
    good = encode_signed(manifest, office.online)
    stranger = key(66)
    resigned = opened(encode_signed(manifest, stranger))
    resigned["signatures"][0]["kid"] = opened(good)["signatures"][0]["kid"]
    twice = opened(good)
    twice["signatures"] *= 2
    renamed = {**opened(office.override()), "type": "siarhub.manifest.v1"}
    both = opened(encode_signed(manifest, stranger, office.online))
    told.came("no signature", "manifest", encode(manifest))
    told.came("signed by a stranger", "manifest", encode_signed(manifest, stranger))
    told.came("signed by a stranger under the hub's kid", "manifest", closed(resigned))
    told.came("signed by the root", "manifest", encode_signed(manifest, office.roots[0]))
    told.came("the payload was changed", "manifest", with_payload(good, seq=2))
    told.came("the payload was written anew", "manifest", with_payload(good))
    told.came("one key signs twice", "manifest", closed(twice))
    told.came("an override on the manifest's topic", "manifest", office.override())
    told.came("an override called a manifest", "manifest", closed(renamed))
    told.came("a key twice in the envelope", "manifest", b'{"v":1,' + good[1:])
    told.came("another version", "manifest", closed({**opened(good), "v": 2}))
    told.came("for another screen", "manifest", office.sign(office.manifest(aud="gate-2")))
    told.came("of another office", "manifest", office.sign(office.manifest(site="tetangga")))
    told.came("larger than the disk", "manifest", office.sign(office.manifest(items=(film(size=MAX_FILE + 1),))))
    told.came("genuine, and a stranger's signature besides", "manifest", closed(both))
    told.came("the same without it", "manifest", good)
    told.came("the block list of the file", "blocks", office.blocks(WANTED))
    told.came("the block list of another file", "blocks", office.blocks(film(2)))
    return told


def rollback() -> History:
    office = Office()
    told = History("rollback and freeze", office)
    first, second = office.publish(), office.publish()
    told.came("the second manifest", "manifest", second)
    told.came("the first one after it", "manifest", first)
    told.came("the second one again", "manifest", second)
    office.seq -= 1
    told.came("another second one", "manifest", office.publish(items=()))
    told.now = START + timedelta(days=7)
    told.came("the second one when it has expired", "manifest", second)
    office.now = told.now
    told.came("the third one", "manifest", office.publish())
    told.now = office.now = office.keyset.expires
    told.came("a manifest when the keyset has expired", "manifest", office.publish(issued=START))
    return told


def stolen_online_key() -> History:
    office = Office()
    thief = office.online
    told = History("the online key is stolen", office)
    told.came("the thief counts as far as one can", "manifest", office.publish(seq=2**53 - 1))
    told.came("the hub's own is lower", "manifest", office.publish(seq=2))
    office.rotate_online(key(101), stolen=True)
    genuine = office.publish()
    told.came("signed under keys that were kept back", "manifest", genuine)
    told.came("keyset 2, of epoch 2", "keys", office.chain)
    told.came("the hub's, in the new epoch", "manifest", genuine)
    told.came("the thief again", "manifest", encode_signed(office.manifest(seq=99), thief))
    told.came("the thief's keyset", "keys", _forged_chain(office, [thief]))
    told.came("the chain from before", "keys", told.enrolled.encode())
    return told


def custodians() -> History:
    office = Office(roots=[key(1), key(2), key(3)], threshold=2)
    told = History("custodians", office)
    told.came("one of three signs", "keys", _forged_chain(office, [key(1)]))
    told.came("two sign", "keys", _forged_chain(office, [key(1), key(3)]))
    missing = Office(roots=[key(1), key(2), key(3)], threshold=2)
    missing.rotate_online(key(101))
    missing.rotate_online(key(102))
    missing.rotate_online(key(103))
    told.came("two keysets further", "keys", encode(Keychain(keysets=(told.enrolled_text, missing.texts[3]))))
    told.came("a manifest under keyset 4", "manifest", office.sign(office.manifest(keyset=4)))
    office = Office(roots=[key(1), key(2), key(3)], threshold=2)
    office.rotate_roots([key(3), key(4)], 2)
    told.came("another keyset of the same version", "keys", office.chain)
    return told


def times() -> History:
    office = Office()
    told = History("time", office)
    told.now = datetime(1970, 1, 1, tzinfo=START.tzinfo)
    told.came("a machine that wakes in 1970", "manifest", office.publish())
    frozen = office.publish()
    office.now = START + timedelta(days=10)
    told.came("the hub tells the time", "hub", office.hub())
    told.came("a manifest that had expired by then", "manifest", frozen)
    told.came("the hub's old time", "hub", office.hub(now=START))
    told.came("a time after the keyset", "hub", office.hub(now=office.keyset.expires))
    return told


def orders() -> History:
    office = Office()
    told = History("orders", office)
    first, second = office.override(), office.override(until=START + timedelta(hours=1))
    told.came("a blackout", "override", second)
    told.came("an older one", "override", first)
    told.came("the same again", "override", second)
    told.came("for another screen", "override", office.override(aud="gate-2"))
    command = office.command()
    told.came("a command", "command", command)
    told.came("the same command again", "command", command)
    told.came("one for another screen", "command", office.command(aud="gate-2"))
    late = office.command()
    told.now = START + timedelta(minutes=5)
    told.came("one that comes too late", "command", late)
    told.came("an acknowledgement", "ack", office.ack())
    told.came("one of another player's proofs", "ack", office.ack(player="gate-2"))
    return told


def write(folder: Path = HERE) -> None:
    for name, content in (("signatures", signatures()), ("verdicts", verdicts())):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _judge(kind: str, trust: Trust, data: bytes, now: datetime) -> Trust | None:
    """The trust after it; None when it is the one that is in force already."""
    if kind == "keys":
        after = follow_chain(trust, data)
        return after if after.keyset != trust.keyset else None
    if kind == "blocks":
        judge_blocks(trust, data, wanted=WANTED)
        return trust
    if kind == "ack":
        judge_ack(trust, data, player=PLAYER)
        return trust
    judges: dict[str, Callable[[], Any]] = {
        "manifest": lambda: judge_manifest(trust, data, player=PLAYER, now=now, max_file=MAX_FILE, max_total=MAX_TOTAL),
        "override": lambda: judge_override(trust, data, player=PLAYER, now=now),
        "command": lambda: judge_command(trust, data, player=PLAYER, now=now),
        "hub": lambda: judge_hub(trust, data, now=now),
    }
    accepted = judges[kind]()
    after: Trust = accepted.trust
    return after if accepted.new else None


def _forged_chain(office: Office, signers: list[SigningKey]) -> bytes:
    mine = Office(site=office.site, roots=list(office.roots), threshold=office.threshold, online=office.online)
    mine.keysets, mine.texts = list(office.keysets), list(office.texts)
    mine.add_keyset(mine.next_keyset(), signers)
    return mine.chain


def _signature(by: SigningKey, kind: str, payload: str) -> dict[str, str]:
    signed = pae(kind, payload.encode())
    return {
        "seed": by.secret.hex(),
        "public": by.public.hex(),
        "kid": key_id(by.public),
        "type": kind,
        "payload": payload,
        "signed": signed.hex(),
        "signature": by.sign(signed).hex(),
    }


def _trust(trust: Trust) -> dict[str, Any]:
    return {
        "keyset": trust.keyset.version,
        "epoch": trust.keyset.epoch,
        "manifest": list(trust.manifest),
        "override": list(trust.override),
        "command": list(trust.command),
        "not_before": _text(trust.floor),
    }


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    write()
