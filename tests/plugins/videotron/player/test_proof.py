"""Plays are kept until the hub has them, whatever happens to the process."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plugins.videotron.player.proof import ProofLog, open_proof_log
from plugins.videotron.protocol import ProofAck

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
BOOT, LATER = "00000000000000aa", "00000000000000bb"


def play(log: ProofLog, seconds: float = 1.5) -> bool:
    return log.record(item="IP-2026-11-0001", cid="a" * 32, started_at=NOON, seconds=seconds, complete=True)


def ack(boot: str, first: int, seq: int) -> ProofAck:
    return ProofAck(player="gate-1", boot=boot, first=first, seq=seq)


def numbers(log: ProofLog) -> list[int]:
    batch = log.next_batch("gate-1")
    return [e.seq for e in batch.entries] if batch else []


def test_plays_are_there_after_the_process_was_killed(tmp_path: Path) -> None:
    killed = ProofLog(tmp_path / "proof.db", boot=BOOT, keep=100)
    play(killed, seconds=2.5)

    log = ProofLog(tmp_path / "proof.db", boot=LATER, keep=100)  # the other was never closed
    batch = log.next_batch("gate-1")

    assert batch is not None
    assert batch.boot == BOOT
    entry = batch.entries[0]
    assert (entry.started_at, entry.seconds, entry.complete) == (NOON, 2.5, True)
    killed.close()
    log.close()


def test_an_acknowledged_number_is_never_given_again(tmp_path: Path) -> None:
    log = ProofLog(tmp_path / "proof.db", boot=BOOT, keep=100)
    play(log)
    assert log.forget(ack(BOOT, 1, 1)) == 1
    log.close()

    log = ProofLog(tmp_path / "proof.db", boot=LATER, keep=100)
    play(log)

    assert numbers(log) == [2]
    log.close()


def test_an_acknowledgement_drops_only_what_it_names(tmp_path: Path) -> None:
    log = ProofLog(tmp_path / "proof.db", boot=BOOT, keep=100)
    for _ in range(4):
        play(log)

    log.forget(ack(LATER, 0, 99))
    log.forget(ack(BOOT, 2, 3))

    assert numbers(log) == [1, 4]
    assert log.waiting == 2
    log.close()


def test_a_batch_holds_the_plays_of_one_boot(tmp_path: Path) -> None:
    for boot in (BOOT, LATER):
        log = ProofLog(tmp_path / "proof.db", boot=boot, keep=100)
        play(log)
        log.close()
    log = ProofLog(tmp_path / "proof.db", boot=LATER, keep=100)

    assert numbers(log) == [1]
    log.forget(ack(BOOT, 1, 1))
    assert numbers(log) == [2]
    log.close()


def test_when_there_is_no_room_the_oldest_stay_and_the_loss_is_counted(tmp_path: Path) -> None:
    log = ProofLog(tmp_path / "proof.db", boot=BOOT, keep=2)

    assert [play(log) for _ in range(4)] == [True, True, False, False]

    assert numbers(log) == [1, 2]
    assert log.lost == 2
    log.close()


def test_a_spoiled_record_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "proof.db").write_bytes(b"no database" * 100)
    told: list[Any] = []

    log = open_proof_log(tmp_path / "proof.db", boot=BOOT, keep=10, set_aside=told.append)

    assert play(log)
    assert told[0].read_bytes() == b"no database" * 100
    log.close()
