"""An emergency as the person on duty gives it: real commands, hub, broker, ffmpeg and players."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.api import OrderGiven
from hub.demo.stage import stage
from tests.system.chain import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

EVERY = ("gerbang", "lobi")


async def order(chain: Chain, *arguments: str) -> tuple[dict[str, Any], float]:
    """`siarhub videotron ... --yes --json`, and how long it took."""
    began = time.monotonic()
    ran = await asyncio.to_thread(chain.siarhub, "videotron", *arguments, "--yes", "--json")
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout), time.monotonic() - began


def shows(chain: Chain) -> dict[str, str]:
    """What each player says that it shows."""
    ran = chain.siarhub("videotron", "players", "--json")
    return {row["player"]: row["shows"] for row in json.loads(ran.stdout)}


def clip(folder: Path, name: str, source: str) -> Path:
    path = folder / name
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"{source}=s=320x240:r=25:d=2", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(path)], check=True)
    return path


async def with_template(chain: Chain, folder: Path) -> str:
    """A flood template, approved and waiting on both screens; returns its number."""
    source = await asyncio.to_thread(clip, folder, "banjir.mp4", "testsrc")
    (chain.inbox / "banjir.txt").write_text("Judul: Peringatan banjir\nTemplat: banjir\nSaluran: videotron\n")
    chain.drop(source)
    [item] = await chain.until("the template is accepted", chain.items)
    await chain.until(
        "both screens hold it",
        lambda: (
            [one["state"] for one in chain.items()[0]["deliveries"] if one["plugin"] == "videotron"]
            == ["delivered"] * 2
        ),
    )
    return str(item["number"])


async def test_a_template_through_the_commands_and_over_kills(chain: Chain, short_folder: Path) -> None:
    number = await with_template(chain, short_folder)

    answer, took = await order(chain, "emergency", "banjir", "--screens", "all", "--why", "banjir di Banjarbaru")
    assert answer["done"], answer
    assert {row["screen"]: row["state"] for row in answer["screens"]} == dict.fromkeys(EVERY, "in force"), answer
    assert took < 6  # the command itself begins in about a second

    for child in chain.stage.children:  # the hub, and both players
        await child.kill()
        await child.start()
    await chain.until("still in the emergency", lambda: shows(chain) == dict.fromkeys(EVERY, "emergency"))

    answer, _ = await order(chain, "clear", "--screens", "all")
    assert {row["state"] for row in answer["screens"]} == {"in force"}, answer
    await chain.until("the fallback again", lambda: shows(chain) == dict.fromkeys(EVERY, "fallback"))
    given = [(one.name, one.who.split(" ")[0], one.done) for one in chain.facts(OrderGiven)]
    assert given == [("videotron.emergency", "root", True), ("videotron.clear", "root", True)]
    assert number in str(chain.items())


async def test_a_hub_that_is_killed_while_it_is_told_carries_the_order_out_when_it_is_back(
    chain: Chain, short_folder: Path
) -> None:
    await with_template(chain, short_folder)

    await give_and_kill(chain, "emergency", "banjir", "--screens", "all", "--why", "banjir")
    await chain.until("the emergency", lambda: shows(chain) == dict.fromkeys(EVERY, "emergency"))

    await give_and_kill(chain, "clear", "--screens", "all")
    await chain.until("the fallback again", lambda: shows(chain) == dict.fromkeys(EVERY, "fallback"))


async def give_and_kill(chain: Chain, *arguments: str) -> None:
    """Give an order, and kill the hub as soon as it is written."""
    async with asyncio.TaskGroup() as group:
        given = group.create_task(order(chain, *arguments))
        await chain.until("the order is written", lambda: orders_in(chain, f"videotron.{arguments[0]}"))
        await chain.stage.hub.kill()
        await chain.stage.hub.start()
    answer, _ = given.result()
    assert answer["done"], answer


def orders_in(chain: Chain, name: str) -> list[int]:
    """The rows of such orders in the ledger, looked at without any delay."""
    db = sqlite3.connect(chain.stage.state_dir / "ledger.db", timeout=5)
    try:
        return [row[0] for row in db.execute("SELECT id FROM person_order WHERE name = ?", (name,))]
    finally:
        db.close()


@pytest.fixture
async def strict(short_folder: Path) -> AsyncIterator[Chain]:
    """The chain with the shipped approval policy: the sidecar names number, date and approver."""
    async with stage(short_folder / "s", approval="record") as ready:
        yield Chain(ready)


async def test_a_file_is_on_the_screens_without_any_further_step(strict: Chain, short_folder: Path) -> None:
    chain = strict
    source = await asyncio.to_thread(clip, short_folder, "evakuasi.mp4", "testsrc2")

    answer, took = await order(
        chain, "emergency", str(source), "--screens", "gerbang,lobi", "--until", "1h", "--why", "evakuasi"
    )

    assert answer["done"], answer
    assert {row["screen"]: row["state"] for row in answer["screens"]} == dict.fromkeys(EVERY, "in force")
    await chain.until("written down", lambda: shows(chain) == dict.fromkeys(EVERY, "emergency"))
    assert took < 60
    [item] = chain.items()
    record = json.loads(chain.siarhub("show", item["number"], "--json").stdout)["record"]
    assert record["approval"]["number"] == answer["message"]
    assert record["classification"] == "serta-merta"


async def test_a_file_that_cannot_be_shown_is_told_with_its_reason(chain: Chain, short_folder: Path) -> None:
    broken = short_folder / "rusak.mp4"
    broken.write_bytes(b"no film at all" * 1000)

    answer, _ = await order(chain, "emergency", str(broken), "--screens", "gerbang", "--why", "evakuasi")

    assert not answer["done"]
    assert answer["screens"][0]["state"] == "failed"
    assert answer["screens"][0]["reason"]


async def test_nothing_happens_by_a_slip_of_the_finger(chain: Chain) -> None:
    asked = await asyncio.to_thread(chain.siarhub, "videotron", "blackout", "--screens", "all", "--why", "uji")
    unknown = await asyncio.to_thread(
        chain.siarhub, "videotron", "blackout", "--screens", "gerbong", "--why", "uji", "--yes"
    )

    assert asked.returncode == 1  # nobody answered the question
    assert "BLACKOUT on 2 screens (gerbang, lobi)" in asked.stderr
    assert unknown.returncode == 1
    assert "Did you mean gerbang" in unknown.stderr
    assert chain.facts(OrderGiven) == []
