"""Clumsy and hostile surroundings of the running chain: it says what is wrong, goes on, and believes nobody."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hub.api import Played
from hub.demo.stage import program
from hub.media.samples import make_poster
from plugins.videotron.local_trust import enrol_here
from tests.system.chain import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PLUGINS = {
    "patah": "raise RuntimeError('patah sejak impor')\n",
    "diam": """
        @hookimpl
        async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
            await asyncio.Event().wait()

        @hookimpl
        async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
            await asyncio.Event().wait()

        @hookimpl
        async def hub_health(self) -> Health:
            await asyncio.Event().wait()
        """,
    "ngawur": """
        @hookimpl
        async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
            return [42]

        @hookimpl
        async def hub_health(self) -> Health:
            return "sehat"
        """,
    "bingung": """
        @hookimpl
        async def hub_check_item(self, draft: Draft) -> Sequence[str]:
            raise ValueError("bingung")
        """,
    "macet": """
        done = False

        @hookimpl
        async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
            if not self.done:
                type(self).done = True
                time.sleep(4.5)
        """,
    "layanan": """
        @hookimpl
        def hub_services(self) -> Sequence[Service]:
            return [Service(name="jatuh", run=self._fall)]

        async def _fall(self) -> None:
            raise SystemExit(3)
        """,
}
HEAD = """\
import asyncio, time
from collections.abc import Sequence
from hub.api import *
from hub.api import hookimpl, Item, Delivery, Draft, Service, Health, JournalEntry, PluginSettings

class Plugin:
    Settings = type("Settings", (PluginSettings,), {"__module__": "elsewhere"})

    def __init__(self, context):
        pass
