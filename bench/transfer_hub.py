"""The hub's side of a measured transfer, as a process of its own: the plugin's Broker, Sender and contents, no ledger.

`python -m bench.transfer_hub JOB.json`. It keeps its figures in a file that is there after a SIGKILL, too. Processor
time is counted from when it is ready: hashing the files and serving them, without the interpreter's start.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bench.transfer_wire import SITE, HubsKey
from hub.clock import SystemClock
from plugins.videotron.broker import Broker, Disconnected, Link
from plugins.videotron.protocol import Topics, WireError, decode_report
from plugins.videotron.settings import BrokerSettings
from plugins.videotron.transfer.contents import Content, cut
from plugins.videotron.transfer.offers import Offer
from plugins.videotron.transfer.sender import Pace, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the process has used and sent; bytes of blocks, without headers."""

    bytes: int
    cpu_s: float
    peak_rss_mib: float


def read_figures(path: Path) -> Figures:
    """What a hub wrote down last; all zero before its first block."""
    try:
        return Figures(**json.loads(path.read_text()))
    except (OSError, ValueError):
        return Figures(bytes=0, cpu_s=0.0, peak_rss_mib=0.0)


class _Counting(Link):
    """A link that writes the figures down with every block."""

    figures: int = -1
    sent: int = 0
    peak_rss_mib: float = 0.0
    cpu_at_start_s: float = 0.0

    def send_block(self, topic: str, payload: bytes) -> None:
        if _Counting.sent % (32 << 20) == 0:
            _Counting.peak_rss_mib = _peak_rss_mib()
        _Counting.sent += max(0, len(payload) - 16)
        _write_down()
        super().send_block(topic, payload)


def _write_down() -> None:
    figures = {
        "bytes": _Counting.sent,
        "cpu_s": round(_used_cpu_s() - _Counting.cpu_at_start_s, 4),
        "peak_rss_mib": _Counting.peak_rss_mib,
    }
    os.pwrite(_Counting.figures, json.dumps(figures).encode().ljust(120), 0)


def _used_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_rss_mib() -> float:
    """Of this program: getrusage would tell that of the one that forked it, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def main(job: dict[str, Any]) -> None:
    key, run = HubsKey(job["key"]), os.urandom(8).hex()
    topics, clock, log = Topics(), SystemClock(), structlog.get_logger()
    _Counting.cpu_at_start_s = _used_cpu_s()
    contents = [cut(Path(path), sha256, job["block_bytes"], SITE) for path, sha256 in job["files"]]
    pace = Pace(
        window_bytes=job["window_bytes"], hold_off_s=job["hold_off_s"], upload_limit_kbps=job["upload_limit_kbps"]
    )
    sender = Sender(topics=topics, pace=pace, clock=clock, log=log)
    sender.offer([Offer(content=content, players=frozenset(job["players"])) for content in contents])
    settings = BrokerSettings(port=job["port"], password=job["password"])
    broker = Broker(settings=settings, topics=topics, hub_state=partial(key.hub_state, run), clock=clock, log=log)
    _Counting.figures = os.open(job["figures"], os.O_RDWR | os.O_CREAT, 0o644)
    print("ready", flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(_obey(broker, topics))
        group.create_task(
            broker.run(lambda link: _session(link, topics, sender, {c: key.announcement(c) for c in contents}))
        )


async def _obey(broker: Broker, topics: Topics) -> None:
    """A line on standard input is a player to be told the time, by a control message."""
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if broker.link:
            await broker.link.publish(topics.control(line), f"{time.monotonic()}".encode(), qos=0)


async def _session(link: Link, topics: Topics, sender: Sender, contents: dict[Content, bytes]) -> None:
    counting = _Counting(link._client, link._slots, _deadlines=link._deadlines, _on_their_way=link._on_their_way)
    await link.subscribe(f"{topics.namespace}/r/+/+")
    for content, signed in contents.items():
        await link.publish(topics.block_list(content.cid), signed, retain=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(_receive(link, topics, sender))
        group.create_task(sender.run(counting))


async def _receive(link: Link, topics: Topics, sender: Sender) -> None:
    async for message in link.messages():
        _, cid, player = topics.parse(message.topic)
        try:
            sender.report(cid, player, decode_report(message.payload))
        except WireError as error:
            print(error, file=sys.stderr)
        _write_down()
    raise Disconnected("the broker sends no more")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
