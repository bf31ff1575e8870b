"""What a plugin may raise on purpose. Anything else it raises counts as a bug in it."""

from __future__ import annotations

from datetime import timedelta


class HubError(Exception):
    """Base of every error whose message is meant for a person."""


class RetryLater(HubError):
    """The destination is not available now: try this call again.

    `after` is how long to wait at least; None lets the hub back off by itself.
    """

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Rejected(HubError):
    """This can never succeed as it stands; the reason is shown to a person word for word."""
