"""A change of the wire format must show here as changed bytes, never by accident."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from plugins.videotron.protocol import (
    FLUSH_INDEX,
    MAX_DOCUMENT_BYTES,
    Block,
    BlockFlag,
    BlockList,
    Command,
    CommandName,
    Daypart,
    HubState,
    Manifest,
    ManifestItem,
    Mode,
    Override,
    PlayerState,
    ProofAck,
    ProofOfPlay,
    Report,
    ReportFlag,
    Screen,
    SigningKey,
    Standby,
    Topics,
    WireError,
    decode,
    decode_block,
    decode_report,
    decode_signed,
    encode,
    encode_block,
    encode_report,
    encode_signed,
    key_id,
    open_envelope,
)

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)
SHA = hashlib.sha256(b"abc").hexdigest()
CID = SHA[:32]
PAYLOADS = json.loads((Path(__file__).parent / "payloads.json").read_text())  # exactly what is signed


def test_a_block_frame_has_these_bytes():
    frame = encode_block(
        Block(flags=BlockFlag.GROUP, tag=0xBA78, index=2, sequence=7, sent_ms=1000, data=b"hello"),
    )

    assert frame.hex() == "0101ba7800000002" + "00000007000003e8" + b"hello".hex()
    assert bytes(decode_block(frame).data) == b"hello"


def test_a_flush_marker_has_these_bytes():
    frame = encode_block(
        Block(flags=BlockFlag.UNICAST, tag=1, index=FLUSH_INDEX, sequence=9, sent_ms=0, data=b""),
    )

    assert frame.hex() == "01020001ffffffff0000000900000000"
    assert decode_block(frame).is_flush


def test_a_report_has_these_bytes():
    report = Report(
        flags=ReportFlag.IN_GROUP, blocks=10, group_sequence=5, unicast_sequence=6, boot=0xABCDEF, have=0b1000000011
    )

    frame = encode_report(report)

    assert frame.hex() == "01010000" + "0000000a" + "00000005" + "00000006" + "0000000000abcdef" + "0302"
    assert decode_report(frame) == report


def manifest() -> Manifest:
    film = {"cid": CID, "sha256": SHA, "size": 3, "seconds": 6.0}
    item = ManifestItem(
        item="IP-2026-11-0001",
        title="Imbauan",
        start=NOON,
        end=NOON.replace(day=23),
        days=(1, 7),
        dayparts=(Daypart(start="22:00", end="05:00"),),
        priority="urgent",
        share=3,
        classification="serta-merta",
        approval="188/1",
        fresh_s=86400,
        **film,
    )
    return Manifest(
        site="an-office",
        aud="gate-1",
        keyset=1,
        epoch=1,
        seq=4,
        issued=NOON,
        expires=NOON.replace(day=29),
        screen=Screen(width=768, height=384),
        items=(item,),
        standby=(Standby(item="IP-2026-11-0002", title="Banjir", name="banjir", **film),),
    )


def test_a_signed_manifest_has_these_bytes():
    key = SigningKey(bytes(range(32)))

    data = encode_signed(manifest(), key)

    assert json.loads(data)["payload"] == PAYLOADS["manifest"]
    assert hashlib.sha256(data).hexdigest() == "5a480c61729fa6ac0b8e15d8cdffc6ba75e79bdb1e520fda03ed62a2a9477eb6"
    assert decode_signed(Manifest, data, {key_id(key.public): key.public}) == manifest()


DOCUMENTS = {
    "blocks": BlockList(
        site="an-office",
        cid=CID,
        sha256=SHA,
        size=3,
        block_bytes=1024,
        n=1,
        hashes=base64.b64encode(bytes.fromhex(SHA)).decode(),
    ),
    "hub": HubState(site="an-office", online=True, run="00000000000000ff", now=NOON),
    "proof-ack": ProofAck(site="an-office", player="gate-1", chain="00000000000000ff", seq=9, hash=SHA),
    "override": Override(
        site="an-office", aud="gate-1", keyset=1, epoch=1, counter=7, issued=NOON, until=None, mode=Mode.BLACKOUT
    ),
    "command": Command(
        site="an-office",
        aud="gate-1",
        epoch=1,
        counter=7,
        issued=NOON,
        expires=NOON.replace(minute=1),
        name=CommandName.SCREENSHOT,
    ),
    "state": PlayerState(
        player="gate-1",
        online=True,
        software="siarhub-player 0.1.0",
        boot="00000000000000ff",
        boots=3,
        n=2,
        keyset=1,
        epoch=1,
        seq=4,
        override=0,
        command=0,
        shows="items",
        playing=None,
        holds=(CID,),
        mpv="idle",
        free_bytes=1000,
        clock=NOON,
        time=NOON,
        chain="00000000000000fe",
        proof_seq=0,
    ),
    "proof": ProofOfPlay(player="gate-1", chain="00000000000000ff", prev="0" * 64, entries=('{"seq":1}',)),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_other_documents_have_these_payloads(name):
    data = encode(DOCUMENTS[name])

    assert open_envelope(data).payload == PAYLOADS[name]
    assert decode(type(DOCUMENTS[name]), data) == DOCUMENTS[name]


def test_topics_are_those_of_the_protocol():
    topics = Topics("led/v1")

    assert [topics.hub, topics.block_list(CID), topics.group(CID)] == [
        "led/v1/hub",
        f"led/v1/c/{CID}/m",
        f"led/v1/c/{CID}/b",
    ]
    assert [topics.unicast("a"), topics.control("a"), topics.manifest("a")] == [
        "led/v1/p/a/b",
        "led/v1/p/a/c",
        "led/v1/p/a/want",
    ]
    assert [topics.report(CID, "a"), topics.state("a"), topics.proof("a")] == [
        f"led/v1/r/{CID}/a",
        "led/v1/s/a/state",
        "led/v1/s/a/proof",
    ]
    assert topics.parse(topics.report(CID, "a")) == ("report", CID, "a")
    assert topics.parse(topics.manifest("a")) == ("manifest", "", "a")


@pytest.mark.parametrize(
    "topic", ["", "hub", "led/v1/r/x/a", f"led/v1/r/{CID}/A", "led/v1/s/a/state/x", "led/v2/hub", "led/v1/s/a\n/state"]
)
def test_a_foreign_topic_is_refused(topic):
    with pytest.raises(WireError):
        Topics("led/v1").parse(topic)


def test_fields_of_a_later_version_are_left_out():
    data = b'{"v":1,"type":"siarhub.hub.v1","payload":"{\\"site\\":\\"an-office\\",\\"online\\":true,'
    data += b'\\"run\\":\\"00000000000000ff\\",'
    data += b'\\"now\\":\\"2026-11-22T04:00:00Z\\",\\"mood\\":\\"good\\"}","signatures":[{"kid":"' + b"a" * 32
    data += b'","sig":"' + b"A" * 88 + b'","more":2}],"more":1}'

    assert decode(HubState, data) == HubState(site="an-office", online=True, run="00000000000000ff", now=NOON)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"offline",
        b"\xff\xfe",
        b"[]",
        b'{"v":2,"type":"siarhub.hub.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"type":"siarhub.hub.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"type":"siarhub.manifest.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"v":1,"type":"siarhub.hub.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"type":"siarhub.hub.v1","signatures":[],"payload":"{\\"site\\":\\"an-office\\",\\"online\\":true,\\"online\\":true,'
        b'\\"run\\":\\"00000000000000ff\\",\\"now\\":\\"2026-11-22T04:00:00Z\\"}"}',
        b'{"v":1,"type":"siarhub.hub.v1","signatures":[],"payload":"{\\"site\\":\\"an-office\\",\\"online\\":1,'
        b'\\"run\\":\\"00000000000000ff\\",\\"now\\":\\"2026-11-22T04:00:00Z\\"}"}',
        b'{"v":1,"type":"siarhub.hub.v1","signatures":[],"payload":"{\\"site\\":\\"an-office\\",\\"online\\":true,'
        b'\\"run\\":\\"00000000000000ff\\",\\"now\\":\\"2026-11-22T04:00:00\\"}"}',
        b"[" * 100_000,
        b" " * (MAX_DOCUMENT_BYTES + 1),
    ],
)
def test_rubbish_is_refused_and_nothing_else_happens(data):
    with pytest.raises(WireError):
        decode(HubState, data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_wire_error(data):
    for parse in (decode_block, decode_report, lambda raw: decode(PlayerState, raw)):
        with contextlib.suppress(WireError):
            parse(data)


@pytest.mark.parametrize(
    "frame",
    [
        "02010000" + "0000000a" + "00000005" + "00000006" + "0000000000abcdef" + "0302",  # another version
        "01010000" + "0000000a" + "00000005" + "00000006" + "0000000000abcdef" + "03",  # too short
        "01010000" + "0000000a" + "00000005" + "00000006" + "0000000000abcdef" + "0304",  # an eleventh block
        "01010000" + "00000000" + "00000005" + "00000006" + "0000000000abcdef",  # of nothing
        "01010000" + "ffffffff" + "00000005" + "00000006" + "0000000000abcdef",
    ],
)
def test_a_report_that_does_not_add_up_is_refused(frame):
    with pytest.raises(WireError):
        decode_report(bytes.fromhex(frame))


@pytest.mark.parametrize("change", [{"n": 2}, {"size": 4096}, {"hashes": ""}, {"hashes": "!"}, {"cid": "0" * 32}])
def test_a_block_list_that_does_not_add_up_is_refused(change):
    good = {
        "cid": CID,
        "sha256": SHA,
        "size": 3,
        "block_bytes": 1024,
        "n": 1,
        "hashes": base64.b64encode(bytes(32)).decode(),
    }

    with pytest.raises(ValidationError):
        BlockList(**(good | change))
