"""Whose fault a failed run is: the machine's, the file's, or a few tries decide."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from hub.api.errors import RetryLater
from hub.media import blame
from hub.media.blame import Doubtful, available_mib, blamed
from hub.media.runner import Finished, Stopped
from hub.messages import Refusal

NO_MEMORY = "[error] Error while decoding: Cannot allocate memory"


def ended(code: int, tail: str = "", stopped: Stopped | None = None) -> Finished:
    return Finished(exit_code=code, output=b"", tail=tail, seconds=1.0, stopped=stopped)


@pytest.fixture
def starved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 2000000 kB\nMemAvailable: 100000 kB\n")
    monkeypatch.setattr(blame, "MEMINFO", tmp_path / "meminfo")


def test_a_full_disk_is_never_the_files_fault() -> None:
    error = blamed(ended(1, "av_interleaved_write_frame(): No space left on device"), "ffmpeg")

    assert isinstance(error, RetryLater)
    assert not isinstance(error, Doubtful)


def test_killed_from_outside_may_be_either_and_ends_in_a_reason_that_names_memory() -> None:
    error = blamed(ended(-signal.SIGKILL), "ffprobe")

    assert isinstance(error, Doubtful)
    assert "memory" in str(error.otherwise)


def test_memory_refused_by_a_machine_that_has_plenty_is_the_limit_of_the_tool() -> None:
    error = blamed(ended(1, NO_MEMORY), "ffprobe")

    assert isinstance(error, Refusal)
    assert "memory" in str(error)


@pytest.mark.usefixtures("starved")
def test_memory_refused_by_a_machine_that_has_none_may_be_either() -> None:
    assert available_mib() == 97
    assert isinstance(blamed(ended(1, NO_MEMORY), "ffprobe"), Doubtful)


def test_what_we_ended_ourselves_or_simply_failed_says_nothing_about_the_machine() -> None:
    assert blamed(ended(-signal.SIGKILL, stopped=Stopped.DEADLINE), "ffprobe") is None
    assert blamed(ended(1, "Invalid data found when processing input"), "ffprobe") is None
    assert blamed(ended(-signal.SIGSEGV), "ffprobe") is None
    assert blamed(ended(0), "ffprobe") is None


def test_a_standstill_may_be_either() -> None:
    assert isinstance(blamed(ended(-15, stopped=Stopped.STALLED), "ffmpeg"), Doubtful)
