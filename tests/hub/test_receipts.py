"""The text beside each accepted original stays true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.api import Item
from hub.intake.names import receipt_name
from hub.journal import LedgerRecords
from hub.ledger import items
from hub.messages import catalogue
from hub.receipts import ReceiptWriter
from tests.hub.world import WITA, Place, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens"))
    yield world
    world.close()


@pytest.fixture
def writer(world: World) -> ReceiptWriter:
    return ReceiptWriter(world.database, catalogue("id"), WITA, "id")


async def put(world: World, name: str) -> tuple[Item, Path]:
    """An accepted item whose original stands in Diterima; and its receipt."""
    item = await world.accept(name)
    target = world.folder / "Diterima" / name / name
    target.parent.mkdir(parents=True)
    target.write_text("isi")
    digests = frozenset(asset.sha256 for asset in item.assets)
    await world.database.write(items.put_away, name, digests, str(target))
    return item, target.with_name(receipt_name(name))


async def test_a_receipt_follows_the_item_to_its_end(world: World, writer: ReceiptWriter) -> None:
    item, receipt = await put(world, "a.mp4")
    await writer.bring_up_to_date([item.number])
    assert item.number in receipt.read_text()
    await world.workflow.withdraw(item.number, "salah tanggal", who="dini")

    await writer.observe(await LedgerRecords(world.database).entries())

    assert "salah tanggal" in receipt.read_text()
    assert receipt.stat().st_mode & 0o777 == 0o664


async def test_a_receipt_that_says_the_same_is_not_written_again(world: World, writer: ReceiptWriter) -> None:
    item, receipt = await put(world, "a.mp4")
    await writer.bring_up_to_date([item.number])
    before = receipt.stat().st_ino

    await writer.bring_up_to_date([item.number, item.number])

    assert receipt.stat().st_ino == before


async def test_where_the_original_was_moved_away_there_is_no_receipt(world: World, writer: ReceiptWriter) -> None:
    item, receipt = await put(world, "a.mp4")
    receipt.with_name("a.mp4").unlink()

    await writer.bring_up_to_date([item.number])

    assert not receipt.exists()


async def test_one_receipt_that_cannot_be_written_does_not_keep_the_others_old(
    world: World, writer: ReceiptWriter
) -> None:
    (first, blocked), (second, receipt) = await put(world, "a.mp4"), await put(world, "b.mp4")
    blocked.mkdir()
    (blocked / "x").touch()

    await writer.bring_up_to_date([first.number, second.number])

    assert second.number in receipt.read_text()


async def test_a_link_in_the_place_of_a_receipt_is_replaced_not_followed(
    world: World, writer: ReceiptWriter, tmp_path: Path
) -> None:
    item, receipt = await put(world, "a.mp4")
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xff\xfe")
    receipt.symlink_to(secret)

    await writer.bring_up_to_date([item.number])

    assert not receipt.is_symlink()
    assert secret.read_bytes() == b"\xff\xfe"


async def test_a_receipt_that_somebody_garbled_is_put_right(world: World, writer: ReceiptWriter) -> None:
    item, receipt = await put(world, "a.mp4")
    receipt.write_bytes(b"\xff\xfe rubbish")

    await writer.bring_up_to_date([item.number])

    assert item.number in receipt.read_text()


async def test_an_unknown_item_has_no_receipt(writer: ReceiptWriter) -> None:
    await writer.bring_up_to_date([items.ItemNumber("IP-2020-01-0001")])
