from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.api import (
    Aired,
    AiringState,
    Channel,
    Delivered,
    Filed,
    HealthState,
    ItemChanged,
    ItemNumber,
    ItemState,
    Order,
    Outcome,
    Pending,
    Receipt,
    RetryLater,
)
from hub.plugin_host.host import PluginHost
from hub.testing import NOON

NUMBER = ItemNumber("IP-2026-11-0001")
ARCHIVE_ONLY = frozenset({Channel.ARCHIVE})


def rows(folder: Path) -> list[dict[str, str]]:
    (path,) = (folder / "berjalan").glob("*.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def event_numbers(folder: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in (folder / "berjalan" / "peristiwa.jsonl").read_text().splitlines()]


def aired(state: AiringState = AiringState.AIRED, airing: str = "a1", at: datetime = NOON) -> Aired:
    return Aired(
        delivery=f"{NUMBER}/radio", item=NUMBER, airing=airing, destination="radio", state=state, at=at, seconds=30.0
    )


async def deliver(archive: Any, item: Any) -> Receipt | Pending:
    (delivery,) = await archive.plugin.hub_plan_deliveries(item=item)
    return await archive.plugin.hub_deliver(delivery=delivery, item=item, renditions=())


async def test_the_first_proven_play_files_the_item_once(archive, played, check_bag, month_folder) -> None:
    item = archive.add_item(names=("siaga.mp4", "siaga.wav"))
    assert isinstance(await deliver(archive, item), Pending)

    await archive.plugin.hub_facts(entries=archive.tell(played(), played()))

    check_bag(month_folder)
    (filed,) = archive.hub.facts(Filed)
    (delivered,) = archive.hub.facts(Delivered)
    assert (filed.month, filed.never_played) == ("2026-11", False)
    assert delivered.delivery == "IP-2026-11-0001/arsip"
    assert delivered.detail == filed.path
    folder = archive.root / filed.path
    assert sorted(path.name for path in folder.iterdir()) == ["rekam.json", "rekam.txt", "siaga.mp4", "siaga.wav"]
    assert (folder / "siaga.mp4").read_bytes() == item.assets[0].path.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert await deliver(archive, item) == Receipt(detail=filed.path)


async def test_an_aired_broadcast_files_the_item_but_a_handed_over_or_partial_one_does_not(archive) -> None:
    archive.add_item()

    await archive.plugin.hub_facts(
        entries=archive.tell(aired(AiringState.HANDED_OVER), aired(AiringState.PARTIAL, "a2"), plugin="radio")
    )
    assert archive.hub.facts(Filed) == []

    await archive.plugin.hub_facts(entries=archive.tell(aired(airing="a3"), plugin="radio"))
    assert len(archive.hub.facts(Filed)) == 1


async def test_an_item_for_the_archive_alone_is_filed_at_once_in_the_month_of_acceptance(archive, check_bag) -> None:
    item = archive.add_item(channels=ARCHIVE_ONLY, accepted_at=datetime(2026, 10, 31, 15, 59, tzinfo=UTC))

    receipt = await deliver(archive, item)

    assert isinstance(receipt, Receipt)
    assert receipt.detail.startswith("2026/2026-10 Oktober/data/Video/2026-10-31 IP-2026-11-0001")
    check_bag(archive.root / "2026/2026-10 Oktober")
    archive.restart()
    assert await deliver(archive, item) == receipt


async def test_the_month_is_that_of_the_peoples_clocks(archive, played, check_bag) -> None:
    archive.add_item()
    at = datetime(2026, 11, 30, 16, 30, tzinfo=UTC)  # 00.30 of 1 December in WITA

    await archive.plugin.hub_facts(entries=archive.tell(played(at=at), at=at))

    assert archive.hub.facts(Filed)[0].month == "2026-12"
    check_bag(archive.root / "2026" / "2026-12 Desember")


async def test_an_item_that_ended_unplayed_is_filed_in_the_month_of_its_last_day(
    archive, check_bag, month_folder
) -> None:
    archive.add_item(end=datetime(2026, 11, 30, 16, 0, tzinfo=UTC))  # the whole of 30 November
    now = datetime(2026, 11, 30, 16, 0, 5, tzinfo=UTC)

    await archive.plugin.hub_facts(
        entries=archive.tell(ItemChanged(item=NUMBER, state=ItemState.ENDED), plugin="hub", at=now)
    )

    (filed,) = archive.hub.facts(Filed)
    assert (filed.month, filed.never_played) == ("2026-11", True)
    check_bag(month_folder)
    record = json.loads((archive.root / filed.path / "rekam.json").read_text())
    assert record["diarsipkan"]["belum_tersiarkan"] is True
    assert rows(month_folder)[0]["Keterangan"] == "belum tersiarkan"


async def test_a_withdrawn_item_that_was_played_before_is_not_filed_again(archive, played, month_folder) -> None:
    archive.add_item()

    await archive.plugin.hub_facts(entries=archive.tell(played()))
    await archive.plugin.hub_facts(
        entries=archive.tell(ItemChanged(item=NUMBER, state=ItemState.WITHDRAWN), plugin="hub")
    )

    assert [fact.never_played for fact in archive.hub.facts(Filed)] == [False]


async def test_an_item_is_listed_in_every_month_in_which_it_plays(archive, played, month_folder) -> None:
    archive.add_item(title="=HYPERLINK(1)", summary="@x\n+y")
    december = datetime(2026, 12, 2, 4, 0, tzinfo=UTC)

    await archive.plugin.hub_facts(entries=archive.tell(played(), played(complete=False), played(screen="pasar")))
    await archive.plugin.hub_facts(entries=archive.tell(played(at=december), at=december))

    (november_row,) = rows(month_folder)
    (december_row,) = rows(archive.root / "2026" / "2026-12 Desember")
    assert (november_row["Jumlah tayang videotron"], november_row["Detik tayang videotron"]) == ("2", "18")
    assert "gerbang: 1 kali + 1 kali tidak penuh, 12 detik" in november_row["Rincian per tujuan"]
    assert december_row["Jumlah tayang videotron"] == "1"
    assert december_row["Lokasi arsip"].startswith("2026/2026-11 November/")
    assert november_row["Judul"] == "'=HYPERLINK(1)"
    assert november_row["Ringkasan isi informasi"] == "'@x +y"


async def test_facts_told_twice_change_nothing(archive, played, month_folder) -> None:
    archive.add_item()
    entries = archive.tell(played(), played())

    for _ in range(3):
        await archive.plugin.hub_facts(entries=entries)
    archive.restart()
    await archive.plugin.hub_facts(entries=entries)

    assert rows(month_folder)[0]["Jumlah tayang videotron"] == "2"
    assert event_numbers(month_folder) == [entry.seq for entry in archive.hub.recorded]
    assert len(archive.hub.facts(Filed)) == 1


async def test_a_lost_state_is_made_again_from_the_journal(archive, played, month_folder, check_bag) -> None:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played(), played()))
    files = {path: path.read_bytes() for path in archive.root.rglob("*") if path.is_file()}

    shutil.rmtree(archive.state)
    archive.restart()
    await archive.plugin.hub_facts(entries=list(archive.hub.recorded))

    assert len(archive.hub.facts(Filed)) == 1
    grown = {path: path.read_bytes() for path in archive.root.rglob("*") if path.is_file() and "data" in path.parts}
    assert grown == {path: content for path, content in files.items() if "data" in path.parts}
    assert rows(month_folder)[0]["Jumlah tayang videotron"] == "2"
    assert event_numbers(month_folder) == [entry.seq for entry in archive.hub.recorded]
    check_bag(month_folder)