"""


async def test_the_hub_says_what_is_wrong_around_it_and_goes_on_by_itself(chain: Chain, tmp_path: Path) -> None:
    await _a_second_hub_is_turned_away(chain)
    await _a_missing_broker_is_named_and_waited_for(chain)
    await _a_player_that_lies_changes_nothing(chain, tmp_path)
    await _lost_renditions_are_made_again(chain)
    await _a_full_disk_pauses_intake(chain, tmp_path)
    await _broken_plugins_harm_nobody_and_are_named(chain, tmp_path)


def test_every_mistake_in_the_settings_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('[hub]\nlanguage = "fr"\nrooot = "/x"\n\n[intake]\nat_once = 99\n')
    (tmp_path / "broken.toml").write_text("[hub\n")

    bad, broken = (_run(tmp_path / name) for name in ("bad.toml", "broken.toml"))

    assert (bad.returncode, broken.returncode) == (2, 2)
    assert all(part in bad.stderr for part in ("2: hub.language", "3: hub.rooot", "6: intake.at_once")), bad.stderr
    assert "not valid TOML" in broken.stderr
    assert "Traceback" not in bad.stderr + broken.stderr


def _run(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("siarhub"), "run", "--config", str(config)], capture_output=True, text=True, timeout=30, check=False
    )


async def _a_second_hub_is_turned_away(chain: Chain) -> None:
    second = await asyncio.to_thread(_run, chain.stage.config)

    assert second.returncode == 1
    assert "another hub runs" in second.stderr
    assert "Traceback" not in second.stderr
    assert not chain.stage.hub.ended


async def _a_player_that_lies_changes_nothing(chain: Chain, folder: Path) -> None:
    chain.drop(make_poster(folder / "poster.png", (120, 80)))
    await chain.until("played on both", lambda: len({one.destination for one in chain.facts(Played)}) == 2)
    for child in chain.stage.children[1:]:
        await child.stop()
    number = chain.items()[0]["number"]
    before = [one for one in chain.facts(Played) if one.destination == "gerbang"]

    await _speak_as_lobi(chain, number)

    await chain.until("the rubbish is told of", lambda: "message_was_refused" in chain.stage.hub.log.read_text())
    assert [one for one in chain.facts(Played) if one.destination == "gerbang"] == before
    assert not [one for one in chain.facts(Played) if one.seconds > 1000]
    assert chain.items()[0]["state"] == "active"
    for child in chain.stage.children[1:]:
        await child.start()


async def _speak_as_lobi(chain: Chain, number: str) -> None:
    broker = chain.stage.broker
    name = broker.namespace
    async with aiomqtt.Client(
        broker.host, broker.port, username="lobi", password=broker.passwords["lobi"], identifier="gerbang",
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as player:  # fmt: skip
        for topic in (f"{name}/s/gerbang/proof", f"{name}/s/gerbang/state", f"{name}/p/gerbang/want", f"{name}/hub"):
            await player.publish(topic, _proof("gerbang", number), qos=1)
        for payload in (b"", b"\xff" * 1000, b"[" * 100_000, b"{}", b"9" * 10_000, _proof("gerbang", number)):
            await player.publish(f"{name}/s/lobi/proof", payload, qos=1)
            await player.publish(f"{name}/s/lobi/state", payload, qos=1)
            await player.publish(f"{name}/r/{'0' * 32}/lobi", payload, qos=1)
        await player.publish(f"{name}/s/lobi/proof", _proof("lobi", number), qos=1)


def _proof(player: str, number: str) -> bytes:
    entry = {
        "seq": 1, "item": number, "cid": "0" * 32, "seconds": 9999.0, "complete": True,
        "started_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    payload = json.dumps({"player": player, "boot": "0" * 16, "entries": [entry]})
    return json.dumps({"v": 1, "type": "siarhub.proof.v1", "payload": payload, "signatures": []}).encode()


async def _a_missing_broker_is_named_and_waited_for(chain: Chain) -> None:
    await chain.stage.broker.stop()

    await chain.until("said", lambda: _health(chain, "videotron") != "ok")
    answer = await asyncio.to_thread(chain.siarhub, "check")
    assert answer.returncode == 1
    assert "plugin videotron" in answer.stdout, answer.stdout
    assert not chain.stage.hub.ended
    await chain.stage.broker.start()
    await chain.until("connected again", lambda: _health(chain, "videotron") == "ok")


async def _lost_renditions_are_made_again(chain: Chain) -> None:
    """As after the restore of a backup that left out what can be made again, with new machines at the screens."""
    for child in (*chain.stage.children[1:], chain.stage.hub):
        await child.stop()
    players = {folder.name.removeprefix("player-"): folder for folder in chain.stage.folder.glob("player-*/")}
    for folder in (*players.values(), chain.stage.state_dir / "renditions"):
        await asyncio.to_thread(shutil.rmtree, folder)
    await asyncio.to_thread(enrol_here, chain.stage.state_dir / "plugins" / "videotron", players)
    before = len(chain.facts(Played))

    await _start(chain)
    for child in chain.stage.children[1:]:
        await child.start()

    await chain.until("played on both", lambda: len({one.destination for one in chain.facts(Played)[before:]}) == 2)


async def _a_full_disk_pauses_intake(chain: Chain, folder: Path) -> None:
    free = shutil.disk_usage(chain.stage.root).free
    if free < 6 << 30:
        return
    await _restart_with(chain, "min_free_bytes = 104857600", f"min_free_bytes = {free - (2 << 30)}")
    filler = chain.stage.folder / "filler"
    await asyncio.to_thread(_fill, filler, 4 << 30)
    dropped = chain.drop(make_poster(folder / "penuh.png", (130, 80)))
    have = len(chain.items())

    await chain.until("paused", lambda: "nearly full" in _said(chain) or "penuh" in _said(chain))
    assert dropped.exists()
    assert len(chain.items()) == have
    filler.unlink()
    await chain.until("taken", lambda: len(chain.items()) == have + 1)
    await _restart_with(chain, f"min_free_bytes = {free - (2 << 30)}", "min_free_bytes = 104857600")


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


async def _restart_with(chain: Chain, old: str, new: str) -> None:
    text = chain.stage.config.read_text()
    assert old in text
    chain.stage.config.write_text(text.replace(old, new))
    await _restart(chain)


async def _restart(chain: Chain) -> None:
    assert await chain.stage.hub.stop() == 0
    await _start(chain)


async def _start(chain: Chain) -> None:
    """A signal that comes before Python has set itself up ends it as any program."""
    before = _starts(chain)
    await chain.stage.hub.start()
    await chain.until("started", lambda: _starts(chain) > before)


def _starts(chain: Chain) -> int:
    return chain.stage.hub.log.read_text(errors="replace").count('"hub_started"')


async def _broken_plugins_harm_nobody_and_are_named(chain: Chain, folder: Path) -> None:
    for name, body in PLUGINS.items():
        code = body if name == "patah" else HEAD + textwrap.indent(textwrap.dedent(body), "    ")
        (chain.stage.folder / "plugins" / f"{name}.py").write_text(code)
    await _restart(chain)
    have = len(chain.items())

    chain.drop(make_poster(folder / "baru.png", (140, 80)))

    await chain.until("accepted", lambda: len(chain.items()) == have + 1)
    number = chain.items()[-1]["number"]
    played = await chain.until("played", lambda: [one for one in chain.facts(Played) if one.item == number])
    assert played
    for name in PLUGINS:
        await chain.until(f"{name} is named", lambda name=name: name in _not_well(chain))
    said = await asyncio.to_thread(chain.siarhub, "check")
    assert all(name in said.stdout for name in PLUGINS), said.stdout
    assert not chain.stage.hub.ended


def _not_well(chain: Chain) -> str:
    """What `siarhub plugins` and `siarhub status` complain of."""
    rows = json.loads(chain.siarhub("plugins", "--json").stdout)
    told = [row for row in rows if row["state"] != "running" or (row["health"] or {}).get("state") != "ok"]
    parts = [part for part in _status(chain).get("parts", ()) if part["state"] != "ok"]
    return json.dumps([told, parts])


def _status(chain: Chain) -> dict[str, Any]:
    return dict(json.loads(chain.siarhub("status", "--json").stdout))


def _said(chain: Chain) -> str:
    return json.dumps(_status(chain))


def _health(chain: Chain, name: str) -> str:
    return next((str(part["state"]) for part in _status(chain).get("parts", ()) if part["name"] == name), "")
