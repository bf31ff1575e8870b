"""SIGKILL to the player, the hub and the broker in the middle of a film: what is fetched and sent again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Measure
from bench.transfer_rig import BLOCK_BYTES, Film, Process, Rig, Screen, rig, until_sent

VICTIM = "p0"
CROWD = ("p1", "p2", "p3")
LIMIT_S = 8.0  # a transfer takes about so long by the hub's upload limit, so that there is a middle
DOWN_S = 1.0  # of hub and broker; a player is started again at once, as systemd does, and lacks what went by meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What a transfer came to though something was killed in its middle."""

    whole: bool
    upload: float
    again: int  # blocks that were sent to a player alone though it had them
    overheard: int  # blocks that it had and got with a group in which others lacked them

    def __str__(self) -> str:
        whole = "whole" if self.whole else "NOT WHOLE"
        return f"{whole}, upload {self.upload:.2f}, {self.again} blocks again, {self.overheard} overheard"


@dataclass(slots=True, kw_only=True)
class _Scene:
    made: Rig
    victim: Process
    crowd: Process


async def _kill_player(scene: _Scene) -> None:
    await scene.victim.kill()
    scene.victim = await scene.made.start_players([Screen(name=VICTIM)])
    scene.victim.go()


async def _kill_hub(scene: _Scene) -> None:
    assert scene.made.hub
    await scene.made.hub.kill()
    await asyncio.sleep(DOWN_S)
    await scene.made.start_hub()


async def _kill_broker(scene: _Scene) -> None:
    await scene.made.broker.kill()
    await asyncio.sleep(DOWN_S)
    await scene.made.broker.start()


KILLS: Mapping[str, Callable[[_Scene], Awaitable[None]]] = {
    "player": _kill_player,
    "hub": _kill_hub,
    "broker": _kill_broker,
}


def measures(folder: Path, film: Film) -> Iterator[Measure]:
    """Upload, and blocks again, for each kill. A film that is not whole is an upload without end."""
    for name in KILLS:
        done = asyncio.run(survive(folder / f"kill-{name}", film, name))
        upload = done.upload if done.whole else float("inf")
        yield Measure(name=f"transfer-kill-{name}-upload", ours=upload, theirs=1.0, target=1.2, note=str(done))
        yield Measure(name=f"transfer-kill-{name}-again", ours=done.again, theirs=None, target=0, note="blocks")


async def survive(
    folder: Path, film: Film, name: str, *, at: float = 0.4, block_bytes: int = BLOCK_BYTES, takes_s: float = LIMIT_S
) -> Survived:
    """Kill one of them when this part has been sent, start it again, and wait for the end."""
    limit_kbps = int(film.size * 8 / 1000 / takes_s)
    players = (VICTIM, *CROWD)
    async with rig(folder, [film], players, upload_limit_kbps=limit_kbps, block_bytes=block_bytes) as made:
        async with _on(made) as scene:
            await until_sent(made, int(film.size * at))
            await KILLS[name](scene)
            said = [*await scene.victim.rest(), *await scene.crowd.rest()]
        fetched = [line for line in said if line["event"] == "fetched"]
        whole = len(fetched) == len(players) and all(made.whole(player) for player in players)
        done = Survived(whole=whole, upload=made.figures.bytes / film.size, **_counts(fetched))
    await asyncio.to_thread(shutil.rmtree, folder)
    return done


@asynccontextmanager
async def _on(made: Rig) -> Any:
    victim = await made.start_players([Screen(name=VICTIM)])
    crowd = await made.start_players([Screen(name=name) for name in CROWD])
    scene = _Scene(made=made, victim=victim, crowd=crowd)
    victim.go()
    crowd.go()
    try:
        yield scene
    finally:
        await scene.victim.kill()
        await scene.crowd.kill()


def _counts(fetched: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {key: sum(line[key] for line in fetched) for key in ("again", "overheard")}