async def test_a_lost_state_with_the_hubs_cursor_kept_catches_up_from_the_records(
    archive, played, month_folder
) -> None:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played(), played()))

    shutil.rmtree(archive.state)
    archive.restart()
    await archive.plugin.hub_facts(entries=archive.tell(played()))

    assert rows(month_folder)[0]["Jumlah tayang videotron"] == "3"
    assert event_numbers(month_folder) == sorted(event_numbers(month_folder))


async def test_a_damaged_database_is_made_again(archive, played, month_folder) -> None:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played()))
    for leftover in archive.state.glob("arsip.sqlite3-*"):
        leftover.unlink()
    (archive.state / "arsip.sqlite3").write_bytes(b"rubbish" * 1000)

    archive.restart()
    await archive.plugin.hub_facts(entries=archive.tell(played()))

    assert rows(month_folder)[0]["Jumlah tayang videotron"] == "2"


async def test_lost_events_are_written_again(archive, played, month_folder) -> None:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played(), played()))
    (month_folder / "berjalan" / "peristiwa.jsonl").unlink()

    archive.restart()
    await archive.plugin.hub_facts(entries=archive.tell(played()))

    assert event_numbers(month_folder)[:2] == [1, 2]
    assert rows(month_folder)[0]["Jumlah tayang videotron"] == "3"


