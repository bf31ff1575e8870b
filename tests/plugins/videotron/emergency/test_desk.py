"""Which item an order of an emergency means."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import CurrentDelivery, DeliveryState
from hub.testing import NOON, make_current, make_item, make_rendition
from plugins.videotron.emergency.asked import Asked
from plugins.videotron.emergency.desk import _item_for
from plugins.videotron.manifests import plan
from plugins.videotron.protocol import Mode
from plugins.videotron.settings import ScreenSettings

FLOOD = Asked(mode=Mode.EMERGENCY, screens=("gate-1",), until=None, template="banjir")


def template(folder: Path, number: int, state: DeliveryState) -> CurrentDelivery:
    """Each accepted an hour after the one with the number before it."""
    path = folder / f"{number}.mp4"
    path.write_bytes(b"film")
    at = NOON + timedelta(hours=number)
    item = make_item(f"IP-2026-11-000{number}", screens=("gate-1",), template="banjir", accepted_at=at)
    [delivery] = plan(item, {"gate-1": ScreenSettings(width=64, height=32)})
    rendition = make_rendition(path, item.assets[0], delivery.wants[0].profile)
    return make_current(delivery, item, rendition, state=state)


@pytest.mark.parametrize("state", [DeliveryState.TRANSCODING, DeliveryState.FAILED])
def test_a_newer_template_that_is_not_made_does_not_keep_the_one_that_stands_ready_off_the_screen(
    tmp_path: Path, state: DeliveryState
) -> None:
    ready, newer = template(tmp_path, 1, DeliveryState.DELIVERED), template(tmp_path, 2, state)

    assert _item_for("gate-1", FLOOD, [ready, newer]) == ready.item.number
    assert _item_for("gate-1", FLOOD, [newer]) == newer.item.number


def test_of_two_that_stand_ready_the_one_accepted_last_is_shown(tmp_path: Path) -> None:
    old, new = template(tmp_path, 1, DeliveryState.DELIVERED), template(tmp_path, 2, DeliveryState.READY)

    assert _item_for("gate-1", FLOOD, [new, old]) == new.item.number
