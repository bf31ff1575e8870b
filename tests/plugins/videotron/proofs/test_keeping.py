"""Proofs on the hub: kept as they came, told to the journal once, acknowledged after that; and no lie is believed."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plugins.videotron.proofs import keeper
from plugins.videotron.proofs.reading import open_proofs
from plugins.videotron.protocol import Attack, ProofAck, Refused, SigningKey, WireError, encode, encode_signed, key_id

MONTH = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def bodies(hub: Any) -> list[bytes]:
    with sqlite3.connect(hub.folder / "proofs.sqlite3") as db:
        found = [row[0] for row in db.execute("SELECT body FROM envelope ORDER BY id")]
    db.close()
    return found


def chains(hub: Any, player: str = "gate-1") -> Any:
    with open_proofs(hub.folder) as proofs:
        return proofs.chains(player)


async def test_a_play_is_kept_as_it_came_recorded_once_and_acknowledged(hub: Any, record: Any, tools: Any) -> None:
    record.plays(2)
    body = record.sent()

    [ack] = await hub.hear(body)

    assert bodies(hub) == [body]
    assert [(play.item, play.complete, play.seconds) for play in hub.journal.plays] == [(tools.item, True, 9.5)] * 2
    assert (ack.player, ack.chain, ack.seq, ack.hash) == ("gate-1", record.chain, 2, record.hashes[2].hex())


async def test_replayed_proof(hub: Any, record: Any) -> None:
    record.plays(2)
    body = record.sent()
    await hub.hear(body)

    [ack] = await hub.hear(body)  # by the broker, or because the acknowledgement was lost

    assert len(hub.journal.plays) == 2
    assert len(bodies(hub)) == 1
    assert ack.seq == 2


async def test_a_batch_that_has_grown_meanwhile_brings_only_what_is_new(hub: Any, record: Any) -> None:
    record.plays(2)
    await hub.hear(record.sent())
    record.plays(2)

    [ack] = await hub.hear(record.sent())

    assert (ack.seq, len(hub.journal.plays)) == (4, 4)


async def test_forged_proof(hub: Any, record: Any) -> None:
    record.play()

    with pytest.raises(Refused) as unsigned:
        await hub.hear(encode(record.proof()))
    with pytest.raises(Refused) as changed:
        await hub.hear(record.sent().replace(b"completed", b"partially"))
    with pytest.raises(Refused) as strange:
        await hub.hear(encode_signed(record.proof(), SigningKey.new()))

    refused = [one.value.attack for one in (unsigned, changed, strange)]
    assert refused == [Attack.UNSIGNED, Attack.BAD_SIGNATURE, Attack.UNKNOWN_KEY]
    assert hub.journal.plays == []


async def test_a_player_that_sends_without_end_takes_no_others_turn(hub: Any, record: Any, tools: Any) -> None:
    other = tools.Record(player="gate-2").plays(1)
    hub.enrol(other)
    record.plays(200)
    for last in range(1, 201):
        hub.keeper.take("gate-1", record.sent(1, last), {key_id(record.key.public): record.key.public})

    acks = await hub.hear(other.sent(), player="gate-2")

    assert [(ack.player, ack.seq) for ack in acks] == [("gate-1", 1), ("gate-1", 2), ("gate-2", 1)]


async def test_no_player_fills_the_disk_with_proofs_of_one_day(
    hub: Any, record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "DAY_BYTES", 1000)
    record.plays(30)
    await hub.hear(record.sent(1, 10))

    with pytest.raises(Refused) as refused:
        await hub.hear(record.sent(11, 20))
    hub.clock.advance(timedelta(days=1))
    await hub.hear(record.sent(21, 30))

    assert refused.value.attack is Attack.OVER_LIMIT
    assert len(bodies(hub)) == 2


async def test_proof_of_another_player(hub: Any, record: Any, tools: Any) -> None:
    other = tools.Record(player="gate-2").plays(1)
    hub.enrol(other)
    record.play()

    with pytest.raises(Refused) as borrowed:
        await hub.hear(record.sent(), player="gate-2")  # its bytes on another's topic
    with pytest.raises(Refused) as posing:
        await hub.hear(encode_signed(record.proof(), other.key), player="gate-2")

    assert borrowed.value.attack is Attack.UNKNOWN_KEY
    assert posing.value.attack is Attack.WRONG_AUDIENCE
    assert bodies(hub) == []


async def test_reordered_entries(hub: Any, record: Any) -> None:
    record.plays(3)
    record.texts[0], record.texts[1] = record.texts[1], record.texts[0]

    with pytest.raises(WireError, match="order"):
        await hub.hear(record.sent())


async def test_reordered_batches_leave_no_hole(hub: Any, record: Any) -> None:
    record.plays(6)

    await hub.hear(record.sent(4, 6))
    await hub.hear(record.sent(1, 3))

    assert len(hub.journal.plays) == 6
    assert len(bodies(hub)) == 2
    assert chains(hub)[0].seq == 6


async def test_dropped_entry(hub: Any, record: Any) -> None:
    record.plays(5)
    await hub.hear(record.sent(1, 2))

    [ack] = await hub.hear(record.sent(4, 5))  # the broker kept the third, and forged its acknowledgement to the player

    assert ack.seq == 5  # what came is kept all the same
    assert len(hub.journal.plays) == 4
    assert chains(hub)[0].gaps == {(3, 3)}
    assert "1 entries before it never came" in hub.complaints.recent()["gate-1"]


async def test_an_entry_that_is_left_out_inside_a_batch_is_refused(hub: Any, record: Any) -> None:
    record.plays(3)

    with pytest.raises(WireError, match="order"):
        await hub.hear(record.sent(entries=(record.texts[0], record.texts[2])))


async def test_a_chain_that_begins_with_something_before_it_is_refused(hub: Any, record: Any) -> None:
    record.plays(1)

    with pytest.raises(WireError, match="before its first"):
        await hub.hear(record.sent(prev="f" * 64))


async def test_forked_chain(hub: Any, record: Any) -> None:
    record.plays(4)
    await hub.hear(record.sent())
    other = record.fork(2).plays(3, title="Lain")

    acks = await hub.hear(other.sent())

    assert len(hub.journal.plays) == 4
    assert [(ack.seq, ack.hash) for ack in acks] == [(2, record.hashes[2].hex()), (4, record.hashes[4].hex())]
    assert "fork" in hub.complaints.recent()["gate-1"]
    with open_proofs(hub.folder) as proofs:
        [fork] = proofs.forks("gate-1", *MONTH)
    assert (fork.chain, fork.seq) == (record.chain, 3)
    assert len(bodies(hub)) == 1  # the other is kept as evidence, not as proof


async def test_a_fork_right_behind_what_was_acknowledged_is_seen(hub: Any, record: Any) -> None:
    record.plays(4)
    await hub.hear(record.sent())
    other = record.fork(3).plays(2, title="Lain")

    [ack] = await hub.hear(other.sent(5, 5))

    assert (ack.seq, ack.hash) == (4, record.hashes[4].hex())
    assert len(hub.journal.plays) == 4


async def test_truncated_chain(hub: Any, record: Any, tools: Any) -> None:
    record.plays(4)
    await hub.hear(record.sent())
    anew = tools.Record(key=record.key).plays(1)  # whoever has the player's machine deletes its record

    await hub.hear(anew.sent())

    assert [chain.seq for chain in chains(hub)] == [4, 1]
    assert f"{record.chain} is not continued" in hub.complaints.recent()["gate-1"]


async def test_a_hub_that_lost_its_proofs_takes_the_chain_where_it_stands(hub: Any, record: Any) -> None:
    record.plays(9)

    [ack] = await hub.hear(record.sent(7))

    assert (ack.seq, len(hub.journal.plays)) == (9, 3)
    assert chains(hub)[0].gaps == {(1, 6)}


async def test_failed_and_unknown_plays_are_kept_and_are_no_plays(hub: Any, record: Any) -> None:
    for result in ("completed", "partial", "failed", "unknown"):
        record.play(result=result)

    [ack] = await hub.hear(record.sent())

    assert ack.seq == 4
    assert [play.complete for play in hub.journal.plays] == [True, False]


async def test_a_play_of_what_it_was_never_given_is_kept_named_and_no_play(hub: Any, record: Any) -> None:
    record.play(item="IP-2026-11-0099")
    record.play(sha256="a" * 32 + "b" * 32)

    [ack] = await hub.hear(record.sent())

    assert ack.seq == 2
    assert hub.journal.plays == []
    first, second = chains(hub)[0].remarks.values()
    assert "never given" in first.text
    assert "another one" in second.text


async def test_a_play_in_the_future_is_kept_and_is_no_play_even_when_it_comes_again_later(
    hub: Any, record: Any
) -> None:
    record.play(at=hub.clock.now() + timedelta(hours=1))
    await hub.hear(record.sent())
    hub.clock.advance(timedelta(hours=3))
    record.play(at=hub.clock.now())

    await hub.hear(record.sent())

    assert len(hub.journal.plays) == 1
    assert "future" in chains(hub)[0].remarks[1].text


async def test_proofs_of_a_dead_clock_count_and_stand_in_the_month_in_which_they_came(hub: Any, record: Any) -> None:
    record.play(at=datetime(1970, 1, 1, tzinfo=UTC))

    await hub.hear(record.sent())

    assert len(hub.journal.plays) == 1
    assert "no clock" in chains(hub)[0].remarks[1].text
    with open_proofs(hub.folder) as proofs:
        stretch = proofs.stretch("gate-1", proofs.chains("gate-1")[0], *MONTH)
    assert stretch is not None
    assert (stretch.first, stretch.last) == (1, 1)


async def test_a_clock_that_was_behind_is_remarked_on_and_the_play_counts(hub: Any, record: Any) -> None:
    record.play(reason="the clock was behind")

    await hub.hear(record.sent())

    assert len(hub.journal.plays) == 1
    assert chains(hub)[0].remarks[1].text == "the player's clock was behind: it was 2026-11-22T04:00:00+00:00 or later"


async def test_plays_that_were_lost_on_the_player_are_named(hub: Any, record: Any) -> None:
    record.play(reason="lost 12 before this")

    await hub.hear(record.sent())

    assert "12 plays were lost" in hub.complaints.recent()["gate-1"]


@pytest.mark.parametrize("where", ["before the journal", "after the journal", "before the acknowledgement"])
async def test_a_hub_killed_at_any_step_loses_nothing_and_doubles_nothing(
    hub: Any, record: Any, tools: Any, where: str
) -> None:
    record.plays(3)
    hub.journal.cut_before = where == "before the journal"
    hub.journal.cut_after = where == "after the journal"
    hub.wire.cut = where == "before the acknowledgement"
    with pytest.raises(tools.Cut):
        await hub.hear(record.sent())
    assert hub.wire.acks == []

    hub.restart()
    await hub.settle()  # the player may never come back: what was kept is told without it

    assert len(hub.journal.plays) == 3
    [ack] = await hub.hear(record.sent())
    assert (ack.seq, len(hub.journal.plays), len(bodies(hub))) == (3, 3, 1)


async def test_a_kept_proof_that_somebody_changed_holds_up_nothing(hub: Any, record: Any) -> None:
    record.plays(2)
    hub.journal.cut_before = True
    with pytest.raises(Exception):  # noqa: B017, PT011 - the power
        await hub.hear(record.sent())
    with sqlite3.connect(hub.folder / "proofs.sqlite3") as db:
        db.execute("DROP TRIGGER envelope_is")
        db.execute("UPDATE envelope SET body = x'00'")
    db.close()
    hub.restart()
    record.plays(1)

    [ack] = await hub.hear(record.sent())

    assert (ack.seq, len(hub.journal.plays)) == (3, 3)


async def test_a_damaged_file_of_proofs_is_set_aside_and_told(hub: Any, record: Any) -> None:
    hub.store.close()
    (hub.folder / "proofs.sqlite3").write_bytes(b"no database" * 1000)
    hub.start()
    record.plays(1)

    [ack] = await hub.hear(record.sent())

    assert ack.seq == 1
    assert hub.store.damaged.read_bytes() == b"no database" * 1000
    assert "set aside" in hub.complaints.recent()["proofs"]


async def test_a_disk_that_takes_nothing_is_told_and_nothing_is_acknowledged(hub: Any, record: Any) -> None:
    record.plays(1)
    with sqlite3.connect(hub.folder / "proofs.sqlite3") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON envelope BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    db.close()

    assert await hub.hear(record.sent()) == []

    assert "disk is full" in hub.complaints.recent()["proofs"]
    assert hub.journal.plays == []


async def test_what_is_kept_is_neither_changed_nor_deleted(hub: Any, record: Any) -> None:
    record.plays(1)
    await hub.hear(record.sent())

    with sqlite3.connect(hub.folder / "proofs.sqlite3") as db:
        for order in ("DELETE FROM envelope", "UPDATE envelope SET player = 'gate-2'"):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(order)
    db.close()


def test_an_acknowledgement_is_worth_nothing_without_the_hubs_signature(record: Any) -> None:
    ack = ProofAck(site="kalsel", player="gate-1", chain=record.chain, seq=1, hash="0" * 64)

    from plugins.videotron.protocol import decode_signed

    with pytest.raises(Refused) as refused:
        decode_signed(ProofAck, encode(ack), {"0" * 32: bytes(32)})

    assert refused.value.attack is Attack.UNSIGNED
