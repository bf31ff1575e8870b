"""What mpv has waiting: the loop in its turn, past what is broken, with the spare behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plugins.videotron.player.clips import Clip
from plugins.videotron.player.program import Program

A, B, C, D, E = (Clip(key=key, path=Path(key), item=key) for key in "abcde")
SPARE = Clip(key="fallback", path=Path("fallback"))


def showing(*loop: Clip) -> Program:
    program = Program()
    program.spare = SPARE
    program.show(loop)
    program.changed.clear()
    return program


def test_the_next_clips_wait_and_the_spare_behind_them() -> None:
    program = showing(A, B, C, D, E)
    program.begun(C)

    assert program.waiting() == [D, E, A, SPARE]


def test_a_loop_of_one_waits_for_itself() -> None:
    program = showing(A)
    program.begun(A)

    assert program.waiting() == [A, SPARE]


def test_the_spare_is_no_spare_while_it_is_the_loop() -> None:
    assert showing(SPARE).waiting() == [SPARE]


def test_broken_clips_do_not_keep_the_others_waiting() -> None:
    program = showing(A, B, C, D, E)
    program.begun(A)
    for clip in (B, C, D):
        program.failed(clip)

    assert program.waiting() == [E, A, SPARE]


def test_broken_clips_are_tried_again_when_there_are_no_others_or_the_loop_changes() -> None:
    program = showing(A, B)
    program.failed(A)
    program.failed(B)

    assert program.waiting() == [A, B, SPARE]
    program.failed(A)
    program.show((A, C))
    assert program.waiting() == [A, C, SPARE]


def test_a_new_manifest_with_the_same_clips_changes_nothing_but_is_named_from_then_on() -> None:
    program = showing(A, B)

    program.show((replace(A, manifest=7), replace(B, manifest=7)))

    assert not program.changed.is_set()
    assert program.allows(A)
    assert program.begun(A).manifest == 7


def test_black_on_order_leaves_nothing_waiting_until_something_is_shown_again() -> None:
    program = showing(A, B)

    program.darken()
    assert program.changed.is_set()
    assert (program.empty, program.allows(A), program.waiting()) == (True, False, [])

    program.changed.clear()
    program.show((A, B))
    assert program.changed.is_set()
    assert program.allows(A)
