"""What the sender is offered: each film once, with who lacks it, and how much it matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.api import CurrentDelivery, Delivery, Priority, Sha256, VideoProfile, Want
from hub.testing import make_asset, make_current, make_item, make_rendition
from plugins.videotron.transfer.contents import Content, cut
from plugins.videotron.transfer.offers import offers

PROFILE = VideoProfile(width=64, height=32)


def nobody_holds(player: str, cids: Any) -> bool:
    return False


@pytest.fixture
def current(tmp_path: Path) -> CurrentDelivery:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    asset = make_asset(path)
    item = make_item("IP-2026-11-0001", assets=(asset,))
    delivery = Delivery(
        key="IP-2026-11-0001/gate-1", item=item.number, destination="gate-1",
        wants=(Want(asset=asset.sha256, profile=PROFILE),),
    )  # fmt: skip
    return make_current(delivery, item, make_rendition(path, asset, PROFILE))


@pytest.fixture
def contents(current: CurrentDelivery) -> dict[Sha256, Content]:
    [rendition] = current.renditions
    return {rendition.sha256: cut(rendition.path, rendition.sha256, 1024, "site")}


def test_a_film_of_two_items_for_two_screens_is_offered_once(
    current: CurrentDelivery, contents: dict[Sha256, Content]
) -> None:
    other = replace(
        current,
        item=make_item("IP-2026-11-0002", assets=current.item.assets),
        delivery=replace(current.delivery, destination="gate-2"),
    )

    [offer] = offers([current, other], contents, holds=nobody_holds)

    assert offer.players == {"gate-1", "gate-2"}
    assert offer.items == ("IP-2026-11-0001", "IP-2026-11-0002")
    assert not offer.urgent


def test_nobody_waits_for_a_player_that_holds_the_film(
    current: CurrentDelivery, contents: dict[Sha256, Content]
) -> None:
    [offer] = offers([current], contents, holds=lambda player, cids: player == "gate-1")

    assert offer.players == frozenset()


def test_urgent_items_templates_and_an_emergencys_own_films_go_first(
    current: CurrentDelivery, contents: dict[Sha256, Content]
) -> None:
    urgent = replace(current, item=replace(current.item, priority=Priority.URGENT))
    template = replace(current, item=replace(current.item, template="banjir"))

    assert [one.urgent for one in offers([urgent], contents, holds=nobody_holds)] == [True]
    assert [one.urgent for one in offers([template], contents, holds=nobody_holds)] == [True]
    assert [one.urgent for one in offers([current], contents, holds=nobody_holds, kept=[current.item.number])] == [True]
