"""Fetching: a report is the request. Each connection begins from what the disk has."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Protocol

from . import wire
from .films import Fetch, Film, Films


class Link(Protocol):
    def subscribe(self, topic: str, qos: int) -> object: ...
    def unsubscribe(self, topic: str) -> object: ...
    def publish(self, topic: str, payload: bytes, qos: int) -> Any: ...


class Fetching:
    def __init__(self, films: Films, *, ns: str, pid: str, boot: int) -> None:
        self._films, self._ns, self._pid, self._boot = films, ns, pid, boot
        self._link: Any = None
        self._asked: dict[str, Film] = {}
        self._fetches: dict[str, Fetch] = {}
        self._done: dict[str, tuple[bytes, Any]] = {}  # reports that the broker may not have
        self._lately: deque[tuple[float, int]] = deque(maxlen=5000)  # when which bytes came
        self.received = 0  # bytes

    def connected(self, link: Link) -> None:
        self._link = link
        for cid, (frame, said) in list(self._done.items()):
            if not said.is_published():
                self._say(cid, frame, done=True)

    def lost(self) -> None:
        """The connection is gone: everything is asked for again in the next one."""
        self._link = None
        self._asked.clear()
        self._fetches.clear()

    def begin_anew(self) -> None:
        """The hub started anew: its streams count from somewhere else, and it knows nothing of what was reported."""
        for fetch in self._fetches.values():
            fetch.group = fetch.unicast = 0
        self.report(all_=True)

    def received_per_s(self) -> int:
        since = time.monotonic() - 30
        return sum(size for at, size in self._lately if at >= since) // 30

    def want(self, films: list[Film]) -> None:
        """These are to be fetched, and no others."""
        wanted = {film["cid"]: film for film in films}
        for cid in self._asked.keys() - wanted.keys():
            self._leave(cid)
        for cid in wanted.keys() - self._asked.keys():
            self._link.subscribe(f"{self._ns}/c/{cid}/m", 1)
        self._asked = wanted

    def film(self, cid: str) -> Film | None:
        return self._asked.get(cid)

    def begin(self, cid: str, blocks: dict[str, Any]) -> bool:
        """A block list that was accepted; True when its file is whole already."""
        if cid in self._fetches and self._fetches[cid].blocks == blocks:
            return False
        self._fetches[cid] = self._films.begin(self._asked[cid], blocks)
        self._link.subscribe(f"{self._ns}/c/{cid}/b", 1)
        return self._report_or_finish(self._fetches[cid])

    def take(self, frame: bytes, cid: str | None) -> bool:
        """A frame, of the group of this content or (None) to this player alone; True when a film became whole."""
        block = wire.read_block(frame)
        if block.in_group != (cid is not None):
            raise wire.Refused("malformed", "a frame on another topic")
        meant = [
            one for known, one in self._fetches.items() if (cid or known) == known and wire.tag_of(known) == block.tag
        ]
        for fetch in meant:
            if block.in_group:
                fetch.group = block.sequence
            else:
                fetch.unicast = block.sequence
        if block.index == wire.FLUSH:
            return True in [self._report_or_finish(fetch) for fetch in meant if fetch.waits()]
        self.received += len(block.data)
        self._lately.append((time.monotonic(), len(block.data)))
        return self._write(block, meant)

    def _write(self, block: wire.Block, meant: list[Fetch]) -> bool:
        for last, fetch in enumerate(meant, 1):
            try:
                self._films.take(fetch, block)
            except wire.Refused:
                if last == len(meant):
                    raise
                continue
            fetch.unreported += 1
            fetch.block_at = min(fetch.block_at, time.monotonic())
            return all(fetch.have) and self._report_or_finish(fetch)
        return False

    def report(self, *, all_: bool = False) -> None:
        """Say what is due now, or (a new run of the hub) what is missing of everything."""
        now = time.monotonic()
        for fetch in [one for one in self._fetches.values() if all_ or one.due(now)]:
            self._report_or_finish(fetch)

    def _report_or_finish(self, fetch: Fetch) -> bool:
        whole = all(fetch.have) and self._films.complete(fetch)
        cid = fetch.film["cid"]
        if whole:
            self._leave(cid)
            del self._asked[cid]
        flags = wire.DONE if whole else wire.IN_GROUP
        numbers = {"group": fetch.group, "unicast": fetch.unicast, "boot": self._boot}
        frame = wire.report(flags, have=fetch.have, **numbers)
        self._say(cid, frame, done=whole)
        fetch.unreported, fetch.reported_at, fetch.block_at = 0, time.monotonic(), float("inf")
        return whole

    def _say(self, cid: str, frame: bytes, *, done: bool) -> None:
        said = self._link.publish(f"{self._ns}/r/{cid}/{self._pid}", frame, 1 if done else 0)
        if done:
            self._done[cid] = (frame, said)

    def _leave(self, cid: str) -> None:
        for which in ("m", "b"):
            self._link.unsubscribe(f"{self._ns}/c/{cid}/{which}")
        self._fetches.pop(cid, None)
