"""Whatever arrives, only WireError comes out, soon and without much memory."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.videotron.keys.keyfiles import BadKeys
from plugins.videotron.keys.proposals import read_proposal
from plugins.videotron.protocol import (
    MAX_DOCUMENT_BYTES,
    Command,
    Document,
    Envelope,
    HubState,
    Keychain,
    Keyset,
    Manifest,
    Override,
    PlayerState,
    ProofOfPlay,
    WireError,
    decode,
    open_envelope,
)
from plugins.videotron.protocol.envelope import parse, seal
from plugins.videotron.protocol.signatures import signature
from plugins.videotron.protocol.trust import (
    begin,
    digest_of,
    follow_chain,
    judge_ack,
    judge_blocks,
    judge_command,
    judge_hub,
    judge_override,
)
from tests.plugins.videotron.attacks.office import PLAYER, START, Office, Screenside, film, opened

OFFICE = Office()
TRUST = OFFICE.trust()
KINDS: tuple[type[Document], ...] = (Keyset, Keychain, Manifest, Override, Command, HubState, PlayerState, ProofOfPlay)
DOCUMENTS = (
    OFFICE.publish(items=(film(1), film(2))),
    OFFICE.override(),
    OFFICE.command(),
    OFFICE.hub(),
    OFFICE.blocks(film()),
    OFFICE.ack(),
    OFFICE.chain,
    OFFICE.texts[0].encode(),
)
ENTRIES: tuple[Callable[[bytes], object], ...] = (
    open_envelope,
    digest_of,
    begin,
    lambda data: follow_chain(TRUST, data),
    lambda data: Screenside(TRUST).take(data),
    lambda data: judge_override(TRUST, data, player=PLAYER, now=START),
    lambda data: judge_command(TRUST, data, player=PLAYER, now=START),
    lambda data: judge_hub(TRUST, data, now=START),
    lambda data: judge_blocks(TRUST, data, wanted=film()),
    lambda data: judge_ack(TRUST, data, player=PLAYER),
    *(lambda data, kind=kind: decode(kind, data) for kind in KINDS),  # type: ignore[misc]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
GENUINE = json.loads(opened(OFFICE.publish())["payload"])


def only_wire_errors(data: bytes) -> None:
    for entry in ENTRIES:
        try:
            entry(data)
        except WireError:
            continue


def signed(payload: str, kind: str = Manifest.TYPE) -> bytes:
    return seal(kind, payload, (signature(kind, payload, OFFICE.online),))


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data: bytes) -> None:
    only_wire_errors(data)


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_any_json(value: object) -> None:
    only_wire_errors(json.dumps(value).encode())


@given(st.sampled_from(DOCUMENTS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=250, deadline=None)
def test_genuine_documents_with_bytes_changed(document: bytes, changes: list[tuple[float, int]]) -> None:
    data = bytearray(document)
    for place, byte in changes:
        data[int(place * (len(data) - 1))] = byte

    only_wire_errors(bytes(data))


@given(st.sampled_from(DOCUMENTS), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_genuine_documents_cut_and_repeated(document: bytes, begin_at: float, end_at: float) -> None:
    first, last = sorted((int(begin_at * len(document)), int(end_at * len(document))))

    only_wire_errors(document[:first])
    only_wire_errors(document[:last] + document[first:])


@given(st.sampled_from(sorted(GENUINE)), JSON)
@settings(max_examples=300, deadline=None)
@example("seq", 1.0)
@example("seq", True)
@example("seq", 2**53)
@example("aud", "gate-1\n")
def test_a_signed_manifest_with_any_value_in_any_place(name: str, value: object) -> None:
    """A stolen key, or a hub with a bug: the document is refused, and the player goes on."""
    payload = json.dumps({**GENUINE, name: value})

    try:
        accepted = Screenside(TRUST).take(signed(payload))
    except WireError:
        return

    assert type(accepted.document.seq) is int
    assert 1 <= accepted.document.seq < 2**53


def members(name: str, value: str) -> str:
    """The genuine manifest with this JSON text in place of a member, or as another one."""
    rest = {key: one for key, one in GENUINE.items() if key != name}
    return f'{json.dumps(rest)[:-1]},"{name}":{value}}}'


BOMBS = {
    "deep lists": b"[" * 900_000,
    "deep objects": b'{"a":' * 160_000,
    "deep, closed, in an unknown member": signed(members("x", "[" * 400_000 + "]" * 400_000)),
    "infinite number": signed(members("seq", "1e400")),
    "number with a fraction": signed(members("seq", "1.0")),
    "huge integer": signed(members("seq", "9" * 400_000)),
    "huge unknown integer": signed(members("x", "9" * 400_000)),
    "NaN": signed(members("x", "NaN")),
    "-Infinity": signed(members("x", "-Infinity")),
    "lone surrogate": signed(members("x", '"\\ud800"')),
    "surrogate as bytes": DOCUMENTS[0].replace(b"Film 1", b"\xed\xa0\x80"),
    "byte order mark": b"\xef\xbb\xbf" + DOCUMENTS[0],
    "duplicate key": signed(json.dumps(GENUINE)[:-1] + ',"seq":9}'),
    "duplicate key, escaped": signed(json.dumps(GENUINE)[:-1] + ',"s\\u0065q":9}'),
    "duplicate key in the envelope": b'{"v":1,' + DOCUMENTS[0][1:],
    "trailing text": DOCUMENTS[0] + b"x",
    "two documents": DOCUMENTS[0] * 2,
    "many wrong items": signed(members("items", "[" + ",".join(["{}"] * 150_000) + "]")),
    "many wrong signatures": b'{"v":1,"type":"x","payload":"","signatures":[' + b",".join([b"{}"] * 300_000) + b"]}",
    "many keysets": seal(Keychain.TYPE, '{"keysets":[' + ",".join(["0"] * 400_000) + "]}"),
    "many empty lists": signed(members("x", "[" + ",".join(["[]"] * 300_000) + "]")),
    "many lists of lists": signed(members("x", "[" + ",".join(["[" + ",".join(["[]"] * 300) + "]"] * 900) + "]")),
    "many members": signed("{" + ",".join(f'"{number}":[]' for number in range(65_000)) + "}"),
    "year 1": signed(members("issued", '"0001-01-01T00:00:00+23:59"')),
    "year 9999": signed(members("expires", '"9999-12-31T23:59:59-23:59"')),
    "time as a number": signed(members("issued", "1700000000")),
    "time as digits": signed(members("issued", '"1700000000"')),
    "time in another form": signed(members("issued", '"20261123T030000Z"')),
    "time without seconds": signed(members("issued", '"2026-11-23T03:00Z"')),
    "time without offset": signed(members("issued", '"2026-11-23T03:00:00"')),
    "spaces": b" " * MAX_DOCUMENT_BYTES,
    "nothing": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_soon_and_cheaply(name: str) -> None:
    data = BOMBS[name]
    began = time.perf_counter()
    with pytest.raises(WireError):
        Screenside(TRUST).take(data)
    seconds = time.perf_counter() - began
    tracemalloc.start()

    with pytest.raises(WireError):
        Screenside(TRUST).take(data)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 5  # a tenth of a second on a quiet machine
    assert peak < 100 * MAX_DOCUMENT_BYTES
    only_wire_errors(data)


@given(JSON)
@settings(max_examples=50, deadline=None)
def test_proposals_that_custodians_get_on_a_stick(value: object) -> None:
    for data in (json.dumps(value).encode(), seal(Keychain.TYPE, json.dumps(value))):
        with pytest.raises(BadKeys):
            read_proposal(data)


def test_what_must_be_ignored_is_ignored() -> None:
    later = signed(members("x", '{"from": "a later version", "y": [1, 2.5, null]}'))

    assert Screenside(TRUST).take(later).new
    assert parse(Envelope, '{"v":1,"type":"t","payload":"","signatures":[],"new":{}}').type == "t"
