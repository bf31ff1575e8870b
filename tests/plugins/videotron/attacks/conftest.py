from __future__ import annotations

import pytest

from tests.plugins.videotron.attacks.office import Office, Screenside


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def screen(office: Office) -> Screenside:
    """A player that was enrolled just now and follows nothing yet."""
    return Screenside(office.trust())
