"""The carousel decides alone: these tests are its players and its clock."""

from __future__ import annotations

import random

from plugins.videotron.protocol import FLUSH_INDEX, Report, ReportFlag
from plugins.videotron.transfer.carousel import Carousel, Send
from plugins.videotron.transfer.streams import Pipe

ALL = 0


def report(blocks: int, have: int = 0, *, group: int = 0, unicast: int = 0, boot: int = 1, flags=ReportFlag.IN_GROUP):
    return Report(flags=flags, blocks=blocks, group_sequence=group, unicast_sequence=unicast, boot=boot, have=have)


def sends(carousel: Carousel, now: float) -> list[Send]:
    found = []
    while send := carousel.next_send(now):
        found.append(send)
    return found


def test_nothing_is_sent_before_the_hold_off_has_passed():
    carousel = Carousel(blocks=3, window=10, hold_off_s=1)
    carousel.report("a", report(3), now=10, pipe=Pipe())

    assert carousel.next_send(10.9) is None
    assert carousel.wake_at(10.9) == 11
    assert [send.index for send in sends(carousel, 11)] == [0, 1, 2]


def test_players_that_come_within_the_hold_off_share_one_upload():
    carousel = Carousel(blocks=4, window=10, hold_off_s=1)
    for player, at in (("a", 0), ("b", 0.5), ("c", 0.9)):
        carousel.report(player, report(4), now=at, pipe=Pipe())

    assert sends(carousel, 1.1) == []  # the last one came only just now: more may be on their way
    assert [(send.player, send.index) for send in sends(carousel, 1.2)] == [(None, 0), (None, 1), (None, 2), (None, 3)]


def test_newcomers_put_the_sending_off_for_half_as_long_again_at_most():
    carousel = Carousel(blocks=1, window=10, hold_off_s=1)
    for number in range(20):
        carousel.report(f"p{number}", report(1), now=number * 0.09, pipe=Pipe())

    assert [send.index for send in sends(carousel, 1.5)] == [0]


def test_nobody_waits_when_all_that_lack_a_file_have_reported():
    carousel = Carousel(blocks=1, window=10, hold_off_s=1, expected=["a", "b", "c"])
    carousel.report("a", report(1), now=0, pipe=Pipe())
    carousel.report("b", report(1), now=0, pipe=Pipe())
    assert sends(carousel, 0) == []

    carousel.report("c", report(1, 1, flags=ReportFlag.DONE), now=0.1, pipe=Pipe())

    assert [send.index for send in sends(carousel, 0.1)] == [0]


def test_a_block_that_few_lack_goes_to_each_of_them_alone():
    carousel = Carousel(blocks=8, window=10, hold_off_s=0)
    carousel.report("late", report(8, 0b11111110), now=0, pipe=Pipe())
    for number in range(8):
        carousel.report(f"p{number}", report(8, 0b00000001), now=0, pipe=Pipe())

    found = {(send.player, send.index) for send in sends(carousel, 0)}

    assert ("late", 0) in found
    assert {index for player, index in found if player is None} == set(range(1, 8))


def test_a_report_settles_what_was_sent_before_it_as_had_or_lost():
    carousel = Carousel(blocks=4, window=10, hold_off_s=0)
    carousel.report("a", report(4), now=0, pipe=Pipe())
    first = sends(carousel, 0)

    carousel.report("a", report(4, 0b0101, group=first[2].sequence), now=0.1, pipe=Pipe())

    assert [send.index for send in sends(carousel, 0.1)] == [1]  # 3 is still on its way


def test_a_sequence_of_an_earlier_hub_settles_nothing():
    carousel = Carousel(blocks=4, window=10, hold_off_s=0)
    carousel.report("a", report(4), now=0, pipe=Pipe())
    last = sends(carousel, 0)[-1].sequence

    carousel.report("a", report(4, group=last + 1000), now=0.1, pipe=Pipe())

    assert sends(carousel, 0.1) == []


