"""Key compromise, and keysets that go back, aside or come without enough roots."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plugins.videotron.keys.keyring import role
from plugins.videotron.protocol import Attack, Keychain, WireError, encode, encode_signed
from plugins.videotron.protocol.trust import begin, follow_chain
from tests.plugins.videotron.attacks.office import Office, Screenside, closed, key, opened
from tests.plugins.videotron.attacks.test_forgery import refused


@pytest.fixture
def office() -> Office:
    """Two of three custodians."""
    return Office(roots=[key(1), key(2), key(3)], threshold=2)


def chain(*texts: str) -> bytes:
    return encode(Keychain(keysets=texts))


def test_root_rotation_is_followed_over_many_steps_at_once(office: Office, screen: Screenside) -> None:
    office.rotate_roots([key(3), key(4), key(5)], 2)
    office.rotate_online(key(101))
    office.rotate_roots([key(6)], 1)

    screen.follow(office.chain)

    assert screen.trust.keyset == office.keyset
    assert screen.take(office.publish()).new


def test_root_rotation_without_the_old_threshold(office: Office, screen: Screenside) -> None:
    office.add_keyset(office.next_keyset(root=role(key(7).public)), [key(1), key(7)])

    refused(Attack.TOO_FEW_SIGNATURES, lambda: screen.follow(office.chain))


def test_root_rotation_without_the_new_threshold(office: Office, screen: Screenside) -> None:
    mute = role(key(7).public, key(8).public, threshold=2)
    office.add_keyset(office.next_keyset(root=mute), [key(1), key(2), key(7)])

    refused(Attack.TOO_FEW_SIGNATURES, lambda: screen.follow(office.chain))


def test_key_compromise_one_root_of_three_changes_nothing(office: Office, screen: Screenside) -> None:
    thief = key(1)
    office.add_keyset(office.next_keyset(online=role(thief.public)), [thief])

    refused(Attack.TOO_FEW_SIGNATURES, lambda: screen.follow(office.chain))


def test_key_compromise_one_root_that_signs_twice_counts_once(office: Office, screen: Screenside) -> None:
    office.add_keyset(office.next_keyset(), [key(1)])
    envelope = opened(office.texts[-1].encode())
    envelope["signatures"] *= 2

    refused(Attack.MALFORMED, lambda: screen.follow(chain(office.texts[0], closed(envelope).decode())))


def test_key_compromise_a_stolen_online_key_cannot_make_keysets(office: Office, screen: Screenside) -> None:
    office.add_keyset(office.next_keyset(online=role(key(66).public)), [office.online])

    refused(Attack.UNKNOWN_KEY, lambda: screen.follow(office.chain))


def test_key_compromise_a_revoked_online_key_is_dead_on_receipt(office: Office, screen: Screenside) -> None:
    thief = office.online
    screen.take(office.publish())
    office.rotate_online(key(101), stolen=True)
    screen.follow(office.chain)

    refused(Attack.UNKNOWN_KEY, lambda: screen.take(encode_signed(office.manifest(), thief)))


def test_key_compromise_retired_roots_cannot_fork_the_chain(office: Office, screen: Screenside) -> None:
    old = list(office.roots)
    before = office.texts[0]
    office.rotate_roots([key(4), key(5), key(6)], 2)
    screen.follow(office.chain)

    fork = office.next_keyset(version=2, root=role(*(one.public for one in old), threshold=2))
    forked = encode_signed(fork, *old).decode()

    refused(Attack.EQUIVOCATION, lambda: screen.follow(chain(before, forked)))
    third = encode_signed(office.next_keyset(version=3, root=fork.root), *old).decode()
    refused(Attack.UNKNOWN_KEY, lambda: screen.follow(chain(before, office.texts[1], third)))


def test_keyset_rollback(office: Office, screen: Screenside) -> None:
    old = office.chain
    office.rotate_online(key(101))
    screen.follow(office.chain)

    refused(Attack.ROLLBACK, lambda: screen.follow(old))


def test_keyset_rollback_within_the_chain(office: Office, screen: Screenside) -> None:
    office.rotate_online(key(101))

    refused(Attack.ROLLBACK, lambda: screen.follow(chain(*office.texts, office.texts[0])))


def test_keyset_rollback_within_a_chain_that_a_person_brings(office: Office) -> None:
    refused(Attack.ROLLBACK, lambda: begin(chain(office.texts[0], office.texts[0])))


def test_keyset_that_leaves_a_step_out(office: Office, screen: Screenside) -> None:
    office.rotate_online(key(101))
    office.rotate_online(key(102))

    refused(Attack.WRONG_KEYSET, lambda: screen.follow(chain(office.texts[0], office.texts[2])))


def test_keyset_of_another_office(office: Office, screen: Screenside) -> None:
    office.add_keyset(office.next_keyset(site="tetangga"), office.roots)

    refused(Attack.WRONG_SITE, lambda: screen.follow(office.chain))


def test_keyset_whose_epoch_goes_back(office: Office) -> None:
    office.rotate_online(key(101), stolen=True)
    screen = Screenside(office.trust())
    office.add_keyset(office.next_keyset(epoch=1), office.roots)

    refused(Attack.ROLLBACK, lambda: screen.follow(office.chain))


def test_a_chain_is_followed_as_a_whole_or_not_at_all(office: Office, screen: Screenside) -> None:
    before = screen.trust
    office.rotate_online(key(101))
    office.add_keyset(office.next_keyset(), [key(66)])

    with pytest.raises(WireError):
        screen.follow(office.chain)

    assert screen.trust is before


def test_a_keyset_that_more_custodians_signed_meanwhile_is_the_same(office: Office, screen: Screenside) -> None:
    more = encode_signed(office.keyset, *office.roots).decode()
    fewer = encode_signed(office.keyset, *office.roots[:2]).decode()
    assert more != fewer

    follow_chain(begin(chain(fewer)), chain(more))


def test_the_first_keyset_must_be_signed_by_its_own_roots(office: Office) -> None:
    forged = encode_signed(office.keyset, key(66)).decode()

    refused(Attack.UNKNOWN_KEY, lambda: begin(chain(forged)))
    unsigned = encode(office.keyset).decode()
    refused(Attack.UNSIGNED, lambda: begin(chain(unsigned)))


def test_an_expired_keyset_still_leads_to_the_one_after_it(office: Office, screen: Screenside) -> None:
    screen.now = office.now = office.keyset.expires + timedelta(days=100)
    refused(Attack.EXPIRED, lambda: screen.take(office.publish()))

    office.add_keyset(office.next_keyset(), office.roots)
    screen.follow(office.chain)

    assert screen.take(office.publish()).new


def test_a_keychain_in_the_place_of_a_keyset_is_refused(office: Office, screen: Screenside) -> None:
    refused(Attack.WRONG_TYPE, lambda: screen.follow(office.texts[0].encode()))
    refused(Attack.WRONG_TYPE, lambda: begin(chain(office.publish().decode())))
