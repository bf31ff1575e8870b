"""Rollback, replay, freeze, mix-and-match: genuine documents at the wrong time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from plugins.videotron.protocol import Attack, Mode, encode_signed
from plugins.videotron.protocol.trust import in_force, judge_command, judge_hub, judge_override, override_in_force
from tests.plugins.videotron.attacks.office import PLAYER, START, Office, Screenside, closed, key, opened
from tests.plugins.videotron.attacks.test_forgery import refused


def test_new_manifest_version_rollback(office: Office, screen: Screenside) -> None:
    old, new = office.publish(), office.publish()
    screen.take(new)

    refused(Attack.ROLLBACK, lambda: screen.take(old))

    assert screen.trust.manifest == (1, 2)


def test_the_manifest_in_force_may_come_again_and_is_no_news(office: Office, screen: Screenside) -> None:
    manifest = office.publish()
    screen.take(manifest)

    assert not screen.take(manifest).new


def test_the_same_text_signed_anew_is_no_news_either(office: Office, screen: Screenside) -> None:
    manifest = office.manifest()
    screen.take(encode_signed(manifest, office.online))
    office.rotate_online(key(101))
    screen.follow(office.chain)

    assert not screen.take(encode_signed(manifest, office.online)).new


def test_mix_and_match_another_text_under_a_number_that_was_used(office: Office, screen: Screenside) -> None:
    screen.take(office.publish())
    office.seq -= 1

    refused(Attack.EQUIVOCATION, lambda: screen.take(office.publish(items=())))


def test_mix_and_match_a_manifest_made_under_keys_that_were_kept_back(office: Office, screen: Screenside) -> None:
    office.add_keyset(office.next_keyset(), office.roots)  # the same keys in keyset 2, which the broker withholds

    refused(Attack.WRONG_KEYSET, lambda: screen.take(office.publish()))
    screen.follow(office.chain)
    assert screen.take(office.publish()).new


def test_mix_and_match_the_envelope_around_it_counts_for_nothing(office: Office, screen: Screenside) -> None:
    manifest = office.publish()
    screen.take(manifest)

    again = screen.take(closed({**opened(manifest), "note": "from the broker"}))

    assert not again.new


def test_override_rollback_a_clear_order_that_is_replayed(office: Office, screen: Screenside) -> None:
    clear, blackout = office.override(mode=Mode.NONE), office.override()
    trust = judge_override(screen.trust, clear, player=PLAYER, now=START).trust
    trust = judge_override(trust, blackout, player=PLAYER, now=START).trust

    refused(Attack.ROLLBACK, lambda: judge_override(trust, clear, player=PLAYER, now=START))
    assert not judge_override(trust, blackout, player=PLAYER, now=START).new


def test_override_with_another_text_under_the_same_counter(office: Office, screen: Screenside) -> None:
    trust = judge_override(screen.trust, office.override(), player=PLAYER, now=START).trust
    other = office.override(counter=1, mode=Mode.NONE)

    refused(Attack.EQUIVOCATION, lambda: judge_override(trust, other, player=PLAYER, now=START))


def test_replay_of_commands(office: Office, screen: Screenside) -> None:
    first, second = office.command(), office.command()
    trust = judge_command(screen.trust, second, player=PLAYER, now=START).trust

    refused(Attack.REPLAYED, lambda: judge_command(trust, second, player=PLAYER, now=START))
    refused(Attack.REPLAYED, lambda: judge_command(trust, first, player=PLAYER, now=START))


def test_replay_of_commands_that_come_too_late(office: Office, screen: Screenside) -> None:
    command = office.command()

    refused(
        Attack.EXPIRED,
        lambda: judge_command(screen.trust, command, player=PLAYER, now=START + timedelta(minutes=5)),
    )


def test_a_replayed_hub_state_moves_no_time_back(office: Office, screen: Screenside) -> None:
    old = office.hub()
    office.now += timedelta(hours=1)
    trust = judge_hub(screen.trust, office.hub(), now=START).trust

    after = judge_hub(trust, old, now=START)

    assert not after.new
    assert after.trust.floor == START + timedelta(hours=1)


def test_new_manifest_expired(office: Office, screen: Screenside) -> None:
    manifest = office.publish()
    screen.now = START + timedelta(days=7)

    refused(Attack.EXPIRED, lambda: screen.take(manifest))


def test_indefinite_freeze_is_bounded_by_the_manifest(office: Office, screen: Screenside) -> None:
    frozen = office.publish()
    screen.take(frozen)

    screen.now = START + timedelta(days=8)  # nothing but the old one comes any more

    refused(Attack.EXPIRED, lambda: screen.take(frozen))


def test_indefinite_freeze_is_bounded_by_the_keyset_when_an_online_key_is_stolen(
    office: Office, screen: Screenside
) -> None:
    accepted = screen.take(office.publish(expires=START + timedelta(days=40_000)))

    shown = in_force(screen.trust, accepted.document)

    assert shown is not None
    assert shown.expires == office.keyset.expires


def test_indefinite_freeze_of_an_override_is_bounded_by_the_keyset(office: Office, screen: Screenside) -> None:
    trust = screen.trust
    forever = judge_override(trust, office.override(), player=PLAYER, now=START).document
    soon = judge_override(trust, office.override(until=START + timedelta(hours=1)), player=PLAYER, now=START).document
    assert forever.until is None

    shown = override_in_force(trust, forever)

    assert shown is not None
    assert shown.until == office.keyset.expires
    assert override_in_force(trust, soon) == soon
    office.rotate_online(key(101), stolen=True)
    screen.follow(office.chain)
    assert override_in_force(screen.trust, forever) is None


def test_expired_local_manifest_is_replaced_by_a_fresh_one(office: Office, screen: Screenside) -> None:
    screen.take(office.publish())
    screen.now = office.now = START + timedelta(days=30)

    assert screen.take(office.publish()).new


def test_after_its_keyset_has_ended_the_online_key_says_nothing_any_more(office: Office, screen: Screenside) -> None:
    screen.now = office.keyset.expires
    trust, now, later = screen.trust, screen.now, screen.now + timedelta(days=7)

    refused(Attack.EXPIRED, lambda: screen.take(office.publish(expires=later)))
    refused(Attack.EXPIRED, lambda: judge_override(trust, office.override(), player=PLAYER, now=now))
    refused(Attack.EXPIRED, lambda: judge_command(trust, office.command(expires=later), player=PLAYER, now=now))
    refused(Attack.EXPIRED, lambda: judge_hub(trust, office.hub(), now=now))


def test_fast_forward_recovery(office: Office, screen: Screenside) -> None:
    thief = office.online
    screen.take(office.publish(seq=2**53 - 1))
    refused(Attack.ROLLBACK, lambda: screen.take(office.publish(seq=7)))

    office.rotate_online(key(101), stolen=True)
    screen.follow(office.chain)

    assert screen.take(office.publish()).new
    assert screen.trust.manifest == (2, 1)
    forged = office.manifest(epoch=2, seq=9)
    refused(Attack.UNKNOWN_KEY, lambda: screen.take(encode_signed(forged, thief)))


def test_fast_forward_of_overrides_and_commands_is_recovered_too(office: Office, screen: Screenside) -> None:
    top = 2**53 - 1
    trust = judge_override(screen.trust, office.override(counter=top), player=PLAYER, now=START).trust
    trust = judge_command(trust, office.command(counter=top), player=PLAYER, now=START).trust
    screen.trust = trust

    office.rotate_online(key(101), stolen=True)
    screen.follow(office.chain)

    assert judge_override(screen.trust, office.override(), player=PLAYER, now=START).new
    assert judge_command(screen.trust, office.command(), player=PLAYER, now=START).new


def test_fast_forward_of_the_time_is_recovered_too(office: Office, screen: Screenside) -> None:
    screen.take(office.publish(issued=START + timedelta(days=399), expires=START + timedelta(days=399, hours=1)))
    refused(Attack.EXPIRED, lambda: screen.take(office.publish()))  # to this player it is next year already

    office.rotate_online(key(101), stolen=True)
    screen.follow(office.chain)

    assert screen.trust.floor == START
    assert screen.take(office.publish()).new


@pytest.mark.parametrize("what", ["manifest", "override", "command", "hub"])
def test_fast_forward_of_the_time_cannot_end_the_keyset(office: Office, screen: Screenside, what: str) -> None:
    late = office.keyset.expires
    judges = {
        "manifest": lambda: screen.take(office.publish(issued=late, expires=late + timedelta(days=7))),
        "override": lambda: judge_override(screen.trust, office.override(issued=late), player=PLAYER, now=START),
        "command": lambda: judge_command(
            screen.trust, office.command(issued=late, expires=late + timedelta(days=1)), player=PLAYER, now=START
        ),
        "hub": lambda: judge_hub(screen.trust, office.hub(now=late), now=START),
    }

    refused(Attack.EXPIRED, judges[what])


def test_an_earlier_epoch_is_over_even_under_a_key_that_still_counts(office: Office, screen: Screenside) -> None:
    manifest, override, command = office.publish(), office.override(), office.command()
    office.add_keyset(office.next_keyset(epoch=2), office.roots)
    screen.follow(office.chain)
    trust = screen.trust

    refused(Attack.WRONG_KEYSET, lambda: screen.take(manifest))
    refused(Attack.WRONG_KEYSET, lambda: judge_override(trust, override, player=PLAYER, now=START))
    refused(Attack.WRONG_KEYSET, lambda: judge_command(trust, command, player=PLAYER, now=START))


def test_a_later_epoch_cannot_be_claimed_by_the_online_key(office: Office, screen: Screenside) -> None:
    trust = screen.trust

    refused(Attack.WRONG_KEYSET, lambda: screen.take(office.publish(epoch=2)))
    refused(Attack.WRONG_KEYSET, lambda: judge_override(trust, office.override(epoch=2), player=PLAYER, now=START))
    refused(Attack.WRONG_KEYSET, lambda: judge_command(trust, office.command(epoch=2), player=PLAYER, now=START))


def test_a_manifest_accepted_in_an_earlier_epoch_is_dropped(office: Office, screen: Screenside) -> None:
    accepted = screen.take(office.publish())
    assert in_force(screen.trust, accepted.document) == accepted.document

    office.rotate_online(key(101), stolen=True)
    screen.follow(office.chain)

    assert in_force(screen.trust, accepted.document) is None


def test_a_planned_change_of_the_online_key_keeps_what_is_shown(office: Office, screen: Screenside) -> None:
    accepted = screen.take(office.publish())

    office.rotate_online(key(101))
    screen.follow(office.chain)

    assert in_force(screen.trust, accepted.document) == accepted.document


def test_no_clock_a_machine_that_wakes_in_1970_shows_what_is_good(office: Office, screen: Screenside) -> None:
    screen.now = START.replace(year=1970)

    accepted = screen.take(office.publish())

    assert accepted.new
    assert screen.trust.floor == START  # and it knows now that it is not earlier than this


def test_no_clock_a_replay_is_noticed_by_the_floor(office: Office, screen: Screenside) -> None:
    frozen = office.publish()
    office.now += timedelta(days=10)
    screen.trust = judge_hub(screen.trust, office.hub(), now=START).trust
    screen.now = START.replace(year=1970)

    refused(Attack.EXPIRED, lambda: screen.take(frozen))


def test_a_lost_state_cannot_be_told_from_a_new_player(office: Office, screen: Screenside) -> None:
    old = office.publish()
    screen.take(office.publish())

    screen.trust = replace(screen.trust, manifest=(0, 0), manifest_digest="")  # the disk was changed for another

    assert screen.take(old).new  # within its own days: this is why `expires` is short
