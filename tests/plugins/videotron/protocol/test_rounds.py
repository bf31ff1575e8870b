"""A round of the loop: shares hold, and are spread."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.videotron.protocol.rounds import spread

SHARES = st.lists(st.integers(1, 20), min_size=1, max_size=12)


def letters(shares: list[int]) -> str:
    return "".join("ABCDEFGH"[which] for which, _ in spread(shares))


@pytest.mark.parametrize(
    ("shares", "round_"),
    [
        ([], ""),
        ([1], "A"),
        ([1, 1, 1], "ABC"),
        ([2, 1, 1], "ABAC"),
        ([3, 1, 1, 1, 1], "ABACADE"),
        ([1, 3, 1, 1], "BABCBD"),
        ([1, 1, 2], "CACB"),
        ([5, 3, 1], "ABAABABAC"),
        ([8, 3, 1], "AABAABAABAAC"),
    ],
)
def test_a_round_reads_as_a_person_would_lay_it_out(shares: list[int], round_: str) -> None:
    assert letters(shares) == round_


@settings(deadline=None)
@given(SHARES)
def test_everybody_has_as_many_places_as_the_share_says_and_takes_them_in_order(shares: list[int]) -> None:
    round_ = spread(shares)

    assert Counter(which for which, _ in round_) == dict(enumerate(shares))
    for which, share in enumerate(shares):
        assert [place for one, place in round_ if one == which] == list(range(share))


@settings(deadline=None)
@given(SHARES)
def test_each_place_falls_into_a_part_of_the_round_of_its_own(shares: list[int]) -> None:
    places = sum(shares)

    for at, (which, place) in enumerate(spread(shares)):
        part = places / shares[which]
        assert floor(place * part) <= at < ceil((place + 1) * part)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, 40), st.integers(0, 40))
def test_a_film_among_many_does_not_follow_itself_while_it_has_no_more_places_than_they(
    share: int, before: int, after: int
) -> None:
    others = max(share, before + after)
    before = min(before, others)

    round_ = [which for which, _ in spread([1] * before + [share] + [1] * (others - before))]

    assert share == others == 1 or all(one != next_ for one, next_ in pairwise((*round_, round_[0])))


@settings(deadline=None)
@given(SHARES)
def test_the_same_shares_give_the_same_round(shares: list[int]) -> None:
    assert spread(shares) == spread(tuple(shares))


def test_the_largest_round_is_laid_out_in_a_moment() -> None:
    begin = time.process_time()

    assert len(spread([20] * 1000)) == 20_000
    assert time.process_time() - begin < 1.0
