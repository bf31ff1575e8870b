"""Screens that are added, changed, or moved to another group: each shows today's items today."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.system.chain import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


def loop_of(chain: Chain, screen: str) -> set[str]:
    """The titles that a screen's manifest has now."""
    said = chain.siarhub("videotron", "preview", screen, "--json")
    return {entry["title"] for entry in json.loads(said.stdout)["loop"]} if said.returncode == 0 else set()


def drop(chain: Chain, title: str, layar: str) -> None:
    picture = chain.inbox / f".{title}.png"
    Image.new("RGB", (64, 32), "teal" if layar else "navy").save(picture)
    (chain.inbox / f"{title}.txt").write_text(f"Judul: {title}\n" + (f"Layar: {layar}\n" if layar else ""))
    picture.rename(chain.inbox / f"{title}.png")


async def test_a_screen_added_changed_or_moved_today_shows_todays_items_today(chain: Chain) -> None:
    config = chain.stage.config
    given = config.read_text()
    with_group = given.replace(
        "[plugins.videotron.screens.gerbang]", '[plugins.videotron.screens.gerbang]\ngroups = ["taman"]'
    )
    config.write_text(with_group)
    await chain.stage.restart_hub()
    drop(chain, "Semua", "")
    drop(chain, "Taman", "taman")
    await chain.until("both run", lambda: loop_of(chain, "gerbang") == {"Semua", "Taman"})
    assert loop_of(chain, "lobi") == {"Semua"}
    await chain.until("lobi has played", lambda: "played" in str(chain.items()[0]["deliveries"]))

    moved = given.replace("[plugins.videotron.screens.lobi]", '[plugins.videotron.screens.lobi]\ngroups = ["taman"]')
    changed = moved.replace("width = 480\nheight = 640", "width = 320\nheight = 240")
    assert changed != moved
    config.write_text(changed + '[plugins.videotron.screens.halaman]\nwidth = 96\nheight = 96\ngroups = ["taman"]\n')
    await chain.stage.restart_hub()

    await chain.until("moved in", lambda: loop_of(chain, "lobi") == {"Semua", "Taman"})
    await chain.until("moved out", lambda: loop_of(chain, "gerbang") == {"Semua"})
    await chain.until("added", lambda: loop_of(chain, "halaman") == {"Semua", "Taman"})
    assert chain.siarhub("status").returncode in (0, 1)