async def test_a_changed_original_is_never_filed_and_harms_no_other_item(
    archive, played, month_folder, check_bag
) -> None:
    bad = archive.add_item("IP-2026-11-0001")
    archive.add_item("IP-2026-11-0002")
    bad.assets[0].path.write_bytes(b"something else")

    await archive.plugin.hub_facts(entries=archive.tell(played("IP-2026-11-0001"), played("IP-2026-11-0002")))

    assert [fact.item for fact in archive.hub.facts(Filed)] == ["IP-2026-11-0002"]
    health = await archive.plugin.hub_health()
    assert health.state is HealthState.DEGRADED
    assert "no longer the file that was approved" in health.details["IP-2026-11-0001"]
    check_bag(month_folder)


async def test_a_mended_original_is_filed_by_itself(archive, played, month_folder) -> None:
    item = archive.add_item()
    content = item.assets[0].path.read_bytes()
    item.assets[0].path.unlink()
    await archive.plugin.hub_facts(entries=archive.tell(played()))
    assert archive.hub.facts(Filed) == []

    item.assets[0].path.write_bytes(content)
    archive.hub.clock.advance(timedelta(seconds=61))
    await archive.plugin._tidy()

    assert len(archive.hub.facts(Filed)) == 1
    assert (await archive.plugin.hub_health()).state is HealthState.OK


async def test_an_archive_that_cannot_be_written_asks_for_a_retry_and_goes_on(
    archive, played, month_folder, check_bag
) -> None:
    archive.add_item()
    archive.root.parent.mkdir(exist_ok=True)
    archive.root.write_text("a file where the archive should be")
    entries = archive.tell(played())

    with pytest.raises(RetryLater, match="goes on by itself"):
        await archive.plugin.hub_facts(entries=entries)
    assert (await archive.plugin.hub_health()).state is HealthState.DEGRADED
    assert archive.plugin.hub_check_environment() != []
    archive.root.unlink()
    await archive.plugin.hub_facts(entries=entries)

    check_bag(month_folder)
    assert (await archive.plugin.hub_health()).state is HealthState.OK


async def test_low_space_keeps_the_item_due_until_there_is_room(archive, played, month_folder) -> None:
    archive.add_item()
    archive.settings = replace_settings(archive.settings, keep_free_mb=10**9)
    archive.restart()
    with pytest.raises(RetryLater, match="space"):
        await archive.plugin.hub_facts(entries=archive.tell(played()))

    archive.settings = replace_settings(archive.settings, keep_free_mb=0)
    archive.restart()
    await archive.plugin._tidy()

    assert len(archive.hub.facts(Filed)) == 1


async def test_a_full_disk_loses_nothing_and_filing_goes_on_by_itself(archive, played, small_disk, check_bag) -> None:
    archive.settings = replace_settings(archive.settings, folder=small_disk / "Arsip")
    archive.restart()
    archive.add_item()
    filler = small_disk / "filler"
    with contextlib.suppress(OSError):
        filler.write_bytes(b"x" * 4_000_000)
    entries = archive.tell(played(), played())

    for _ in range(2):
        with pytest.raises(RetryLater, match="No space left"):
            await archive.plugin.hub_facts(entries=entries)
    assert (await archive.plugin.hub_health()).state is HealthState.DEGRADED
    filler.unlink()
    await archive.plugin._tidy()  # what its keeper does from time to time
    await archive.plugin.hub_facts(entries=entries)

    month = small_disk / "Arsip" / "2026" / "2026-11 November"
    assert len(archive.hub.facts(Filed)) == 1
    assert rows(month)[0]["Jumlah tayang videotron"] == "2"
    assert event_numbers(month)[:2] == [1, 2]
    assert (await archive.plugin.hub_health()).state is HealthState.OK
    check_bag(month)


async def test_a_player_with_a_wrong_clock_opens_no_month_of_its_own(archive, played) -> None:
    archive.add_item()

    await archive.plugin.hub_facts(
        entries=archive.tell(played(at=datetime(1970, 1, 1, tzinfo=UTC)), played(at=datetime(2099, 1, 1, tzinfo=UTC)))
    )

    assert [path.name for path in archive.root.iterdir()] == ["2026"]


