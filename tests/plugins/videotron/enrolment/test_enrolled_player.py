"""`siarhub-player` itself, from the first start with one line of settings to its own session at the broker."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from PIL import Image

from plugins.videotron.commands.enrol import enrol, revoke
from plugins.videotron.player.enrol_screen import code_picture
from plugins.videotron.player.settings import BadConfig, NotEnrolled, load
from plugins.videotron.protocol import PlayerState, decode

pytestmark = pytest.mark.timeout(90)


async def state_of(site: Any, player: str) -> PlayerState:
    """The player's own word, as the hub hears it."""
    async with aiomqtt.Client(
        "127.0.0.1",
        site.broker.port,
        identifier="siarhub",
        username="siarhub",
        password=site.broker.hub_password,
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as hub:
        await hub.subscribe(f"led/v1/s/{player}/state", qos=1)
        async with asyncio.timeout(30):
            async for message in hub.messages:
                state = decode(PlayerState, bytes(message.payload))
                if state.online:
                    return state
    raise AssertionError


async def test_from_an_empty_machine_to_the_screens_player_without_a_restart(site, machine):
    machine.start()
    said = await machine.status(lambda told: told.get("code"))

    result = await site.say(enrol, "gate-1", said["code"])

    assert result.exit_code == 0, result.output
    state = await state_of(site, "gate-1")
    assert state.player == "gate-1"
    assert site.office.record.key_of("gate-1") == base64.b64decode(said["key"])
    settings = load(machine.config)
    assert (settings.player, settings.screen.width, settings.screen.height) == ("gate-1", 64, 32)
    assert machine.end() == 0

    machine.start()  # and after a restart, from what it stored
    assert (await state_of(site, "gate-1")).player == "gate-1"
    assert json.loads(machine.ask("identity").stdout)["player"] == "gate-1"


async def test_a_player_without_a_credential_has_no_password_that_anybody_could_know(site, machine):
    machine.start()
    said = await machine.status(lambda told: told.get("trouble"))

    assert said["enrolled"] is False
    assert "Not authorized" in said["trouble"]
    with pytest.raises(NotEnrolled):
        load(machine.config)


async def test_a_revoked_machine_forgets_and_is_enrolled_anew(site, machine):
    machine.start()
    first = await machine.status(lambda told: told.get("code"))
    assert (await site.say(enrol, "gate-1", first["code"])).exit_code == 0
    await state_of(site, "gate-1")
    assert "stop it" in machine.ask("forget", "--yes").stderr
    assert (await site.say(revoke, "gate-1", "--why", "pindah")).exit_code == 0
    machine.end()

    assert (machine.folder / "state" / "keychain.json").exists()
    for name in ("trust.json", "trust.old.json", "manifest.json", "manifest.old.json", "override.copy.json"):
        (machine.folder / "state" / name).write_text("of the old hub")
    assert machine.ask("forget", "--yes").returncode == 0
    assert not list((machine.folder / "state").glob("*.json"))
    assert not (machine.folder / "state" / "identity.key").exists()
    machine.start()
    second = await machine.status(lambda told: told.get("code"))
    result = await site.say(enrol, "gate-2", second["code"])

    assert result.exit_code == 0, result.output
    assert second["key"] != first["key"]
    assert (await state_of(site, "gate-2")).player == "gate-2"


async def test_an_enrolment_that_a_person_carried(site, machine, tmp_path):
    key = json.loads(machine.ask("identity").stdout)["key"]
    out, foreign = tmp_path / "a.enrolment", tmp_path / "b.enrolment"
    assert (await site.say(enrol, "gate-1", "--key", key, "--out", str(out))).exit_code == 0
    other = base64.b64encode(bytes(32)).decode()
    assert (await site.say(enrol, "gate-2", "--key", other, "--out", str(foreign))).exit_code == 0

    refused = machine.ask("install-enrolment", str(foreign))
    taken = machine.ask("install-enrolment", str(out))
    again = machine.ask("install-enrolment", str(out))

    assert (refused.returncode, taken.returncode, again.returncode) == (1, 0, 1)
    assert "another machine" in refused.stderr
    assert "enrolled already" in again.stderr
    machine.start()
    assert (await state_of(site, "gate-1")).player == "gate-1"


@pytest.mark.parametrize(
    "junk", ["", "{}", "no json", '{"v":1,"type":"siarhub.enrolment.v1","payload":"{}","signatures":[]}']
)
def test_what_is_no_enrolment_is_not_taken_in(machine, tmp_path, junk):
    (tmp_path / "junk").write_text(junk)

    assert machine.ask("install-enrolment", str(tmp_path / "junk")).returncode == 1
    with pytest.raises(NotEnrolled):
        load(machine.config)


async def test_what_player_toml_says_itself_stands(site, machine, tmp_path):
    machine.more = '[screen]\nwidth = 128\nheight = 64\nx = 10\n[mpv]\nvo = "null"\n'
    key, out = json.loads(machine.ask("identity").stdout)["key"], tmp_path / "a.enrolment"
    assert (await site.say(enrol, "gate-1", "--key", key, "--out", str(out))).exit_code == 0
    assert machine.ask("install-enrolment", str(out)).returncode == 0

    settings = load(machine.config)

    assert (settings.screen.width, settings.screen.height, settings.screen.x) == (128, 64, 10)
    assert (settings.player, settings.broker.port) == ("gate-1", machine.port)


def test_a_player_of_a_file_that_names_it_is_never_anothers(machine):
    """Set up by hand: no enrolment is looked for."""
    machine.config.write_text(
        'player = "hall-1"\n' + machine.config.read_text() + "[screen]\nwidth = 64\nheight = 32\n"
    )
    (machine.folder / "state").mkdir()
    (machine.folder / "state" / "enrolment.json").write_text("spoiled")

    assert load(machine.config).player == "hall-1"
    assert (machine.folder / "state" / "enrolment.json").read_text() == "spoiled"


@pytest.mark.parametrize(
    "wrong", ['broker = "x"\n', "[broker]\ntls = 1\n", '[screen]\nwidth = "x"\nheight = 1\n', "[mpv]\nvo = 1\n"]
)
def test_mistakes_in_a_file_without_a_player_are_told(machine, wrong):
    machine.config.write_text('state_dir = "state"\n' + wrong)

    with pytest.raises(BadConfig):
        load(machine.config)


async def test_kill_9_at_any_moment_of_the_enrolment_completes_or_begins_anew(site, machine):
    """Again and again, a little later each time: at the end it is enrolled, by whichever code was last."""
    for tenths in (3,):
        machine.start()
        said = await machine.status(lambda told: told)
        if "code" not in said:
            break
        async with asyncio.TaskGroup() as group:
            group.create_task(site.say(enrol, "gate-1", said["code"], "--within", "3"))
            await asyncio.sleep(tenths / 10)  # the moment of the kill
            machine.end(signal.SIGKILL)
    else:
        machine.start()
        said = await machine.status(lambda told: told)
        if "code" in said:
            assert (await site.say(enrol, "gate-1", said["code"])).exit_code == 0

    state = await state_of(site, "gate-1")
    key = json.loads(machine.ask("identity").stdout)["key"]
    assert site.office.record.key_of("gate-1") == base64.b64decode(key)
    assert state.player == "gate-1"


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed: apt-get install xvfb")
@pytest.mark.parametrize("size", ["640x180", "336x504"])
async def test_the_screen_shows_the_code_in_white_on_black(machine, tmp_path, size):
    read, write = os.pipe()
    xvfb = subprocess.Popen(  # noqa: ASYNC220 - it is there at once, or the pipe says nothing
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    try:
        display = f":{(await asyncio.to_thread(os.read, read, 16)).decode().strip()}"
        machine.more = '[mpv]\nvo = "x11"\n'
        machine.start(DISPLAY=display)
        await machine.status(lambda told: told.get("code"))

        async with asyncio.timeout(30):
            while (lit := await asyncio.to_thread(white_part, display, size, tmp_path)) < 0.03:  # noqa: ASYNC110
                await asyncio.sleep(0.3)
        assert lit < 0.5
    finally:
        machine.end()
        os.close(read)
        os.close(write)
        xvfb.terminate()
        xvfb.wait(timeout=10)


def white_part(display: str, size: str, folder: Path) -> float:
    shot = folder / "shot.png"
    grab = ["ffmpeg", "-v", "error", "-y", "-f", "x11grab", "-video_size", size, "-i", display, "-frames:v", "1"]
    subprocess.run([*grab, str(shot)], check=True, timeout=20)
    with Image.open(shot) as picture:
        grey = picture.convert("L")
        return sum(grey.histogram()[200:]) / (grey.width * grey.height)


@pytest.mark.parametrize(
    ("width", "height", "lines"), [(1920, 120, 1), (1920, 540, 2), (1920, 1080, 2), (336, 504, 4), (64, 32, 2)]
)
def test_the_code_is_broken_so_that_it_is_as_large_as_it_can_be(width, height, lines):
    text = code_picture("ABCD-EFGH-JKMN-PQRS", 30, (0, 0, width, height))

    assert text.count(r"\N") == lines
    assert text.endswith("30 min")
    size = int(text.split(r"\fs")[1].split("}")[0])
    longest = {1: 19, 2: 9, 4: 4}[lines]
    assert size * 0.6 * longest <= width
    assert size * lines <= height
