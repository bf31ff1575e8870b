"""The bytes of an enrolment, and what each side refuses; the broker sees and changes whatever it likes."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plugins.videotron.protocol import Attack, Refused, WireError
from plugins.videotron.protocol.enrolment import (
    Ask,
    Credential,
    Meeting,
    Offer,
    Rendezvous,
    Size,
    open_ask,
    parse_code,
    seal_credential,
    show_code,
)

KEY, BOX, SALT = bytes(range(32)), bytes([7]) * 32, bytes([9]) * 16
CREDENTIAL = Credential(
    player="gate-1",
    password="secret",
    site="kalsel",
    keychain="e30=",
    zone="Asia/Makassar",
    screen=Size(width=1920, height=540),
    broker=Meeting(host="192.0.2.1", port=8883, ca=None),
)
GOLDEN_ASK = (
    b'{"id":"60c3a2558ab60494","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",'
    b'"box":"E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20=","salt":"CQkJCQkJCQkJCQkJCQkJCQ==",'
    b'"software":"vector 1","screen":{"width":1920,"height":540},"stored":null}'
)
GOLDEN_MAC = "d1c4c06044da5dc6c668eb9e7fd879610cbc0200d3612b0ed5a32bb037aa3444"
GOLDEN_ANSWER = (
    "50a61409b1ddd0325e9b16b700e719e9772c07000b1bd7786e907c653d20495d030303030303030303030303"
    "9f3deaefd4b3de204902603afca21ee934dddd8e327d0b5e84a75719790dd2631b7579b70804279fdd36daf1"
    "a80701f70215f11c3fa11c99b5c681de86806b478e00bce8e42c53fd784b9ab844815c62fa9fe51d1706dfb6"
    "1b306cab4424222b19279662d5962a836546058b5be3f1ca9abbe254d93673c8edb26a0303576baf412a24a6"
    "60651dea9c965e8c6a572ebb34d95edf3f9f32e2ae971bb24943ec93466aa501f179eeb0deee88e11922673b"
    "7627e6debc4300f9fc0dfe28f81f2f3d080c2a7805db7e6766"
)


@pytest.fixture
def offer() -> Offer:
    return Offer(KEY, box=BOX, salt=SALT)


def wish(offer: Offer, **changes: object) -> bytes:
    """What this player would say, changed by somebody who knows the code."""
    fields = json.loads(offer.ask(software="s", screen=None)[32:]) | changes
    text = json.dumps(fields).encode()
    return offer.rendezvous.mac(text) + text


def answer(offer: Offer, **changes: object) -> bytes:
    ask = open_ask(offer.rendezvous, offer.ask(software="s", screen=None))
    return seal_credential(offer.rendezvous, ask, CREDENTIAL.model_copy(update=changes))[0]


def test_golden_code_and_what_comes_out_of_it(offer):
    meeting = Rendezvous.of("E68A-XSK8-1MKV-8R7E")

    assert offer.code == "E68A-XSK8-1MKV-8R7E"
    assert meeting == offer.rendezvous
    assert (meeting.id, meeting.account, meeting.hub_account) == (
        "60c3a2558ab60494",
        "enrol.60c3a2558ab60494",
        "enroller.60c3a2558ab60494",
    )
    assert meeting.password == "0gw1p8RFjmQxMfLKKjd_Mq5t35RVL6gF"
    assert meeting.ask_topic("led/v1") == "led/v1/e/60c3a2558ab60494/ask"
    assert meeting.answer_topic("led/v1") == "led/v1/e/60c3a2558ab60494/answer"


def test_golden_ask(offer):
    message = offer.ask(software="vector 1", screen=Size(width=1920, height=540))

    assert (message[:32].hex(), message[32:]) == (GOLDEN_MAC, GOLDEN_ASK)
    assert open_ask(offer.rendezvous, message).public() == KEY


def test_golden_answer(offer):
    ask = open_ask(offer.rendezvous, bytes.fromhex(GOLDEN_MAC) + GOLDEN_ASK)

    message, digest = seal_credential(
        offer.rendezvous, ask, CREDENTIAL, ephemeral=bytes([5]) * 32, nonce=bytes([3]) * 12
    )

    assert message.hex() == GOLDEN_ANSWER
    assert digest == "64302ca9e0c7c5ab75c79fafeb2fa0906d993daf9f15ee8f593c7ba2a6ba3f46"
    assert offer.open(message) == (CREDENTIAL, digest)


def test_a_code_may_be_typed_as_people_do():
    code = parse_code("E68A-XSK8-1MKV-8R7E")

    assert parse_code("e68axsk8 lmkv 8r7e ") == parse_code("E68A XSK8 iMKV 8R7E") == code
    assert parse_code("OOOO-OOOO-OOOO-OOOO") == bytes(10)
    assert show_code(code) == "E68A-XSK8-1MKV-8R7E"


@pytest.mark.parametrize("text", ["", "E68A", "E68A-XSK8-1MKV-8R7E-0", "E68A-XSK8-1MKV-8R7U", "E68A-XSK8-1MKV-8R7é"])
def test_what_is_no_code_is_told(text):
    with pytest.raises(ValueError, match="code"):
        parse_code(text)


def test_two_offers_of_one_player_have_nothing_in_common():
    one, two = Offer(KEY), Offer(KEY)

    assert one.code != two.code
    assert one.rendezvous.id != two.rendezvous.id
    assert one.rendezvous.password != two.rendezvous.password


def test_wrong_code_is_refused(offer):
    with pytest.raises(Refused) as refused:
        open_ask(Offer(KEY).rendezvous, offer.ask(software="s", screen=None))

    assert refused.value.attack is Attack.BAD_SIGNATURE


def test_a_wish_changed_by_the_broker_is_refused(offer):
    message = bytearray(offer.ask(software="s", screen=None))
    message[-3] ^= 1

    with pytest.raises(Refused) as refused:
        open_ask(offer.rendezvous, bytes(message))

    assert refused.value.attack is Attack.BAD_SIGNATURE


def test_key_of_somebody_who_read_the_code_off_the_screen_is_refused(offer):
    thief = Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    for name, theirs in (("key", thief), ("box", thief), ("salt", bytes(16))):
        with pytest.raises(Refused) as refused:
            open_ask(offer.rendezvous, wish(offer, **{name: base64.b64encode(theirs).decode()}))
        assert refused.value.attack is Attack.UNKNOWN_KEY


def test_borders_between_the_parts_of_a_code_cannot_be_moved(offer):
    ask = Ask.model_validate_json(offer.ask(software="s", screen=None)[32:])
    key, box = base64.b64decode(ask.key), base64.b64decode(ask.box)
    moved = {"key": base64.b64encode(key + box[:1]).decode(), "box": base64.b64encode(box[1:]).decode()}

    with pytest.raises(WireError):
        open_ask(offer.rendezvous, wish(offer, **moved))


def test_wish_for_another_code_is_refused(offer):
    with pytest.raises(Refused) as refused:
        open_ask(offer.rendezvous, wish(offer, id="0" * 16))

    assert refused.value.attack is Attack.WRONG_AUDIENCE


def test_tampered_answer_is_refused(offer):
    message = answer(offer)

    for at in (0, 33, 50, len(message) - 1):
        spoiled = bytearray(message)
        spoiled[at] ^= 1
        with pytest.raises(Refused) as refused:
            offer.open(bytes(spoiled))
        assert refused.value.attack is Attack.BAD_SIGNATURE


def test_answer_for_another_code_is_refused(offer):
    with pytest.raises(Refused):
        offer.open(answer(Offer(KEY)))


def test_replay_of_an_answer_to_an_earlier_code_is_refused():
    earlier = Offer(KEY)
    message = answer(earlier)

    with pytest.raises(Refused):
        Offer(KEY).open(message)


def test_answer_cannot_be_opened_by_who_read_the_code(offer):
    message = answer(offer)
    onlooker = Offer(KEY, salt=SALT)
    onlooker.rendezvous = Rendezvous.of(offer.code)

    with pytest.raises(Refused):
        onlooker.open(message)


def test_answer_made_without_the_code_is_refused(offer):
    ask = open_ask(offer.rendezvous, offer.ask(software="s", screen=None))

    message, _ = seal_credential(Rendezvous(bytes(10)), ask, CREDENTIAL)

    with pytest.raises(Refused):
        offer.open(message)


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_points_that_give_away_the_shared_secret_are_refused(offer, point):
    with pytest.raises(Refused):
        offer.open(point + bytes(12) + bytes(64))

    ask = open_ask(offer.rendezvous, offer.ask(software="s", screen=None))
    with pytest.raises(WireError):
        seal_credential(offer.rendezvous, ask.model_copy(update={"box": base64.b64encode(point).decode()}), CREDENTIAL)


@pytest.mark.parametrize("message", [b"", b"x" * 32, b"x" * 44, b"x" * 300_000])
def test_empty_and_endless_messages_are_refused(offer, message):
    with pytest.raises(Refused):
        offer.open(message)
    with pytest.raises(Refused):
        open_ask(offer.rendezvous, message)


def test_a_key_twice_is_refused(offer):
    text = offer.ask(software="s", screen=None)[32:].replace(b'{"id"', b'{"id":"0000000000000000","id"', 1)

    with pytest.raises(WireError, match="twice"):
        open_ask(offer.rendezvous, offer.rendezvous.mac(text) + text)


def test_the_word_stored_names_the_answer(offer):
    ask = open_ask(offer.rendezvous, offer.ask(software="s", screen=None))
    message, digest = seal_credential(offer.rendezvous, ask, CREDENTIAL)

    credential, confirmed = offer.open(message)
    said = open_ask(offer.rendezvous, offer.ask(software="s", screen=None, stored=confirmed))

    assert said.stored == digest == hashlib.sha256(credential.model_dump_json().encode()).hexdigest()


def test_secrets_do_not_show_in_a_log(offer):
    assert "code" not in repr(offer.rendezvous)
    assert offer.code not in repr(offer)
