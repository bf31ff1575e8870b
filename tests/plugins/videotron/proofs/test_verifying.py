"""What an auditor is told of a month: whatever somebody did to the kept proofs or to the journal is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from plugins.videotron.commands.proof import keys_by_time
from plugins.videotron.enrolment.enrolments import Enrolment
from plugins.videotron.proofs.findings import Findings, ranges
from plugins.videotron.proofs.keeper import journal_key
from plugins.videotron.proofs.month import period_of, verify_month
from plugins.videotron.proofs.reading import open_proofs
from plugins.videotron.protocol import SigningKey, encode_signed
from plugins.videotron.protocol.chain import segment_of

WITA = ZoneInfo("Asia/Makassar")


@pytest.fixture
def verify(hub: Any) -> Callable[..., Findings]:
    def verify(month: str = "2026-11", machines: list[Enrolment] | None = None) -> Findings:
        if machines is None:
            machines = [enrolled(key) for player, key in hub.keys.items() if player == "gate-1"]
        with open_proofs(hub.folder) as proofs:
            return verify_month(
                "gate-1",
                period_of(month, WITA),
                proofs=proofs,
                keys=keys_by_time(machines),
                journal=hub.journal.between,
            )

    return verify


@pytest.fixture
def verify_while(hub: Any) -> Callable[..., Findings]:
    """As `verify`, and something happens between the reading of the proofs and of the journal."""

    def verify_while(happens: Callable[[], Any]) -> Findings:
        def journal(first: str, last: str) -> Any:
            happens()
            return hub.journal.between(first, last)

        keys = keys_by_time([enrolled(key) for key in hub.keys.values()])
        with open_proofs(hub.folder) as proofs:
            return verify_month("gate-1", period_of("2026-11", WITA), proofs=proofs, keys=keys, journal=journal)

    return verify_while


def enrolled(key: SigningKey, revoked_at: datetime | None = None) -> Enrolment:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    return Enrolment(player="gate-1", key=key.public, since=since, who="teknisi", revoked_at=revoked_at, why="")


async def fill(hub: Any, record: Any, envelopes: int = 4) -> None:
    """So many envelopes of three plays each."""
    for number in range(envelopes):
        record.plays(3)
        await hub.hear(record.sent(3 * number + 1))


def tamper(hub: Any, *orders: str, **values: Any) -> None:
    with closing(sqlite3.connect(hub.folder / "proofs.sqlite3")) as db, db:
        db.execute("DROP TRIGGER IF EXISTS envelope_is")
        db.execute("DROP TRIGGER IF EXISTS envelope_stays")
        for order in orders:
            db.execute(order, values)


def missing(numbers: str) -> str:
    return f"entries {numbers} were kept, and are missing or prove nothing"


def rewritten(record: Any, number: int, key: SigningKey, **changes: Any) -> bytes:
    """An envelope as a forger would make it: its last entry says something else."""
    other = record.fork(3 * number - 1)
    other.play(**changes)
    return encode_signed(other.proof(3 * number - 2), key)


async def test_a_month_in_which_nothing_is_missing(hub: Any, record: Any, verify: Any, tools: Any) -> None:
    for result in ("completed", "completed", "partial", "failed", "unknown"):
        record.play(result=result, seconds=2.0)
    await hub.hear(record.sent())

    found = verify()

    assert (found.problems, found.notes) == ([], [])
    assert (found.envelopes, found.entries) == (1, 5)
    one = found.items[tools.item]
    assert dict(one.results) == {"completed": 2, "partial": 1, "failed": 1, "unknown": 1}
    assert (one.title, one.seconds, one.journal) == ("Cegah DBD", 10, 3)


async def test_batches_that_overlap_are_counted_once(hub: Any, record: Any, verify: Any) -> None:
    record.plays(2)
    await hub.hear(record.sent())
    record.plays(3)
    await hub.hear(record.sent())

    found = verify()

    assert (found.problems, found.entries) == ([], 5)


async def test_an_edited_row(hub: Any, record: Any, verify: Any) -> None:
    await fill(hub, record)
    edited = record.sent(4, 6).replace(b"Cegah", b"Basmi")
    tamper(hub, "UPDATE envelope SET body = :body WHERE id = 2", body=edited)

    problems = verify().problems

    assert any("envelope 2 (4 to 6) proves nothing" in one for one in problems)
    assert any(missing("4 to 6 (3)") in one for one in problems)


@pytest.mark.parametrize(("row", "numbers"), [(1, "1 to 3"), (2, "4 to 6"), (4, "10 to 12")])
async def test_a_removed_row(hub: Any, record: Any, verify: Any, row: int, numbers: str) -> None:
    await fill(hub, record)
    tamper(hub, f"DELETE FROM envelope WHERE id = {row}")  # noqa: S608

    problems = verify().problems

    assert any(missing(f"{numbers} (3)") in one for one in problems)
    assert any("the journal has 3 plays that nothing proves" in one for one in problems)


async def test_the_end_of_a_chain_removed_from_all_tables_is_missed_by_the_journal(
    hub: Any, record: Any, verify: Any
) -> None:
    await fill(hub, record)
    tamper(
        hub,
        "DELETE FROM envelope WHERE id = 4",
        "UPDATE head SET seq = 9, hash = :hash",
        hash=record.hashes[9],
    )

    assert [one.partition(": ")[2] for one in verify().problems] == [
        "the journal has 3 plays that nothing proves: 10 to 12"
    ]


async def test_a_chain_removed_from_all_tables_is_missed_by_the_journal(hub: Any, record: Any, verify: Any) -> None:
    await fill(hub, record)
    tamper(hub, "DELETE FROM envelope", "DELETE FROM head")

    assert verify().problems == [f"chain {record.chain}: the journal has 12 plays that nothing proves"]


async def test_a_month_removed_from_the_middle(hub: Any, record: Any, verify: Any) -> None:
    months = [datetime(2026, number, 20, tzinfo=UTC) for number in (11, 12)] + [datetime(2027, 1, 20, tzinfo=UTC)]
    for number, at in enumerate(months):
        hub.clock.time = at + timedelta(hours=1)
        record.plays(2, at=at, result="unknown")  # nothing of it stands in the journal
        await hub.hear(record.sent(2 * number + 1))
    tamper(hub, "DELETE FROM envelope WHERE id = 2")

    [problem] = verify("2026-12").problems

    assert missing("3 to 4 (2)") in problem
    assert verify("2026-11").problems == [problem]
    tamper(hub, "DELETE FROM envelope WHERE id = 3")
    assert missing("3 to 6 (4)") in verify("2027-01").problems[0]


@pytest.mark.parametrize(
    "order",
    [
        "UPDATE envelope SET first = 7, last = 9 WHERE id = 2",
        "UPDATE envelope SET player = 'gate-2' WHERE id = 2",
        "UPDATE envelope SET chain = 'ffffffffffffffff' WHERE id = 2",
        "UPDATE envelope SET body = (SELECT body FROM envelope WHERE id = 3) WHERE id = 2",
    ],
)
async def test_a_row_moved(hub: Any, record: Any, verify: Any, order: str) -> None:
    await fill(hub, record)
    tamper(hub, order)

    assert any(missing("4 to 6 (3)") in one for one in verify().problems)


async def test_a_row_moved_in_from_another_player(hub: Any, record: Any, verify: Any, tools: Any) -> None:
    other = tools.Record(player="gate-2", chain=record.chain).plays(3)
    hub.enrol(other)
    await hub.hear(other.sent(), player="gate-2")
    tamper(hub, "UPDATE envelope SET player = 'gate-1'", "UPDATE head SET player = 'gate-1'")

    assert "proves nothing" in verify().problems[0]


async def test_a_row_moved_to_another_month_is_missed(hub: Any, record: Any, verify: Any) -> None:
    await fill(hub, record)
    tamper(hub, "UPDATE envelope SET from_at = '2020-01-01', to_at = '2020-01-02' WHERE id = 4")

    found = verify()

    assert found.entries == 12  # it is looked for by its number
    assert found.problems == []


async def test_a_foreign_signature(hub: Any, record: Any, verify: Any) -> None:
    await fill(hub, record)
    forged = rewritten(record, 2, SigningKey.new(), title="Lain")
    tamper(hub, "UPDATE envelope SET body = :body WHERE id = 2", body=forged)

    assert any("envelope 2 (4 to 6) proves nothing: " in one and "key" in one for one in verify().problems)


async def test_a_rewritten_play_signed_with_the_players_own_stolen_key_does_not_fit(
    hub: Any, record: Any, verify: Any
) -> None:
    await fill(hub, record)
    forged = rewritten(record, 2, record.key, title="Lain")
    tamper(hub, "UPDATE envelope SET body = :body WHERE id = 2", body=forged)

    assert any("entry 6 stands there twice, and not the same" in one for one in verify().problems)


async def test_the_last_play_rewritten_with_the_stolen_key_is_not_what_was_acknowledged(
    hub: Any, record: Any, verify: Any
) -> None:
    await fill(hub, record)
    forged = rewritten(record, 4, record.key, title="Lain")
    tamper(hub, "UPDATE envelope SET body = :body WHERE id = 4", body=forged)

    assert any("entry 12 is not the one that the hub had acknowledged" in one for one in verify().problems)


async def test_a_proof_signed_after_the_machine_was_revoked_proves_nothing(hub: Any, record: Any, verify: Any) -> None:
    await fill(hub, record, 1)
    revoked = enrolled(record.key, revoked_at=hub.clock.now() - timedelta(minutes=1))

    assert "proves nothing" in verify(machines=[revoked]).problems[0]
    later = enrolled(record.key, revoked_at=hub.clock.now() + timedelta(minutes=1))
    assert verify(machines=[later]).problems == []


async def test_a_gap_is_shown_with_its_size_and_as_one_that_was_known(hub: Any, record: Any, verify: Any) -> None:
    record.plays(9)
    await hub.hear(record.sent(1, 2))
    await hub.hear(record.sent(7, 9))

    assert verify().problems == [f"chain {record.chain}: a gap: entries 3 to 6 (4) never came"]


async def test_plays_that_the_player_had_no_room_for_are_shown_as_a_gap(hub: Any, record: Any, verify: Any) -> None:
    record.play()
    record.play(reason="lost 12 before this")
    await hub.hear(record.sent())

    found = verify()

    assert found.lost == 12
    assert found.problems == [f"chain {record.chain}: a gap: 12 plays before entry 2 found no room on it"]


async def test_a_new_chain_and_a_fork_are_named(hub: Any, record: Any, verify: Any, tools: Any) -> None:
    await fill(hub, record, 2)
    await hub.hear(record.fork(2).plays(2, title="Lain").sent())
    hub.clock.advance(timedelta(minutes=1))
    anew = tools.Record(key=record.key).plays(1)
    await hub.hear(anew.sent())

    assert verify().problems == [
        f"chain {anew.chain}: a new record was begun; chain {record.chain} was not continued after entry 6",
        f"chain {record.chain}: a fork: entry 3 came once more on 2026-11-22, and not the same",
    ]


async def test_a_month_begins_where_the_one_before_ended(hub: Any, record: Any, verify: Any) -> None:
    border = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)  # midnight in WITA
    hub.clock.time = border + timedelta(hours=1)
    record.plays(3, at=border - timedelta(seconds=15))  # two before it, one after
    await hub.hear(record.sent())
    record.plays(2, at=border)
    await hub.hear(record.sent(4))

    before, after = verify("2026-11"), verify("2026-12")

    assert (before.problems, after.problems) == ([], [])
    assert (before.entries, after.entries) == (2, 3)
    tamper(hub, "DELETE FROM envelope WHERE id = 1")
    assert missing("1 to 3 (3)") in verify("2026-12").problems[0]


async def test_each_month_of_a_long_chain_is_verified_by_itself(hub: Any, record: Any, verify: Any) -> None:
    for number in range(4):
        at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(days=31 * number)
        hub.clock.time = at + timedelta(hours=1)
        record.plays(2, at=at)
        await hub.hear(record.sent(2 * number + 1))

    for month in ("2026-11", "2026-12", "2027-01", "2027-02"):
        found = verify(month)
        assert (found.problems, found.envelopes, found.entries) == ([], 1, 2)


async def test_a_clock_that_was_set_back_over_the_border_loses_nothing(hub: Any, record: Any, verify: Any) -> None:
    border = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    hub.clock.time = border + timedelta(days=2)
    for number, day in enumerate((-1, 1, -1, 1)):
        record.play(at=border + timedelta(days=day))
        await hub.hear(record.sent(number + 1))

    before, after = verify("2026-11"), verify("2026-12")

    assert (before.problems, after.problems) == ([], [])
    assert (before.entries, after.entries) == (2, 2)
    assert "the player's clock was set back by 1728" in before.notes[0]


async def test_thousands_of_like_remarks_are_counted_and_not_listed(hub: Any, record: Any, verify: Any) -> None:
    record.plays(150, at=datetime(1970, 1, 1, tzinfo=UTC))
    await hub.hear(record.sent())

    notes = verify().notes

    assert len(notes) == 11
    assert notes[-1] == f"chain {record.chain}: plays with doubts: 150 in all"


async def test_a_dead_clock_is_noted_and_is_no_problem(hub: Any, record: Any, verify: Any) -> None:
    record.play(at=datetime(1970, 1, 1, tzinfo=UTC))
    await hub.hear(record.sent())

    found = verify()

    assert (found.problems, found.entries) == ([], 1)
    assert "no clock" in found.notes[0]


async def test_what_it_was_never_given_is_a_problem(hub: Any, record: Any, verify: Any) -> None:
    record.play(item="IP-2026-11-0099")
    await hub.hear(record.sent())

    assert "never given IP-2026-11-0099" in verify().problems[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda plays, key: plays.pop(key), "the journal lacks 1 play: 2"),
        (
            lambda plays, key: plays.update({key[:-1] + "9": plays[key]}),
            "the journal has 1 play that nothing proves: 9",
        ),
        (
            lambda plays, key: plays.update({key: replace(plays[key], seconds=99.0)}),
            "the journal says otherwise of 1 play: 2",
        ),
    ],
)
async def test_the_journal_is_held_against_the_proofs(
    hub: Any, record: Any, verify: Any, change: Callable[..., Any], told: str
) -> None:
    await fill(hub, record, 1)

    change(hub.journal.by_key, journal_key("gate-1", record.chain, 2))

    assert verify().problems == [f"chain {record.chain}: {told}"]


async def test_a_play_that_comes_while_it_is_verified_is_no_problem(hub: Any, record: Any, verify_while: Any) -> None:
    await fill(hub, record, 1)
    record.plays(1)

    def one_comes() -> None:
        hub.store.add(segment_of(record.proof(4)), record.sent(4), received_at=hub.clock.now())
        hub.journal.by_key[journal_key("gate-1", record.chain, 4)] = hub.journal.plays[0]

    found = verify_while(one_comes)

    assert (found.problems, found.notes, found.entries) == ([], [], 3)


async def test_what_a_killed_hub_has_kept_and_not_told_yet_is_a_note(
    hub: Any, record: Any, verify: Any, tools: Any
) -> None:
    await fill(hub, record, 1)
    hub.journal.cut_before = True
    with pytest.raises(tools.Cut):
        await hub.hear(record.plays(1).sent(4))

    found = verify()

    assert (found.problems, found.entries) == ([], 4)
    assert found.notes == [f"chain {record.chain}: the journal is still to be told of 1 play"]


def test_numbers_in_short() -> None:
    assert ranges([3, 1, 2, 7]) == "1 to 3, 7"
    assert ranges(range(0, 60, 2)).endswith("38 and 10 more")


@pytest.mark.parametrize("month", ["2026", "2026-13", "11-2026", "gate-1"])
def test_only_a_month_is_a_month(month: str) -> None:
    with pytest.raises(ValueError, match=r"time data|remains"):
        period_of(month, WITA)
