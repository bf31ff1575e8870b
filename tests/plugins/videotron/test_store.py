"""What the hub told its players outlives it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.testing import NOON, make_current, make_item, make_rendition
from plugins.videotron.keys.keyring import make
from plugins.videotron.manifests import plan, programme
from plugins.videotron.protocol import Manifest, Screen, SigningKey, decode_signed, key_id
from plugins.videotron.protocol.wire import MAX_DOCUMENT_BYTES
from plugins.videotron.settings import OfflineSettings, ScreenSettings
from plugins.videotron.store import Store, Wish
from plugins.videotron.transfer.contents import cut

SCREEN = Screen(width=64, height=32)
EMPTY = Wish(player="gate-1", screen=SCREEN)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "s.sqlite3")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def keyring(tmp_path_factory):
    return make(tmp_path_factory.mktemp("keys"), "an-office", now=NOON)


@pytest.fixture
def wish(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"film")
    item = make_item()
    [delivery] = plan(item, {"gate-1": ScreenSettings(width=64, height=32)})
    rendition = make_rendition(path, item.assets[0], delivery.wants[0].profile)
    deliveries = [make_current(delivery, item, rendition)]
    contents = {rendition.sha256: cut(path, rendition.sha256, 1024, "an-office")}
    made = programme(deliveries, contents, offline=OfflineSettings(), fetch_after=lambda urgent: None)
    return Wish(player="gate-1", screen=SCREEN, programme=made, deliveries=deliveries)


@pytest.fixture
def issue(store, keyring):
    def at(wish, now=NOON, *, store=store, keyring=keyring):
        issued = store.issue([wish], keyring=keyring, now=now, valid=timedelta(days=7), reissue=timedelta(hours=6))
        return issued[wish.player]

    return at


def test_the_same_programme_keeps_its_number_and_its_bytes_even_after_a_restart(store, issue, wish, tmp_path):
    first = issue(wish)

    again = Store(tmp_path / "s.sqlite3")
    second = issue(wish, NOON + timedelta(hours=1), store=again)
    again.close()

    assert second == first


def test_it_is_signed_anew_every_few_hours_so_that_players_know_that_it_is_fresh(issue, wish):
    first = issue(wish)

    second = issue(wish, NOON + timedelta(hours=6))

    assert second.version > first.version
    assert second.manifest.expires == NOON + timedelta(days=7, hours=6)
    assert second.manifest.items == first.manifest.items


def test_another_programme_gets_a_higher_number_though_the_clock_went_back(issue, wish):
    first = issue(EMPTY)

    second = issue(wish, NOON.replace(year=1999))

    assert second.manifest.seq > first.manifest.seq >= int(NOON.timestamp())
    assert second.manifest.items[0].item == "IP-2026-11-0001"


def test_a_new_key_signs_at_once_and_a_new_epoch_counts_anew(issue, wish, keyring):
    first = issue(wish)
    new = replace(keyring, online=SigningKey.new(), keyset=keyring.keyset.model_copy(update={"version": 2, "epoch": 2}))

    second = issue(wish, NOON - timedelta(days=1), keyring=new)

    assert second.version > first.version
    assert second.manifest.seq < first.manifest.seq
    assert decode_signed(Manifest, second.document, {key_id(new.online.public): new.online.public}) == second.manifest


def test_more_films_than_a_document_carries_lose_the_last_ones_and_not_the_screen(issue, wish):
    [item] = wish.programme.items
    long = item.model_copy(update={"title": '"' * 300, "classification": "x" * 40})
    films = tuple(long.model_copy(update={"item": f"IP-2026-11-{n:04}"}) for n in range(1000))

    issued = issue(replace(wish, programme=replace(wish.programme, items=films)))

    assert len(issued.document) <= MAX_DOCUMENT_BYTES
    assert issued.manifest.items == films[: len(issued.manifest.items)]
    assert len(issued.manifest.items) > 500


def test_a_kept_manifest_that_cannot_be_read_is_issued_anew_above_it(issue, wish, tmp_path):
    first = issue(wish)
    with closing(sqlite3.connect(tmp_path / "s.sqlite3")) as db, db:
        db.execute("UPDATE manifest SET document = ?", (b"spoiled",))

    again = Store(tmp_path / "s.sqlite3")
    second = issue(wish, NOON + timedelta(seconds=10), store=again)
    again.close()

    assert second.version > first.version


def test_what_was_given_stays_known_when_it_is_no_longer_in_the_manifest(store, issue, wish):
    [item] = wish.programme.items
    issue(wish)
    issue(EMPTY)

    given = store.given("gate-1", [(item.item, item.cid), (item.item, "0" * 32)])

    assert given[item.item, item.cid].delivery == "IP-2026-11-0001/gate-1"
    assert len(given) == 1
    assert store.given("gate-2", [(item.item, item.cid)]) == {}


def test_a_screen_that_is_gone_keeps_its_size_in_its_last_empty_manifest(store, issue, wish):
    issue(wish)

    last = issue(Wish(player="gate-1", screen=None))

    assert last.manifest.screen == SCREEN
    assert last.manifest.items == ()
    assert store.players() == ["gate-1"]


def test_retained_topics_are_remembered_until_they_are_cleared(store):
    store.will_retain(["a", "b", "a"])
    store.cleared(["a"])

    assert store.retained() == {"b"}


def test_a_damaged_database_is_set_aside_and_begun_anew(tmp_path):
    path = tmp_path / "videotron.sqlite3"
    path.write_bytes(b"rubbish" * 1000)

    Store(path).close()
    Store(path).close()

    assert path.with_name("videotron.sqlite3.damaged").read_bytes() == b"rubbish" * 1000
