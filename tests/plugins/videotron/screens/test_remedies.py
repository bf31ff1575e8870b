"""Whoever reads of a trouble reads what to do about it, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.messages import catalogue
from plugins.videotron.protocol import Attack, Trouble
from plugins.videotron.screens import remedies

INDONESIAN = catalogue("id", Path(remedies.__file__).parents[1])


def test_every_trouble_and_every_attack_has_a_remedy():
    assert set(remedies.REMEDIES) == set(Trouble)
    assert set(remedies.ATTACKS) == set(Attack)


@pytest.mark.parametrize("code", [*Trouble, *Attack, *remedies.OWN])
def test_a_remedy_is_told_in_indonesian_too(code):
    told = remedies.spoken_remedy(code, INDONESIAN)

    assert told != remedies.remedy(code)
    assert "{" not in told


def test_codes_mean_one_thing_each():
    assert not set(Trouble) & set(remedies.OWN)
    assert not set(Attack) & set(remedies.OWN)


def test_a_word_of_a_later_version_leads_to_the_log():
    assert remedies.remedy("teapot") == remedies.REMEDIES[Trouble.OTHER]
