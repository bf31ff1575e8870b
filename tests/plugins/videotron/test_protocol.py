"""A change of the wire format must show here as changed bytes, never by accident."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from datetime import UTC, datetime

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
    HubState,
    PlayerState,
    Playlist,
    PlaylistItem,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    Report,
    ReportFlag,
    Screen,
    Topics,
    WireError,
    decode,
    decode_block,
    decode_report,
    encode,
    encode_block,
    encode_report,
    open_envelope,
)

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)
SHA = hashlib.sha256(b"abc").hexdigest()
CID = SHA[:32]


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


def test_a_playlist_has_these_bytes():
    item = PlaylistItem(
        item="IP-2026-11-0001", cid=CID, sha256=SHA, size=3, start=NOON, end=NOON.replace(day=23), seconds=6.0
    )
    playlist = Playlist(aud="gate-1", serial=4, issued=NOON, screen=Screen(width=768, height=384), items=(item,))

    data = encode(playlist)

    assert (
        data
        == (
            '{"v":1,"type":"siarhub.playlist.v1","payload":"{\\"aud\\":\\"gate-1\\",\\"serial\\":4,'
            '\\"issued\\":\\"2026-11-22T04:00:00Z\\",\\"screen\\":{\\"width\\":768,\\"height\\":384},'
            '\\"items\\":[{\\"item\\":\\"IP-2026-11-0001\\",\\"cid\\":\\"ba7816bf8f01cfea414140de5dae2223\\",'
            f'\\"sha256\\":\\"{SHA}\\",\\"size\\":3,\\"start\\":\\"2026-11-22T04:00:00Z\\",'
            '\\"end\\":\\"2026-11-23T04:00:00Z\\",\\"seconds\\":6.0}]}","signatures":[]}'
        ).encode()
    )
    assert decode(Playlist, data) == playlist


def test_a_block_list_has_these_bytes():
    blocks = BlockList(
        cid=CID,
        sha256=SHA,
        size=3,
        block_bytes=1024,
        n=1,
        hashes=base64.b64encode(bytes.fromhex(SHA)).decode(),
    )

    assert (
        encode(blocks)
        == (
            '{"v":1,"type":"siarhub.blocks.v1","payload":"{\\"cid\\":\\"ba7816bf8f01cfea414140de5dae2223\\",'
            f'\\"sha256\\":\\"{SHA}\\",\\"size\\":3,\\"block_bytes\\":1024,\\"n\\":1,'
            '\\"hashes\\":\\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\\"}","signatures":[]}'
        ).encode()
    )
    assert decode(BlockList, encode(blocks)).digests() == bytes.fromhex(SHA)


@pytest.mark.parametrize(
    ("document", "payload"),
    [
        (
            HubState(online=True, epoch="00000000000000ff", now=NOON),
            '{"online":true,"epoch":"00000000000000ff","now":"2026-11-22T04:00:00Z"}',
        ),
        (
            PlayerState(
                player="gate-1",
                online=True,
                software="siarhub-player 0.1.0",
                boot="00000000000000ff",
                serial=4,
                playing=None,
                holds=(CID,),
                mpv="idle",
                free_bytes=1000,
                clock=NOON,
            ),
            '{"player":"gate-1","online":true,"software":"siarhub-player 0.1.0","boot":"00000000000000ff","serial":4,'
            '"playing":null,"holds":["ba7816bf8f01cfea414140de5dae2223"],"mpv":"idle","free_bytes":1000,'
            '"clock":"2026-11-22T04:00:00Z","errors":[]}',
        ),
        (
            ProofOfPlay(
                player="gate-1",
                boot="00000000000000ff",
                entries=(
                    ProofEntry(seq=1, item="IP-2026-11-0001", cid=CID, started_at=NOON, seconds=5.96, complete=True),
                ),
            ),
            '{"player":"gate-1","boot":"00000000000000ff","entries":[{"seq":1,"item":"IP-2026-11-0001",'
            '"cid":"ba7816bf8f01cfea414140de5dae2223","started_at":"2026-11-22T04:00:00Z","seconds":5.96,'
            '"complete":true}]}',
        ),
        (
            ProofAck(player="gate-1", boot="00000000000000ff", first=1, seq=9),
            '{"player":"gate-1","boot":"00000000000000ff","first":1,"seq":9}',
        ),
    ],
)
def test_other_documents_have_these_payloads(document, payload):
    data = encode(document)

    assert open_envelope(data).payload == payload
    assert decode(type(document), data) == document


def test_topics_are_those_of_the_protocol():
    topics = Topics("led/v1")

    assert [topics.hub, topics.block_list(CID), topics.group(CID)] == [
        "led/v1/hub",
        f"led/v1/c/{CID}/m",
        f"led/v1/c/{CID}/b",
    ]
    assert [topics.unicast("a"), topics.control("a"), topics.playlist("a")] == [
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
    assert topics.parse(topics.playlist("a")) == ("playlist", "", "a")


@pytest.mark.parametrize(
    "topic", ["", "hub", "led/v1/r/x/a", f"led/v1/r/{CID}/A", "led/v1/s/a/state/x", "led/v2/hub", "led/v1/s/a\n/state"]
)
def test_a_foreign_topic_is_refused(topic):
    with pytest.raises(WireError):
        Topics("led/v1").parse(topic)


def test_fields_of_a_later_version_are_left_out():
    data = b'{"v":1,"type":"siarhub.hub.v1","payload":"{\\"online\\":true,\\"epoch\\":\\"00000000000000ff\\",'
    data += b'\\"now\\":\\"2026-11-22T04:00:00Z\\",\\"mood\\":\\"good\\"}","signatures":[{"kid":"' + b"a" * 32
    data += b'","sig":"' + b"A" * 88 + b'","more":2}],"more":1}'

    assert decode(HubState, data) == HubState(online=True, epoch="00000000000000ff", now=NOON)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"offline",
        b"\xff\xfe",
        b"[]",
        b'{"v":2,"type":"siarhub.hub.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"type":"siarhub.hub.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"type":"siarhub.playlist.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"v":1,"type":"siarhub.hub.v1","payload":"{}","signatures":[]}',
        b'{"v":1,"type":"siarhub.hub.v1","signatures":[],"payload":"{\\"online\\":true,\\"online\\":true,'
        b'\\"epoch\\":\\"00000000000000ff\\",\\"now\\":\\"2026-11-22T04:00:00Z\\"}"}',
        b'{"v":1,"type":"siarhub.hub.v1","signatures":[],"payload":"{\\"online\\":1,'
        b'\\"epoch\\":\\"00000000000000ff\\",\\"now\\":\\"2026-11-22T04:00:00Z\\"}"}',
        b'{"v":1,"type":"siarhub.hub.v1","signatures":[],"payload":"{\\"online\\":true,'
        b'\\"epoch\\":\\"00000000000000ff\\",\\"now\\":\\"2026-11-22T04:00:00\\"}"}',
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
