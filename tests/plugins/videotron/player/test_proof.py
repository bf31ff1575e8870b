"""Plays are chained, and kept until the hub has them, whatever happens to the process or its disk."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.player.proof import BATCH, BATCH_BYTES, Ended, ProofLog, Shown
from plugins.videotron.protocol import ProofAck, ProofEntry, SigningKey, encode_signed
from plugins.videotron.protocol.chain import BEGINNING, Result, Segment, lost_before, segment_of

NOON = datetime(2026, 11, 22, 4, 0, 0, 123456, tzinfo=UTC)
BOOT, LATER = "00000000000000aa", "00000000000000bb"
Open = Callable[..., ProofLog]


@pytest.fixture
def told() -> list[Path]:
    return []


@pytest.fixture
def open_log(tmp_path: Path, told: list[Path]) -> Any:
    """Opens the record as another process would: the one before is not closed."""
    logs: list[ProofLog] = []

    def open_log(boot: str = BOOT, keep: int = 100) -> ProofLog:
        logs.append(ProofLog(tmp_path / "proof.db", boot=boot, keep=keep, set_aside=told.append))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


@contextlib.contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """A file system on which no file grows beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def shown(at: int = 0, **changes: Any) -> Shown:
    facts = {"item": "IP-2026-11-0001", "title": "Cegah DBD", "sha256": "a" * 64, "epoch": 3, "manifest": 7}
    return Shown(**{**facts, "started_at": NOON + timedelta(seconds=at), **changes})


def play(log: ProofLog, at: int = 0, *, result: Result = Result.COMPLETED, reason: str = "") -> bool:
    """One playback from beginning to end."""
    one = shown(at)
    log.record([one])
    return log.record([Ended(shown=one, seconds=1.5, result=result, reason=reason)])


def sent(log: ProofLog) -> Segment | None:
    batch = log.next_batch("gate-1")
    return segment_of(batch) if batch else None


def entries(log: ProofLog) -> tuple[ProofEntry, ...]:
    segment = sent(log)
    return segment.entries if segment else ()


def ack_for(segment: Segment | None, seq: int | None = None) -> ProofAck:
    assert segment is not None
    seq = segment.last if seq is None else seq
    digest = segment.known().get(seq, BEGINNING).hex()
    return ProofAck(site="kalsel", player="gate-1", chain=segment.chain, seq=seq, hash=digest)


def test_plays_are_there_after_the_process_was_killed(open_log: Open) -> None:
    play(open_log(), result=Result.PARTIAL, reason="withdrawn")

    [entry] = entries(open_log(LATER))

    assert (entry.boot, entry.started_at, entry.seconds) == (BOOT, NOON, 1.5)
    assert (entry.result, entry.reason) == ("partial", "withdrawn")
    assert (entry.title, entry.sha256, entry.cid, entry.epoch, entry.manifest) == (
        "Cegah DBD",
        "a" * 64,
        "a" * 32,
        3,
        7,
    )


def test_what_was_on_when_the_power_was_cut_is_proved_as_unknown_at_the_next_start(open_log: Open) -> None:
    log = open_log()
    play(log)
    log.record([shown(10)])

    found = entries(open_log(LATER))

    assert [(entry.seq, entry.result) for entry in found] == [(1, "completed"), (2, "unknown")]
    assert (found[1].boot, found[1].started_at, found[1].seconds) == (BOOT, NOON + timedelta(seconds=10), 0)
    assert "power" in found[1].reason
    assert len(entries(open_log(LATER))) == 2  # once


def test_a_clock_that_was_behind_is_told_with_the_play(open_log: Open) -> None:
    log = open_log()
    one = shown(clock_behind=True)

    log.record(
        [one, Ended(shown=one, seconds=1, result=Result.PARTIAL, reason="withdrawn"), shown(5, clock_behind=True)]
    )

    found = entries(open_log(LATER))
    assert found[0].reason == "withdrawn; the clock was behind"
    assert found[1].reason.endswith("; the clock was behind")


def test_a_play_whose_end_nobody_saw_is_unknown_as_soon_as_the_next_begins(open_log: Open) -> None:
    log = open_log()

    log.record([shown(0), shown(10)])
    log.record([Ended(shown=shown(10), seconds=2, result=Result.COMPLETED)])

    assert [(entry.seq, entry.result) for entry in entries(log)] == [(1, "unknown"), (2, "completed")]


def test_a_film_that_never_gave_a_picture_is_failed_and_leaves_no_mark(open_log: Open) -> None:
    log = open_log()

    log.record([Ended(shown=shown(), seconds=0, result=Result.FAILED, reason="no picture")])

    assert [entry.result for entry in entries(open_log(LATER))] == ["failed"]


def test_numbers_and_hashes_go_on_over_restarts_and_acknowledgements(open_log: Open) -> None:
    log = open_log()
    play(log)
    play(log, 1)
    before = sent(log)
    assert log.forget(ack_for(before)) == 2

    log = open_log(LATER)
    play(log, 2)

    after = sent(log)
    assert before is not None
    assert after is not None
    assert (after.chain, after.first) == (before.chain, 3)
    assert after.hashes[0] == before.hashes[-1]
    assert (log.chain, log.seq, log.waiting) == (before.chain, 3, 1)


def test_an_acknowledgement_drops_only_what_it_covers(open_log: Open) -> None:
    log = open_log()
    for at in range(4):
        play(log, at)

    log.forget(ack_for(sent(log), 2))

    assert [entry.seq for entry in entries(log)] == [3, 4]
    assert log.waiting == 2


