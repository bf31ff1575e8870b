"""Keeps one player that says too much from keeping the hub busy: what is over its share is dropped unread."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.api import Clock
from plugins.videotron.bucket import Bucket
from plugins.videotron.complaints import Complaints

MESSAGES_PER_S = 2000  # reports on a fast link with small blocks
BYTES_PER_S = 4 << 20
STATES_PER_S = 10  # a player says five a second at most; each has the hub look at everything anew
BURST_S, STATES_BURST_S = 2.0, 5.0
MOST_SENDERS = 5000


@dataclass(slots=True)
class _Share:
    messages: Bucket = field(default_factory=lambda: Bucket(MESSAGES_PER_S, burst_s=BURST_S))
    bytes: Bucket = field(default_factory=lambda: Bucket(BYTES_PER_S, burst_s=BURST_S))
    states: Bucket = field(default_factory=lambda: Bucket(STATES_PER_S, burst_s=STATES_BURST_S))

    def take(self, now: float, *, state: bool, size: int) -> bool:
        """Whether there is room for one more in it."""
        buckets = [(self.messages, 1), (self.bytes, size), *([(self.states, 1)] if state else [])]
        if any(bucket.wait_s(now) for bucket, _ in buckets):
            return False
        for bucket, amount in buckets:
            bucket.take(amount)
        return True


class Floodgate:
    def __init__(self, *, namespace: str, complaints: Complaints, clock: Clock) -> None:
        self._prefix = f"{namespace}/"
        self._complaints = complaints
        self._clock = clock
        self._shares: dict[str, _Share] = {}

    def admit(self, topic: str, size: int) -> bool:
        """Whether a message of this size may be read; who sends too much is named."""
        sender, now = self._sender(topic), self._clock.monotonic()
        if sender not in self._shares and len(self._shares) >= MOST_SENDERS:
            sender = ""
        share = self._shares.setdefault(sender, _Share())
        if share.take(now, state=topic.endswith("/state"), size=size):
            return True
        self._complaints.add(sender, "it sends more than its share; the rest is dropped unread")
        return False

    def _sender(self, topic: str) -> str:
        """The player by whose name a topic goes, as the broker's ACL has it: r/<cid>/<player>, s/<player>/..."""
        parts = topic.removeprefix(self._prefix).split("/")
        if parts[0] == "r":
            return parts[-1][:40]
        return parts[1][:40] if len(parts) > 1 else ""
