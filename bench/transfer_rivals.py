"""The rivals of a transfer: nginx with curl, with `curl | tee | sha256sum`, and with downloads in Python."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bench.transfer_rig import Film, Process, Screen
from plugins.radio.local_playout import free_port

CONFIG = """\
daemon off; pid {folder}/pid; error_log {folder}/error; worker_processes 1; user root;
events {{}}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def missing() -> str:
    """What must be installed first; "" when all is there."""
    wanted = {"nginx": "nginx-light", "curl": "curl"}
    lacking = [package for program, package in wanted.items() if _program(program) is None]
    return f"apt-get install {' '.join(lacking)}" if lacking else ""


@contextlib.asynccontextmanager
async def nginx(folder: Path, film: Film) -> AsyncIterator[str]:
    """A server of the film; its address."""
    await asyncio.to_thread(folder.mkdir)
    port = free_port()
    config = CONFIG.format(folder=folder, port=port, root=film.path.parent)
    await asyncio.to_thread((folder / "nginx.conf").write_text, config)
    server = await asyncio.create_subprocess_exec(
        str(_program("nginx")), "-c", str(folder / "nginx.conf"), stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while not await _answers(port):  # noqa: ASYNC110 - another process: there is no event to await
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}/{film.path.name}"
    finally:
        server.terminate()
        await server.wait()


async def curl(url: str) -> float:
    """Seconds of one download to nowhere."""
    return await _seconds("curl", "-s", "-o", "/dev/null", url)


async def curl_tee_sha256(url: str, target: Path) -> float:
    """Seconds of one download into a file, with a hash."""
    return await _seconds("sh", "-c", 'curl -s "$0" | tee "$1" | sha256sum > /dev/null', url, str(target))


async def downloads(url: str, film: Film, folder: Path, screens: list[Screen]) -> float:
    """Seconds from the first of these downloads to the end of the last, in two processes."""
    processes = []
    for half in (screens[::2], screens[1::2]):
        players = [
            {"player": one.name, "after_s": one.after_s, "path": str(folder / f"{one.name}.http")} for one in half
        ]
        job = {"url": url, "sha256": film.sha256, "players": players}
        processes.append(await Process.start("bench.transfer_http", folder / f"{half[0].name}-http.json", job))
    began = time.monotonic()
    for process in processes:
        process.go()
    said = [line for process in processes for line in await process.rest()]
    for one in screens:
        (folder / f"{one.name}.http").unlink()
    return max(float(line["at"]) for line in said) - began


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _seconds(*command: str) -> float:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError(f"{command[0]} failed")
    return time.monotonic() - began