def test_the_end_of_a_burst_is_marked_so_that_losses_show_at_once():
    carousel = Carousel(blocks=2, window=10, hold_off_s=0)
    carousel.report("a", report(2), now=0, pipe=Pipe())
    last = sends(carousel, 0)[-1]

    [marker] = sends(carousel, 0.31)
    carousel.report("a", report(2, 0b01, group=marker.sequence), now=0.4, pipe=Pipe())

    assert (marker.index, marker.sequence, marker.player) == (FLUSH_INDEX, last.sequence, None)
    assert [send.index for send in sends(carousel, 0.4)] == [1]


def test_the_window_stops_the_stream_until_the_median_player_has_reported():
    carousel = Carousel(blocks=20, window=5, hold_off_s=0)
    carousel.report("fast", report(20), now=0, pipe=Pipe())
    carousel.report("slow", report(20), now=0, pipe=Pipe())
    first = sends(carousel, 0)

    carousel.report("fast", report(20, 0b11111, group=first[-1].sequence), now=0.1, pipe=Pipe())

    assert [send.index for send in first] == [0, 1, 2, 3, 4]
    assert [send.index for send in sends(carousel, 0.1)] == [5, 6, 7, 8, 9]  # the broker holds the slow one's


def test_a_player_that_stays_silent_is_forgotten_and_holds_nobody_up():
    carousel = Carousel(blocks=2, window=10, hold_off_s=0)
    carousel.report("a", report(2), now=0, pipe=Pipe())
    sends(carousel, 0)

    assert carousel.next_send(31) is None
    assert not carousel.busy
    assert carousel.wake_at(31) is None


def test_what_makes_no_progress_counts_as_lost():
    carousel = Carousel(blocks=2, window=10, hold_off_s=0)
    carousel.report("a", report(2), now=0, pipe=Pipe())
    sends(carousel, 0)
    for now in range(1, 14):
        carousel.report("a", report(2), now=now, pipe=Pipe())

    assert [send.index for send in sends(carousel, 13) if send.index != FLUSH_INDEX] == [0, 1]


def test_a_player_that_started_anew_is_served_anew():
    carousel = Carousel(blocks=2, window=10, hold_off_s=0)
    carousel.report("a", report(2), now=0, pipe=Pipe())
    sends(carousel, 0)

    carousel.report("a", report(2, boot=2), now=0.1, pipe=Pipe())

    assert [send.index for send in sends(carousel, 0.1)] == [0, 1]


def test_a_player_outside_the_group_is_served_alone():
    carousel = Carousel(blocks=3, window=10, hold_off_s=0)
    carousel.report("a", report(3, flags=ReportFlag.LEFT), now=0, pipe=Pipe())

    assert [(send.player, send.index) for send in sends(carousel, 0)] == [("a", 0), ("a", 1), ("a", 2)]


def test_a_report_of_another_number_of_blocks_is_ignored():
    carousel = Carousel(blocks=3, window=10, hold_off_s=0)
    carousel.report("a", report(4), now=0, pipe=Pipe())

    assert not carousel.busy


def test_everybody_gets_everything_though_every_fifth_message_is_lost_for_each():
    chance, blocks = random.Random(5), 60
    have = dict.fromkeys("abcdefgh", 0)
    seen = {player: [0, 0] for player in have}
    pipes = {player: Pipe() for player in have}
    carousel, now, uploads = Carousel(blocks=blocks, window=8, hold_off_s=1), 0.0, 0
    while any(bits != (1 << blocks) - 1 for bits in have.values()):
        now += 0.1
        assert now < 200
        for send in sends(carousel, now):
            uploads += send.index != FLUSH_INDEX
            for player in [send.player] if send.player else have:
                if chance.random() > 0.2:
                    seen[player][send.player is not None] = send.sequence
                    have[player] |= 0 if send.index == FLUSH_INDEX else 1 << send.index
        for player, bits in have.items():
            carousel.report(
                player, report(blocks, bits, group=seen[player][0], unicast=seen[player][1]), now, pipes[player]
            )

    assert uploads < 4 * blocks  # 8 x without the group
