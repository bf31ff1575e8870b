"""What somebody would write instead: downloads over HTTP with a hash and a file, several in one process.

`python -m bench.transfer_http JOB.json`: the same words on standard output as `bench.transfer_player`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

CHUNK = 262144


async def main(job: dict[str, Any]) -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = time.monotonic()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for one in job["players"]:
            group.create_task(_download(session, job["url"], job["sha256"], one, began))


async def _download(
    session: aiohttp.ClientSession, url: str, sha256: str, player: dict[str, Any], began: float
) -> None:
    await asyncio.sleep(began + player["after_s"] - time.monotonic())
    whole = hashlib.sha256()
    with Path(player["path"]).open("wb") as file:  # noqa: ASYNC230 - as such a script would
        async with session.get(url) as answer:
            async for chunk in answer.content.iter_chunked(CHUNK):
                whole.update(chunk)
                file.write(chunk)
    assert whole.hexdigest() == sha256
    print(json.dumps({"event": "fetched", "player": player["player"], "at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
