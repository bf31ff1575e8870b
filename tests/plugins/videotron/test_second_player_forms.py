"""Both players take the same documents and refuse the same: every value of every document, replaced and left out."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.protocol import (
    BlockList,
    Command,
    Document,
    HubState,
    Keychain,
    Keyset,
    Manifest,
    Override,
    ProofAck,
    WireError,
)
from plugins.videotron.protocol.envelope import open_envelope, parse
from plugins.videotron.protocol.hours import zone_of
from tests.plugins.videotron.second_player import documents, wire

HERE = Path(__file__).parent
GOLDEN = ast.literal_eval((HERE / "payloads.json").read_text())
CHAIN = json.loads((HERE / "vectors/verdicts.json").read_text())["histories"][0]["enrolled_with"]
KEYCHAIN = json.loads(CHAIN)["payload"]
KEYSET = json.loads(json.loads(KEYCHAIN)["keysets"][0])["payload"]
EMERGENCY = json.loads(GOLDEN["override"]) | {"mode": "emergency", "films": json.loads(GOLDEN["manifest"])["standby"]}
DOCUMENTS: list[tuple[type[Document], str]] = [
    (BlockList, GOLDEN["blocks"]),
    (Command, GOLDEN["command"]),
    (HubState, GOLDEN["hub"]),
    (Manifest, GOLDEN["manifest"]),
    (Override, GOLDEN["override"]),
    (Override, json.dumps(EMERGENCY)),
    (ProofAck, GOLDEN["proof-ack"]),
    (Keychain, KEYCHAIN),
    (Keyset, KEYSET),
]
NUMBERS = [0, -1, 1, 7, 20, 21, 24, 1024, 16384, 16385, 86400, 86400.5, 1.0, 1.5, -0.5, 1e999, 2**53 - 1, 2**53]
NUMBERS += [1048576, 1048577, 2**34, 2**34 + 1, 10_000_000, 10_000_001]
TEXTS = ["", "A", "a" * 40, "a" * 41, "a" * 300, "a" * 301, "é", "a\n", "00", "0" * 16, "0" * 32, "0" * 64, "AAAA", "="]
TEXTS += ["23:59", "24:00", "٢3:00", "Asia/Tokyo", "UTC", "Mars/Olympus", "/etc", "a/b/c/d", "../UTC"]
TEXTS += ["none", "emergency", "urgent", "normal", "screenshot"]
TIMES = ["2026-11-23T03:00:00Z", "2026-11-23T03:00:00+08:00", "2026-11-23T03:00:00", "2026-11-23t03:00:00z"]
TIMES += ["2026-11-23T03:00:00.1234567Z", "2026-11-23T24:00:00Z", "2026-11-23T23:59:60Z", "2026-02-30T00:00:00Z"]
TIMES += ["1899-12-31T23:59:59Z", "1900-01-01T00:00:00+23:59", "9990-12-31T23:59:59-23:59", "9991-01-01T00:00:00Z"]
VALUES = [None, True, False, *NUMBERS, *TEXTS, *TIMES, [], [None], [0], [8], [1, 1], {}]


@pytest.mark.parametrize(("kind", "text"), DOCUMENTS, ids=lambda one: getattr(one, "TYPE", ""))
def test_the_same_documents_are_malformed(kind: type[Document], text: str) -> None:
    taken = {first_takes(kind, one): one for one in changed(json.loads(text))}
    differ = [one for one in changed(json.loads(text)) if first_takes(kind, one) != second_takes(kind.TYPE, one)]

    assert differ == []
    assert taken.keys() == {True, False}  # else nothing was compared


def test_the_same_envelopes_are_malformed() -> None:
    envelope = json.loads(json.loads(KEYCHAIN)["keysets"][0])

    differ = [one for one in changed(envelope) if first_opens(one.encode()) != second_opens(one.encode())]

    assert differ == []


def changed(document: Any) -> Iterator[str]:
    """The document as it is, with each value replaced by each of VALUES, without each value, and with it twice."""
    for path in paths(document):
        for value in VALUES:
            yield json.dumps(replaced(document, path, value))
        if path:
            yield json.dumps(replaced(document, path, None, away=True))
    yield json.dumps(document)
    yield json.dumps(document | {"more": [1]})
    key = next(iter(document))
    yield "{" + f'"{key}":{json.dumps(document[key])},' + json.dumps(document)[1:]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from paths(member, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any, *, away: bool = False) -> Any:
    if not path:
        return value
    made = part = copy.deepcopy(document)
    for key in path[:-1]:
        part = part[key]
    if away:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return made


def first_takes(kind: type[Document], text: str) -> bool:
    try:
        document = parse(kind, text)
        if isinstance(document, Manifest):
            zone_of(document.screen.zone)
    except WireError:
        return False
    return True


def second_takes(type_: str, text: str) -> bool:
    try:
        documents.read(type_, text)
    except wire.Refused:
        return False
    return True


def first_opens(data: bytes) -> bool:
    try:
        open_envelope(data)
    except WireError:
        return False
    return True


def second_opens(data: bytes) -> bool:
    try:
        wire.open_envelope(data)
    except wire.Refused:
        return False
    return True
