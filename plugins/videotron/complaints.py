"""What was wrong with what arrived: logged sparingly, kept a while for health, bounded whatever is thrown at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.api import Clock, Log

MAX_SENDERS = 50
REMEMBER = timedelta(hours=1)
LOG_EVERY = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class Complaint:
    text: str
    count: int
    last: datetime
    logged: datetime


class Complaints:
    def __init__(self, *, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._by_sender: dict[str, Complaint] = {}

    def add(self, sender: str, text: str) -> None:
        """Note that something from `sender` was refused; it is logged at once, then at most once a minute."""
        now = self._clock.now()
        known = self._by_sender.get(sender)
        if known is None:
            if len(self._by_sender) >= MAX_SENDERS:
                self._forget_old(now)
            if len(self._by_sender) >= MAX_SENDERS:
                sender = "others"
            known = self._by_sender.setdefault(sender, Complaint(text=text, count=0, last=now, logged=now - REMEMBER))
        known.text, known.count, known.last = text, known.count + 1, now
        if now - known.logged >= LOG_EVERY:
            known.logged = now
            self._log.warning("message_was_refused", sender=sender, reason=text, count=known.count)

    def _forget_old(self, now: datetime) -> None:
        self._by_sender = {sender: one for sender, one in self._by_sender.items() if now - one.last < REMEMBER}

    def recent(self) -> dict[str, str]:
        """By sender, the last complaint of the past hour."""
        now = self._clock.now()
        return {
            sender: f"{complaint.text} ({complaint.count} refused)"
            for sender, complaint in self._by_sender.items()
            if now - complaint.last < REMEMBER
        }
