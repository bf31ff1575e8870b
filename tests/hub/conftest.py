from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_as_it_comes() -> Iterator[None]:
    """What a test of a command has set up for the log must not swallow the events that the next test looks for."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
