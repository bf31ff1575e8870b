"""Orders above the schedule and what players were told of them: kept, counted, signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.api import ItemNumber
from plugins.videotron.emergency.overrides import DATABASE, Change, InForce, Overrides, Wish, signer_of
from plugins.videotron.emergency.standing import Player, Stand, change, standing
from plugins.videotron.keys.keyring import Keyring, make
from plugins.videotron.protocol import Manifest, Mode, Override, PlayerState, Standby, cid_of, decode_signed, key_id

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SHA = "a" * 64
FILM = Standby(cid=cid_of(SHA), sha256=SHA, size=10, seconds=1.0, item="IP-2026-11-0001", title="Banjir")
GONE = Player(online=False, last_seen=None, state=None, manifest=None)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return make(tmp_path / "keys", "an-office", now=NOW)


def wish(**changes: object) -> Wish:
    facts = {"player": "gate-1", "order": 1, "mode": Mode.BLACKOUT, "until": None, "who": "ahmad", "why": "banjir"}
    return Wish(**{**facts, "given_at": NOW, **changes})  # type: ignore[arg-type]


def issue(overrides: Overrides, keyring: Keyring, now: datetime, **what: object) -> InForce:
    return overrides.issue({"gate-1": Change(**what)}, keyring=keyring, now=now)["gate-1"]  # type: ignore[arg-type]


def test_everything_is_there_again_after_a_restart(tmp_path: Path, keyring: Keyring) -> None:
    before = Overrides(tmp_path / DATABASE)
    before.wish([wish(file=SHA, reference="DARURAT-1", mode=Mode.EMERGENCY, until=NOW + timedelta(hours=2))])
    before.accepted(1, ItemNumber("IP-2026-11-0001"))
    issue(before, keyring, NOW, wish=wish().key, mode=Mode.EMERGENCY, films=(FILM,), until=NOW)
    before.close()

    after = Overrides(tmp_path / DATABASE)

    assert (after.wishes, after.in_force, after.own_items) == (before.wishes, before.in_force, before.own_items)
    assert after.wishes["gate-1"].item == "IP-2026-11-0001"
    after.close()


def test_an_override_is_signed_for_its_player_and_says_what_was_ordered(tmp_path: Path, keyring: Keyring) -> None:
    overrides = Overrides(tmp_path / DATABASE)

    told = issue(overrides, keyring, NOW, wish=wish().key, mode=Mode.EMERGENCY, films=(FILM,))

    keys = {key_id(keyring.online.public): keyring.online.public}
    override = decode_signed(Override, told.document, keys)
    assert (override.aud, override.mode, override.films) == ("gate-1", Mode.EMERGENCY, (FILM,))
    assert override.counter == int(NOW.timestamp() * 1000)
    overrides.close()


def test_the_counter_grows_also_when_the_clock_goes_back_or_the_database_is_lost(
    tmp_path: Path, keyring: Keyring
) -> None:
    overrides = Overrides(tmp_path / DATABASE)
    first = issue(overrides, keyring, NOW, wish=wish().key, mode=Mode.BLACKOUT)
    second = issue(overrides, keyring, NOW - timedelta(days=1), wish="2", mode=Mode.NONE)
    overrides.close()
    lost = Overrides(tmp_path / "another.sqlite3")
    third = issue(lost, keyring, NOW + timedelta(seconds=1), wish="3", mode=Mode.NONE)
    lost.close()

    counters = [one.override.counter for one in (first, second, third)]
    assert counters == sorted(set(counters))


def test_the_counter_is_above_what_the_player_follows_though_the_clock_was_ahead_and_the_database_is_lost(
    tmp_path: Path, keyring: Keyring
) -> None:
    ahead = int((NOW + timedelta(days=365)).timestamp() * 1000)
    overrides = Overrides(tmp_path / DATABASE)

    change = Change(wish="1", mode=Mode.NONE)
    told = overrides.issue({"gate-1": change}, keyring=keyring, now=NOW, seen={"gate-1": ahead})
    overrides.close()

    assert told["gate-1"].override.counter == ahead + 1


def test_a_damaged_database_is_set_aside(tmp_path: Path, keyring: Keyring) -> None:
    (tmp_path / DATABASE).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    overrides = Overrides(tmp_path / DATABASE)

    assert overrides.wishes == {}
    assert (tmp_path / f"{DATABASE}.damaged").exists()
    overrides.close()


def test_what_is_signed_by_keys_that_do_not_count_any_more_is_said_anew(tmp_path: Path, keyring: Keyring) -> None:
    overrides = Overrides(tmp_path / DATABASE)
    told = issue(overrides, keyring, NOW, wish=wish().key, mode=Mode.BLACKOUT)
    overrides.close()

    same = change(wish(), told, GONE, signer=signer_of(keyring), now=NOW)
    anew = change(wish(), told, GONE, signer="an-office/2/another", now=NOW)

    assert same is None
    assert anew == Change(wish=wish().key, mode=Mode.BLACKOUT)


def test_what_is_over_gives_way_to_the_schedule(tmp_path: Path, keyring: Keyring) -> None:
    overrides = Overrides(tmp_path / DATABASE)
    until = NOW + timedelta(hours=1)
    told = issue(overrides, keyring, NOW, wish=wish().key, mode=Mode.BLACKOUT, until=until)
    overrides.close()

    assert change(wish(until=until), told, GONE, signer=signer_of(keyring), now=until) == Change(
        wish=wish().key, mode=Mode.NONE
    )


def test_an_emergency_without_a_film_for_the_screen_waits_and_says_so() -> None:
    waiting = wish(mode=Mode.EMERGENCY, item="IP-2026-11-0001")

    assert change(waiting, None, GONE, signer="x", now=NOW) is None
    found = standing(waiting, None, GONE, deliveries=(), progress=(), now=NOW)
    assert found.stand is Stand.FAILED  # nothing is planned for this screen


def test_an_order_that_waited_past_its_own_end_is_never_carried_out() -> None:
    late = wish(until=NOW)

    assert change(late, None, GONE, signer="x", now=NOW) is None
    assert standing(late, None, GONE, deliveries=(), progress=(), now=NOW).stand is Stand.OVER


def test_the_later_order_counts_also_when_the_ledger_or_the_clock_went_back() -> None:
    last = wish(order=57)
    restored = wish(order=12, given_at=NOW + timedelta(days=1))
    turned_back = wish(order=58, given_at=NOW - timedelta(hours=1))

    assert restored.comes_after(last)
    assert turned_back.comes_after(last)
    assert not wish(order=56, given_at=NOW - timedelta(seconds=3)).comes_after(last)
    assert not last.comes_after(last)


def test_an_order_is_told_also_when_it_has_the_number_of_one_from_before_a_backup(
    tmp_path: Path, keyring: Keyring
) -> None:
    overrides = Overrides(tmp_path / DATABASE)
    told = issue(overrides, keyring, NOW, wish=wish(order=12).key, mode=Mode.NONE)
    overrides.close()
    again = wish(order=12, given_at=NOW + timedelta(days=30))

    assert change(again, told, GONE, signer=signer_of(keyring), now=NOW) == Change(wish=again.key, mode=Mode.BLACKOUT)


def test_another_emergency_waits_for_its_film_while_one_is_on(tmp_path: Path, keyring: Keyring) -> None:
    overrides = Overrides(tmp_path / DATABASE)
    told = issue(overrides, keyring, NOW, wish="1", mode=Mode.EMERGENCY, films=(FILM,))
    overrides.close()
    new = Standby(cid="b" * 32, sha256="b" * 64, size=10, seconds=1.0, item="IP-2026-11-0003", title="Evakuasi")
    other = wish(order=2, mode=Mode.EMERGENCY, item=new.item)

    def due(told: InForce | None, *held: str) -> Change | None:
        player = Player(
            online=True,
            last_seen=NOW,
            state=PlayerState.model_construct(holds=held),
            manifest=Manifest.model_construct(items=(), standby=(FILM, new), fallback=None),
        )
        return change(other, told, player, signer=signer_of(keyring), now=NOW)

    expected = Change(wish=other.key, mode=Mode.EMERGENCY, films=(new,))
    assert due(told, FILM.cid) is None
    assert due(told, FILM.cid, new.cid) == expected
    assert due(None) == expected  # nothing else is on: the screen shows it as soon as the film is there
