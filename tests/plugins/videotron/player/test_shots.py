"""What a player sends of its screen: small, of its own part of the output, and of one film."""

from __future__ import annotations

import asyncio
import base64
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from PIL import Image

from hub.testing import FakeClock
from plugins.videotron.player.mpv import MpvGone
from plugins.videotron.player.settings import ScreenSettings, StripSettings
from plugins.videotron.player.shots import MOST_BYTES, Shooter, Standing, canvas, shrink
from plugins.videotron.protocol import Shot, SigningKey, decode_signed, key_id

RED, BLUE, GRAY = (255, 0, 0), (0, 0, 255), (90, 90, 90)


def save(picture: Image.Image, folder: Path) -> Path:
    picture.save(folder / "shot.jpg", "PNG")
    return folder / "shot.jpg"


def test_a_large_noisy_picture_becomes_small(tmp_path):
    noise = Image.effect_noise((1920, 1080), 200).convert("RGB")

    small = shrink(save(noise, tmp_path), ScreenSettings(width=1920, height=1080))

    assert (small.width, small.height) == (480, 270)
    assert len(small.jpeg) <= MOST_BYTES
    assert Image.open(io.BytesIO(small.jpeg)).size == (480, 270)
    assert not (tmp_path / "shot.jpg").exists()


def test_a_small_screen_is_not_blown_up(tmp_path):
    small = shrink(save(Image.new("RGB", (64, 32)), tmp_path), ScreenSettings(width=64, height=32))

    assert (small.width, small.height) == (64, 32)


def test_what_is_no_picture_is_an_error_and_goes(tmp_path):
    (tmp_path / "shot.jpg").write_bytes(b"GIF89a no")

    with pytest.raises(OSError, match="identify"):
        shrink(tmp_path / "shot.jpg", ScreenSettings(width=64, height=32))


def test_of_the_whole_output_only_the_screens_part_is_sent():
    output = Image.new("RGB", (300, 200), GRAY)
    output.paste(RED, (50, 60, 114, 92))

    part = canvas(output, ScreenSettings(width=64, height=32, x=50, y=60))

    assert part.size == (64, 32)
    assert part.getcolors() == [(64 * 32, RED)]


def test_the_strips_of_a_folded_screen_are_put_back_in_a_row():
    strips = (StripSettings(width=64, height=32), StripSettings(x=64, width=64, height=32, to_y=32))
    output = Image.new("RGB", (64, 64), RED)
    output.paste(BLUE, (0, 32, 64, 64))

    whole = canvas(output, ScreenSettings(width=128, height=32, strips=strips))

    assert whole.size == (128, 32)
    assert (whole.getpixel((10, 10)), whole.getpixel((100, 10))) == (RED, BLUE)


class Player:
    """A player whose screen shows what a test says; its pictures are real files."""

    def __init__(self, folder: Path, every_min: float = 0) -> None:
        self.key = SigningKey.new()
        self.films = [Standing(shows="items", item="IP-1", cid="ab" * 16)]
        self.broken = False
        self.failed = asyncio.Event()
        self.sent: asyncio.Queue[Shot] = asyncio.Queue()
        self.clock = FakeClock()
        self.taken = 0
        self.shooter = Shooter(
            player="gate-1",
            boot="0" * 16,
            folder=folder,
            screen=ScreenSettings(width=64, height=32),
            every_min=every_min,
            take=self._take,
            standing=lambda: self.films[min(self.taken, len(self.films) - 1)],
            publish=self._publish,
            identity=self.key,
            clock=self.clock,
            log=structlog.get_logger(),
        )

    async def _take(self, path: Path) -> float:
        self.taken += 1
        if self.broken:
            self.broken = False
            self.failed.set()
            raise MpvGone("mpv is being restarted")
        Image.new("RGB", (64, 32), RED).save(path, "JPEG")
        return 1.25

    async def _publish(self, payload: bytes) -> bool:
        self.clock.advance(timedelta(minutes=1))
        self.sent.put_nowait(decode_signed(Shot, payload, {key_id(self.key.public): self.key.public}))
        return True


@pytest.fixture
async def player(tmp_path: Path) -> Any:
    made = Player(tmp_path)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(made.shooter.run())
        yield made
        running.cancel()


async def test_a_command_brings_a_signed_picture_with_its_number(player):
    player.shooter.ask(7)

    shot = await player.sent.get()

    assert (shot.command, shot.item, shot.position, shot.shows) == (7, "IP-1", 1.25, "items")
    assert Image.open(io.BytesIO(base64.b64decode(shot.jpeg))).size == (shot.width, shot.height) == (64, 32)


async def test_many_commands_at_once_bring_one_picture(player):
    for command in (3, 5, 4):
        player.shooter.ask(command)

    assert (await player.sent.get()).command == 5
    assert player.sent.empty()


async def test_a_picture_taken_while_the_film_changed_is_taken_again(player):
    player.films = [Standing(shows="items", item=name, cid="ab" * 16) for name in ("IP-1", "IP-2")]
    player.shooter.ask(1)

    assert (await player.sent.get()).item == "IP-2"
    assert player.taken == 2


async def test_a_screen_without_a_picture_sends_none_and_the_next_command_counts(player):
    player.broken = True
    player.shooter.ask(1)
    await player.failed.wait()

    player.shooter.ask(2)

    assert (await player.sent.get()).command == 2


async def test_pictures_come_by_themselves(tmp_path):
    player = Player(tmp_path, every_min=0.0001)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(player.shooter.run())
        first, second = await player.sent.get(), await player.sent.get()
        running.cancel()

    assert first.command == second.command == 0
    assert first.at < second.at
