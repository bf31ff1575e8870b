"""The sandbox tried out on this system, for `siarhub check`: by acting as an attacker, not by asking the kernel."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import hub
from hub.api.errors import HubError
from hub.media import escape
from hub.media.headers import read_streams
from hub.media.probe import probe
from hub.media.runner import run
from hub.media.sandbox import confinement, sandbox_problems
from hub.media.settings import MediaSettings
from hub.messages import Refusal

WITHIN_S = 20.0
LIBRARY = Path(hub.__file__).resolve().parents[1]
_FILES = "Use a kernel with Landlock (5.13 or later, lsm=landlock), and let the service's SystemCallFilter allow it."
_CALLS = "Use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER) on x86_64 or aarch64."
_WAYS_OUT = {
    "read": f"A media tool could read /etc/passwd. {_FILES}",
    "read the hub's": f"A media tool could read the hub's own files. {_FILES}",
    "write": f"A media tool could write outside of its folder. {_FILES}",
    "change the hub's": f"A media tool could change the rights of the hub's own files. {_CALLS}",
    "socket": f"A media tool could open a network connection. {_CALLS}",
    "signal": f"A media tool could send signals to the hub. {_CALLS}",
    "fork": f"A media tool could start programs of its own. {_CALLS}",
}
_PROTECTED = "Do not use this hub before that is mended: install Debian's own ffmpeg (apt install --reinstall ffmpeg)."


def sandbox_failures(settings: MediaSettings, guarded: Path) -> list[str]:
    """What the sandbox does not hold, one sentence each with the remedy; [] when it holds. Takes about a second.

    It works in a folder of its own in `guarded`, such as the hub's state folder, and leaves nothing there.
    """
    missing = sandbox_problems()
    if any("does not start" in one for one in missing):
        return missing
    try:
        with tempfile.TemporaryDirectory(prefix=".siarhub-check-", dir=guarded) as name:
            found = asyncio.run(_try(settings, Path(name)))
    except OSError as error:
        return [*missing, f"The sandbox could not be tried out: {error.strerror} ({error.filename})."]
    told = {
        remedy for part, remedy in (("Landlock", _FILES), ("seccomp", _CALLS)) if any(part in one for one in missing)
    }
    return missing + [one for one in found if not any(remedy in one for remedy in told)]


async def _try(settings: MediaSettings, folder: Path) -> list[str]:
    for name in ("out", "media"):
        (folder / name).mkdir()
    settings = settings.model_copy(update={"probe_within_s": WITHIN_S})
    ways_out, opened = await asyncio.gather(_escapes(settings, folder), _hostile_media(settings, folder / "media"))
    return [*ways_out, *opened]


async def _escapes(settings: MediaSettings, folder: Path) -> list[str]:
    secret, out = folder / "secret", folder / "out"
    secret.write_text("not for media tools\n")
    limits = confinement(settings, within_s=WITHIN_S, write=[out])
    words = [
        f"library={LIBRARY}",
        f"parent={os.getpid()}",
        f"secret={secret}",
        f"out={out}",
    ]
    finished = await run(words, replace(limits, entry=Path(escape.__file__)), folder=out, within_s=WITHIN_S)
    found = finished.output.decode(errors="replace").splitlines()
    if not finished.ok or "work" not in found:
        return [f"The sandbox for media tools lets nothing work: {finished.says}. Tell whoever made this hub."]
    return [said for name, said in _WAYS_OUT.items() if name in found]


async def _hostile_media(settings: MediaSettings, folder: Path) -> list[str]:
    """What the real probe makes of a good sound and of texts that name other files, under the names of media."""
    good = folder / "good.wav"
    good.write_bytes(_sound())
    with closing(socket.create_server(("127.0.0.1", 0))) as canary:
        canary.setblocking(False)
        texts = _texts(f"127.0.0.1:{canary.getsockname()[1]}", good)
        for name, text in texts.items():
            (folder / name).write_text(text)
        looked = await asyncio.gather(
            _good(good, settings), *(_opened(folder / name, folder, settings) for name in texts)
        )
        return [said for said in (*looked, _visited(canary)) if said]


async def _good(path: Path, settings: MediaSettings) -> str:
    try:
        await probe(path, settings=settings)
    except HubError as error:
        return f"ffprobe does not work in the sandbox: a good sound was answered with: {error} Try: apt install ffmpeg."
    return ""


async def _opened(path: Path, folder: Path, settings: MediaSettings) -> str:
    """By its first bytes it is refused at once; and ffprobe, were it to meet it all the same, must not open it."""
    ways: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: probe(path, settings=settings),
        lambda: read_streams(path, folder, "mp4", settings),
    )
    for way in ways:
        try:
            await way()
        except Refusal:
            continue
        except HubError as error:
            return f"ffprobe failed in the sandbox on {path.name}: {error}. Try: apt install --reinstall ffmpeg."
        return f"A text with the name of a film ({path.name}) was taken for media. {_PROTECTED}"
    return ""


def _visited(canary: socket.socket) -> str:
    try:
        canary.accept()[0].close()
    except BlockingIOError:
        return ""
    return f"ffprobe followed an address in a file that it was given. {_PROTECTED}"


def _texts(address: str, good: Path) -> dict[str, str]:
    """The six of research: each makes a careless ffmpeg open another file or an address."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{}\n#EXT-X-ENDLIST\n"
    dash = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>{}</AdaptationSet></Period></MPD>'
    media = f'<BaseURL>http://{address}/</BaseURL><Representation id="1" bandwidth="1"/>'
    return {
        "hls-local.mp4": hls.format(good),
        "hls-http.mp4": hls.format(f"http://{address}/a.ts"),
        "ffconcat-relative.mp4": f"ffconcat version 1.0\nfile '{good.name}'\n",
        "ffconcat-absolute.mp4": f"ffconcat version 1.0\nfile '{good}'\n",
        "dash.mp4": dash.format(media),
        "sdp.mp4": f"v=0\nc=IN IP4 127.0.0.1\nm=video {address.rpartition(':')[2]} RTP/AVP 96\n",
    }


def _sound() -> bytes:
    """A second of silence."""
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", 16000)
    return b"RIFF" + struct.pack("<I", len(head) + 16000) + head + bytes(16000)