def test_ack_replay_of_another_chain(open_log: Open) -> None:
    log = open_log()
    play(log)
    right = ack_for(sent(log))

    assert log.forget(right.model_copy(update={"chain": "f" * 16})) == 0

    assert len(entries(log)) == 1


def test_ack_replay_of_an_older_one(open_log: Open) -> None:
    log = open_log()
    play(log)
    old = ack_for(sent(log))
    log.forget(old)
    play(log, 1)
    play(log, 2)
    log.forget(ack_for(sent(log), 2))
    chain = log.chain

    assert log.forget(old) == 0

    assert (log.chain, [entry.seq for entry in entries(log)]) == (chain, [3])


def test_a_record_that_a_lying_disk_rolled_back_goes_on_in_a_new_chain(open_log: Open, tmp_path: Path) -> None:
    log = open_log()
    play(log)
    log.close()
    saved = (tmp_path / "proof.db").read_bytes()
    log = open_log()
    play(log, 1)
    old_chain, lost_by_the_disk = log.chain, ack_for(sent(log), 2)
    log.close()
    (tmp_path / "proof.db").write_bytes(saved)
    log = open_log(LATER)
    play(log, 5)

    assert log.forget(lost_by_the_disk) == 0

    assert log.chain != old_chain
    found = entries(log)
    assert [(entry.seq, entry.boot) for entry in found] == [(1, BOOT), (2, LATER)]
    assert "older than what the hub has" in found[0].reason


def test_an_acknowledgement_of_more_than_there_is_deletes_nothing(open_log: Open) -> None:
    log = open_log()
    play(log)

    log.forget(ack_for(sent(log)).model_copy(update={"seq": 99}))

    assert log.waiting == 1


def test_when_there_is_no_room_the_oldest_stay_and_the_gap_is_told(open_log: Open) -> None:
    log = open_log(keep=2)

    assert [play(log, at) for at in range(5)] == [True, True, False, False, False]
    log.forget(ack_for(sent(log)))
    play(log, 9)

    [entry] = entries(log)
    assert (entry.seq, lost_before(entry.reason)) == (3, 3)  # the chain has no hole, the reason tells of three
    assert log.lost == 3
    play(log, 10)
    assert lost_before(entries(log)[-1].reason) == 0


def test_the_count_of_lost_plays_survives_a_new_chain(open_log: Open, tmp_path: Path) -> None:
    log = open_log(keep=2)
    for at in range(4):
        play(log, at)
    log.forget(ack_for(sent(log)))
    play(log, 9)

    log.forget(ack_for(sent(log)).model_copy(update={"hash": "0" * 64}))

    [entry] = entries(log)
    assert (entry.seq, lost_before(entry.reason), log.lost) == (1, 2, 2)
    assert "older than what the hub has" in entry.reason


def test_a_spoiled_record_is_set_aside_and_a_new_chain_begun(open_log: Open, tmp_path: Path, told: list[Path]) -> None:
    (tmp_path / "proof.db").write_bytes(b"no database" * 100)

    log = open_log()

    assert play(log)
    assert told[0].read_bytes() == b"no database" * 100
    assert "spoiled" in entries(log)[0].reason


def test_a_disk_that_takes_nothing_does_not_keep_the_player_from_starting(open_log: Open, tmp_path: Path) -> None:
    (tmp_path / "proof.db").symlink_to(tmp_path / "away" / "proof.db")

    log = open_log()

    assert play(log)
    assert "in memory alone" in log.trouble
    assert "could not be opened" in entries(log)[0].reason


def test_a_disk_that_is_full_when_the_player_is_started_again_ends_neither_player_nor_record(
    open_log: Open, tmp_path: Path
) -> None:
    log = open_log()
    play(log)
    log.record([shown(5)])  # and the power is cut

    with no_more_than((tmp_path / "proof.db-wal").stat().st_size):
        again = open_log(LATER)

    assert again.waiting == 1
    play(again, 9)
    assert [entry.result for entry in entries(again)] == ["completed", "unknown", "completed"]


def test_an_entry_that_the_disk_changed_is_never_sent_and_the_others_go_on(open_log: Open, tmp_path: Path) -> None:
    log = open_log()
    for at in range(3):
        play(log, at)
    chain = log.chain
    with sqlite3.connect(tmp_path / "proof.db") as db:
        db.execute("update entry set text = replace(text, '1.5', '1.6') where seq = 2")
    db.close()

    segment = sent(log)

    assert segment is not None
    assert segment.chain != chain
    assert len(segment.entries) == 3
    assert "spoiled" in segment.entries[0].reason


def test_a_batch_is_bounded_in_number_and_in_bytes(open_log: Open) -> None:
    log = open_log(keep=1000)
    small = [Ended(shown=shown(at), seconds=1, result=Result.COMPLETED) for at in range(BATCH + 50)]
    log.record(small[:BATCH])
    assert 100 < len(entries(log)) <= BATCH
    while segment := sent(log):
        log.forget(ack_for(segment))
    log.record([Ended(shown=shown(title='"' * 300), seconds=1, result=Result.COMPLETED) for _ in range(BATCH)])

    batch = log.next_batch("gate-1")

    assert batch is not None
    assert BATCH_BYTES / 2 < len(encode_signed(batch, SigningKey.new())) < 1.2 * BATCH_BYTES


def test_a_film_with_impossible_facts_is_counted_as_lost_and_holds_up_nobody(open_log: Open) -> None:
    log = open_log()

    assert not log.record([Ended(shown=shown(sha256="?"), seconds=1, result=Result.COMPLETED)])

    play(log)
    assert lost_before(entries(log)[0].reason) == 1
