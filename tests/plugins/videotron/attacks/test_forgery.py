"""Arbitrary content: somebody who holds the broker writes, re-signs, mixes and tampers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from plugins.videotron.keys.keyring import role
from plugins.videotron.protocol import MAX_DOCUMENT_BYTES, Attack, Refused, SigningKey, WireError, encode, encode_signed
from plugins.videotron.protocol.envelope import seal
from plugins.videotron.protocol.signatures import signature
from plugins.videotron.protocol.trust import judge_ack, judge_blocks, judge_command, judge_hub, judge_override
from tests.plugins.videotron.attacks.office import (
    MAX_FILE,
    PLAYER,
    START,
    Office,
    Screenside,
    closed,
    film,
    key,
    opened,
    with_payload,
)

STRANGER = key(66)


def refused(attack: Attack, judge: Callable[[], object]) -> None:
    with pytest.raises(WireError) as caught:
        judge()
    assert caught.value.attack is attack, caught.value


def test_the_genuine_manifest_is_accepted(office: Office, screen: Screenside) -> None:
    accepted = screen.take(office.publish())

    assert accepted.new
    assert screen.trust.manifest == (1, 1)


def test_arbitrary_content_unsigned(office: Office, screen: Screenside) -> None:
    refused(Attack.UNSIGNED, lambda: screen.take(encode(office.manifest())))


def test_arbitrary_content_signed_by_a_stranger(office: Office, screen: Screenside) -> None:
    refused(Attack.UNKNOWN_KEY, lambda: screen.take(encode_signed(office.manifest(), STRANGER)))


def test_arbitrary_content_resigned_under_the_hubs_name(office: Office, screen: Screenside) -> None:
    genuine, forged = opened(office.publish()), opened(encode_signed(office.manifest(), STRANGER))
    forged["signatures"][0]["kid"] = genuine["signatures"][0]["kid"]

    refused(Attack.BAD_SIGNATURE, lambda: screen.take(closed(forged)))


def test_arbitrary_content_signed_by_the_root_which_signs_keysets_only(office: Office, screen: Screenside) -> None:
    refused(Attack.UNKNOWN_KEY, lambda: screen.take(encode_signed(office.manifest(), office.roots[0])))


@pytest.mark.parametrize("change", [{"seq": 2}, {"items": []}, {"expires": "2099-01-01T00:00:00Z"}, {"aud": "gate-2"}])
def test_tampered_payload(office: Office, screen: Screenside, change: dict[str, object]) -> None:
    refused(Attack.BAD_SIGNATURE, lambda: screen.take(with_payload(office.publish(), **change)))


def test_metadata_bytes_match_the_same_values_written_anew_are_refused(office: Office, screen: Screenside) -> None:
    envelope = opened(office.publish())
    envelope["payload"] = json.dumps(json.loads(envelope["payload"]), indent=1)

    refused(Attack.BAD_SIGNATURE, lambda: screen.take(closed(envelope)))


def test_invalid_sig_in_valid_metadata_does_not_spoil_it(office: Office, screen: Screenside) -> None:
    envelope = opened(office.publish())
    envelope["signatures"].insert(0, {"kid": "f" * 32, "sig": base64.b64encode(b"\1" * 64).decode()})

    assert screen.take(closed(envelope)).new


def test_duplicate_sig_keyids(office: Office, screen: Screenside) -> None:
    envelope = opened(office.publish())
    envelope["signatures"] *= 2

    refused(Attack.MALFORMED, lambda: screen.take(closed(envelope)))


def test_manifest_does_not_meet_threshold(office: Office) -> None:
    second = key(101)
    both = role(office.online.public, second.public, threshold=2)
    office.add_keyset(office.next_keyset(online=both), office.roots)
    screen = Screenside(office.trust())
    manifest = office.manifest()

    refused(Attack.TOO_FEW_SIGNATURES, lambda: screen.take(encode_signed(manifest, office.online)))
    assert screen.take(encode_signed(manifest, office.online, second)).new


def test_incorrect_metadata_type(office: Office, screen: Screenside) -> None:
    refused(Attack.WRONG_TYPE, lambda: screen.take(office.override()))


def test_type_confusion_by_renaming_what_was_signed_as_something_else(office: Office, screen: Screenside) -> None:
    envelope = opened(office.override())
    envelope["type"] = "siarhub.manifest.v1"

    refused(Attack.BAD_SIGNATURE, lambda: screen.take(closed(envelope)))


@pytest.mark.parametrize("what", ["override", "command", "hub", "blocks", "ack"])
@pytest.mark.parametrize("forge", ["unsigned", "stranger", "tampered"])
def test_every_kind_of_document_must_be_the_hubs(office: Office, screen: Screenside, what: str, forge: str) -> None:
    trust = screen.trust
    makes = {
        "override": (office.override, lambda data: judge_override(trust, data, player=PLAYER, now=START)),
        "command": (office.command, lambda data: judge_command(trust, data, player=PLAYER, now=START)),
        "hub": (office.hub, lambda data: judge_hub(trust, data, now=START)),
        "blocks": (lambda: office.blocks(film()), lambda data: judge_blocks(trust, data, wanted=film())),
        "ack": (office.ack, lambda data: judge_ack(trust, data, player=PLAYER)),
    }
    make, judge = makes[what]
    judge(make())  # the genuine one is fine
    genuine = opened(make())
    attacks = {
        "unsigned": (Attack.UNSIGNED, closed({**genuine, "signatures": []})),
        "stranger": (Attack.UNKNOWN_KEY, _signed_by(STRANGER, office, make)),
        "tampered": (Attack.BAD_SIGNATURE, closed({**genuine, "payload": genuine["payload"] + " "})),
    }

    attack, forged = attacks[forge]

    refused(attack, lambda: judge(forged))


def _signed_by(stranger: SigningKey, office: Office, make: Callable[[], bytes]) -> bytes:
    own, office.online = office.online, stranger
    try:
        return make()
    finally:
        office.online = own


def test_wrong_device_a_manifest_for_another_screen(office: Office, screen: Screenside) -> None:
    refused(Attack.WRONG_AUDIENCE, lambda: screen.take(office.publish(aud="gate-2")))


def test_wrong_device_every_order_for_another_screen(office: Office, screen: Screenside) -> None:
    trust = screen.trust
    override, command, ack = office.override(aud="gate-2"), office.command(aud="gate-2"), office.ack(player="gate-2")

    refused(Attack.WRONG_AUDIENCE, lambda: judge_override(trust, override, player=PLAYER, now=START))
    refused(Attack.WRONG_AUDIENCE, lambda: judge_command(trust, command, player=PLAYER, now=START))
    refused(Attack.WRONG_AUDIENCE, lambda: judge_ack(trust, ack, player=PLAYER))


@pytest.mark.parametrize("name", ["../gate-1", "gate-1/", "GATE-1", "gate-1\n", "+", "#", "", "g" * 41, "gate\u202e1"])
def test_unusual_role_name_cannot_be_an_audience(office: Office, screen: Screenside, name: str) -> None:
    envelope = opened(office.publish())
    payload = json.dumps({**json.loads(envelope["payload"]), "aud": name})
    forged = seal("siarhub.manifest.v1", payload, (signature("siarhub.manifest.v1", payload, office.online),))

    refused(Attack.MALFORMED, lambda: screen.take(forged, player=name))


def test_wrong_site_a_manifest_of_another_office_with_the_same_key(office: Office, screen: Screenside) -> None:
    trust = screen.trust

    refused(Attack.WRONG_SITE, lambda: screen.take(office.publish(site="tetangga")))
    refused(Attack.WRONG_SITE, lambda: judge_hub(trust, office.hub(site="tetangga"), now=START))
    refused(Attack.WRONG_SITE, lambda: judge_blocks(trust, office.blocks(film(), site="tetangga"), wanted=film()))
    refused(Attack.WRONG_SITE, lambda: judge_ack(trust, office.ack(site="tetangga"), player=PLAYER))


def test_wrong_software_a_block_list_of_another_file(office: Office, screen: Screenside) -> None:
    trust = screen.trust

    refused(Attack.WRONG_FILE, lambda: judge_blocks(trust, office.blocks(film(2)), wanted=film(1)))
    refused(Attack.WRONG_FILE, lambda: judge_blocks(trust, office.blocks(film(1, size=999)), wanted=film(1)))


def test_endless_data_is_not_even_parsed(office: Office, screen: Screenside) -> None:
    genuine = office.publish()

    refused(Attack.TOO_LARGE, lambda: screen.take(genuine + b" " * (MAX_DOCUMENT_BYTES - len(genuine) + 1)))


def test_endless_data_in_files_that_fill_the_disk(office: Office, screen: Screenside) -> None:
    refused(Attack.OVER_LIMIT, lambda: screen.take(office.publish(items=(film(size=MAX_FILE + 1),))))
    many = tuple(film(number, size=MAX_FILE) for number in range(1, 6))
    refused(Attack.OVER_LIMIT, lambda: screen.take(office.publish(items=many)))


def test_endless_data_counts_a_film_that_stands_in_several_items_once(office: Office, screen: Screenside) -> None:
    same = tuple(film(1, size=MAX_FILE) for _ in range(50))

    assert screen.take(office.publish(items=same)).new


def test_a_file_with_two_sizes_is_refused(office: Office, screen: Screenside) -> None:
    two = (film(1, size=10), film(1, size=20))

    refused(Attack.MALFORMED, lambda: screen.take(office.publish(items=two)))


def test_what_was_refused_changes_nothing(office: Office, screen: Screenside) -> None:
    screen.take(office.publish())
    before = screen.trust

    for forged in (
        encode(office.manifest()),
        encode_signed(office.manifest(), STRANGER),
        office.publish(aud="gate-2"),
        b"",
        b"{}",
    ):
        with pytest.raises(WireError):
            screen.take(forged)

    assert screen.trust is before
    assert issubclass(Refused, WireError)