async def test_a_fact_about_an_unknown_item_is_kept_and_named(archive, played, month_folder) -> None:
    await archive.plugin.hub_facts(entries=archive.tell(played("IP-2026-11-0099")))

    assert event_numbers(month_folder) == [1]
    assert "IP-2026-11-0099" in (await archive.plugin.hub_health()).details


async def test_an_order_writes_the_list_anew_and_names_it(archive, played, month_folder) -> None:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played()))
    next((month_folder / "berjalan").glob("*.csv")).unlink()

    def order(month: str) -> Order:
        return Order(id=1, name="archive.report", args={"month": month}, who="tester", why="test", given_at=NOON)

    outcome = await archive.plugin.hub_order(order=order("2026-11"))
    refused = await archive.plugin.hub_order(order=order("November"))

    assert outcome.done
    assert outcome.message in {str(path) for path in (month_folder / "berjalan").glob("*.csv")}
    assert not refused.done


async def test_reindexing_counts_the_journal_anew_and_files_nothing_twice(archive, played, month_folder) -> None:
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played(), played()))
    (listed,) = (month_folder / "berjalan").glob("*.csv")
    before, manifest = listed.read_bytes(), (month_folder / "manifest-sha256.txt").read_bytes()
    listed.unlink()

    order = Order(id=2, name="archive.reindex", args={}, who="tester", why="test", given_at=NOON)
    outcome = await archive.plugin.hub_order(order=order)

    assert outcome == Outcome(done=True, message="1 items in 1 months are indexed.")
    assert listed.read_bytes() == before
    assert (month_folder / "manifest-sha256.txt").read_bytes() == manifest
    assert len(archive.hub.facts(Filed)) == 1


async def test_the_hub_takes_the_plugin_as_it_is(archive) -> None:
    item, host = archive.add_item(channels=ARCHIVE_ONLY), PluginHost()
    host.register(archive.plugin, "archive")

    (delivery,) = await host.plan_deliveries("archive", item)
    receipt = await host.deliver("archive", delivery, item, ())
    await host.withdraw("archive", item, "a mistake")

    assert host.check_environment("archive") == ()
    assert [service.name for service in host.services("archive")] == ["archive keeper"]
    assert isinstance(receipt, Receipt)
    assert (await host.health("archive")).state is HealthState.OK


async def test_the_keeper_brings_the_list_up_to_date_and_stops_when_told(archive, played, month_folder) -> None:
    archive.settings = replace_settings(archive.settings, refresh_every_s=3600)
    archive.restart()
    archive.add_item()
    await archive.plugin.hub_facts(entries=archive.tell(played()))
    await archive.plugin.hub_facts(entries=archive.tell(played()))
    assert rows(month_folder)[0]["Jumlah tayang videotron"] == "1"
    (service,) = archive.plugin.hub_services()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        keeper = group.create_task(service.run(), name="keeper")
        while rows(month_folder)[0]["Jumlah tayang videotron"] != "2":  # noqa: ASYNC110 - a file, no event of ours
            await asyncio.sleep(0)
        keeper.cancel()

    assert keeper.cancelled()


async def test_a_call_cut_off_by_a_deadline_leaves_one_writer(archive, played, month_folder, check_bag) -> None:
    for number in range(1, 6):
        archive.add_item(f"IP-2026-11-{number:04}")
    entries = archive.tell(*(played(f"IP-2026-11-{number:04}") for number in range(1, 6)))

    for _ in range(8):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await archive.plugin.hub_facts(entries=entries)
    await archive.plugin.hub_facts(entries=entries)

    assert len(archive.hub.facts(Filed)) == 5
    assert event_numbers(month_folder)[:5] == [1, 2, 3, 4, 5]
    check_bag(month_folder)


async def test_every_item_gets_one_delivery_with_the_same_key_each_time(archive) -> None:
    item = archive.add_item(channels=frozenset({Channel.RADIO}))

    first = await archive.plugin.hub_plan_deliveries(item=item)
    second = await archive.plugin.hub_plan_deliveries(item=replace(item, title="other"))

    assert first == second
    assert [(d.key, d.destination, d.wants) for d in first] == [("IP-2026-11-0001/arsip", "arsip", ())]


def replace_settings(settings: Any, **changes: Any) -> Any:
    return settings.model_copy(update=changes)
