"""What is said at the broker, from one session to the next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from hub.testing import FakeClock
from plugins.videotron.announcing import Announcer
from plugins.videotron.broker import Link
from plugins.videotron.store import Store


@dataclass
class Session:
    """As much of a session with the broker as is spoken into here."""

    said: list[tuple[str, bytes]] = field(default_factory=list)

    async def publish(self, topic: str, payload: bytes, **_: Any) -> None:
        self.said.append((topic, payload))


async def test_what_was_not_followed_when_the_broker_was_lost_does_not_end_the_next_session(tmp_path: Path) -> None:
    store, clock = Store(tmp_path / "store.sqlite3"), FakeClock()
    announcer, before, after = Announcer(clock), Session(), Session()
    documents = {"siar/s/gate-1/want": b"a manifest"}
    await announcer.announce(cast(Link, before), store, documents, insist=documents, first="siar/keys")
    clock.advance(timedelta(minutes=1))  # without a broker: it is long due to be said again

    async with asyncio.TaskGroup() as group:
        insisting = group.create_task(announcer.insist(cast(Link, after)))
        await asyncio.sleep(0)  # the new session's insisting begins before its first announcement
        await announcer.announce(cast(Link, after), store, documents, insist=documents, first="siar/keys")
        async with asyncio.timeout(5):
            while len(after.said) < 2:
                clock.advance(timedelta(seconds=1))
                announcer.followed("siar/s/gate-1/want", yes=False)
                await asyncio.sleep(0)
        insisting.cancel()

    store.close()
    assert set(after.said) == set(documents.items())
