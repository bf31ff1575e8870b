"""What stands in a folder under the name of a film and is no ordinary, finished file."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from hub.media.samples import make_covered_audio
from tests.hostile.boxes import box, wav
from tests.hostile.case import Case, Must, of_bytes
from tests.hostile.world import World

TERABYTE = 1 << 40


def cases(world: World) -> Iterator[Case]:
    yield from _links(world)
    yield from _special()
    yield from _sparse()
    for name, kind in (("grows.mp4", "fast.mp4"), ("grows.mp3", "mp3"), ("grows.ts", "ts"), ("grows.wav", "wav")):
        data = world.whole(kind)
        yield Case(name=name, must=Must.DECIDE, make=_writes(data), during=growing(data), short=name == "grows.ts")
    yield from _sounds(world)


def _writes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _links(world: World) -> Iterator[Case]:
    targets = {
        "shadow": Path("/etc/shadow"),
        "environ": Path("/proc/self/environ"),
        "canary": world.canary.files["mp4"],
        "canary-picture": world.canary.files["png"],
        "zero": Path("/dev/zero"),
        "nowhere": Path("/nowhere/at/all"),
    }
    for name, target in targets.items():
        make: Callable[[Path], object] = lambda path, target=target: path.symlink_to(target)  # type: ignore[misc]  # noqa: E731
        yield Case(name=f"link-to-{name}.mp4", must=Must.REFUSE, make=make, short=True)
    yield Case(name="link-to-itself.mp4", must=Must.REFUSE, make=lambda path: path.symlink_to(path), short=True)
    yield Case(name="hard-link-to-text.mp4", must=Must.REFUSE, make=lambda path: _linked_text(path))


def _linked_text(path: Path) -> None:
    other = path.with_name("some-text.txt")
    other.write_text("only a text\n")
    path.hardlink_to(other)


def _special() -> Iterator[Case]:
    yield Case(name="pipe.mp4", must=Must.REFUSE, make=os.mkfifo, short=True)
    yield Case(name="socket.mp4", must=Must.REFUSE, make=_socket, short=True)
    yield Case(name="folder.mp4", must=Must.REFUSE, make=Path.mkdir, short=True)
    if os.geteuid() == 0:
        for name, number in (("zero", (1, 5)), ("random", (1, 9)), ("terminal", (5, 0)), ("memory", (1, 1))):
            make: Callable[[Path], object] = lambda path, number=number: os.mknod(  # type: ignore[misc]  # noqa: E731
                path, stat.S_IFCHR | 0o600, os.makedev(*number)
            )
            yield Case(name=f"device-{name}.mp4", must=Must.REFUSE, make=make)


def _socket(path: Path) -> None:
    """Its path may be longer than an address may be."""
    with socket.socket(socket.AF_UNIX) as one:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            one.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


def sparse(data: bytes, size: int) -> Callable[[Path], object]:
    """A file that says to be of this size and takes almost nothing of the disk."""

    def make(path: Path) -> None:
        path.write_bytes(data)
        os.truncate(path, size)

    return make


def _sparse() -> Iterator[Case]:
    head = box(b"ftyp", b"isom\0\0\2\0isom")
    media = head + b"\0\0\0\1mdat" + (TERABYTE - len(head)).to_bytes(8, "big")
    yield Case(name="a-terabyte.mp4", must=Must.REFUSE, make=sparse(media, TERABYTE), short=True)
    yield Case(name="a-terabyte-of-zeros.mkv", must=Must.REFUSE, make=sparse(b"\x1aE\xdf\xa3", TERABYTE), short=True)
    heads = {
        "mkv": b"\x1aE\xdf\xa3",
        "ts": b"G" + bytes(187),
        "mp3": b"ID3\3\0\0\0\0\0\0",
        "pdf": b"%PDF-1.4\n",
        "png": b"\x89PNG\r\n\x1a\n",
        "flac": b"fLaC",
        "mpg": b"\0\0\1\xba",
    }
    for kind, data in heads.items():
        yield Case(name=f"a-gigabyte-of-zeros.{kind}", must=Must.REFUSE, make=sparse(data, 1 << 30))
    hours = wav((1, 2, 48000, 192000, 4, 16), b"")[:40] + (3 << 30).to_bytes(4, "little")
    yield Case(name="hours-of-silence.wav", must=Must.REFUSE, make=sparse(hours, 3 << 30))


def growing(data: bytes) -> Callable[[Path], contextlib.AbstractContextManager[object]]:
    """Somebody who goes on writing while the hub looks."""

    @contextlib.contextmanager
    def grow(path: Path) -> Iterator[None]:
        done = threading.Event()

        def write() -> None:
            with path.open("ab") as file:
                while not done.wait(0.01) and file.tell() < 64 << 20:
                    file.write(data)
                    file.flush()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield
        finally:
            done.set()
            writer.join()

    return grow


def _sounds(world: World) -> Iterator[Case]:
    """Tags that lie in front of a sound."""
    whole = world.whole("mp3")
    sound = whole[whole.index(b"\xff\xfb") :] if b"\xff\xfb" in whole else whole
    long = b"TIT2" + (1 << 20).to_bytes(4, "big") + b"\0\0\0" + b"\x1b[31mx\n\0" * (1 << 17)
    size = bytes((len(long) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    yield of_bytes("title-of-a-megabyte.mp3", Must.TAKE, b"ID3\3\0\0" + size + long + sound, short=True)
    yield of_bytes("tag-larger-than-the-file.mp3", Must.DECIDE, b"ID3\3\0\0\x7f\x7f\x7f\x7f" + sound)
    yield of_bytes(
        "frame-larger-than-the-tag.mp3", Must.DECIDE, b"ID3\3\0\0\0\0\x10\0APIC\xff\xff\xff\xff" + bytes(2042) + sound
    )
    yield of_bytes("a-thousand-tags.mp3", Must.DECIDE, b"ID3\3\0\0\0\0\0\0" * 1000 + sound)
    flac = world.whole("flac")
    picture = b"\x06" + (0xFFFFFF).to_bytes(3, "big")
    yield of_bytes("cover-larger-than-the-file.flac", Must.DECIDE, flac[:42] + picture + flac[42:])
    yield Case(name="cover.mp3", must=Must.TAKE, make=make_covered_audio)
