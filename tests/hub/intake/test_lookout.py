"""A look round: cheap while nothing changes, and never blind to what does."""

from __future__ import annotations

import os
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.intake.lookout import Lookout, Round
from hub.intake.settings import IntakeSettings
from hub.intake.settle import Busy, Settler
from tests.hub.intake.writing import film

START = datetime(2026, 11, 23, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at


class Desk:
    """A watched folder, the lookout and a clock that the test moves."""

    def __init__(self, inbox: Path, **settings: float) -> None:
        self.inbox, self.clock = inbox, Clock()
        values = IntakeSettings(**settings)  # type: ignore[arg-type]
        self.settler = Settler(inbox, values, self.clock, on_lease_unknown=lambda parts: None)
        self.lookout = Lookout(inbox, self.settler, values, self.clock)

    def drop(self, name: str, data: bytes = b"isi") -> Path:
        path = self.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def look(self, after_s: float = 0.0) -> Round:
        self.clock.at += after_s
        return self.lookout.look_round()

    def ready(self, after_s: float = 0.0) -> list[str]:
        return [one.bundle.anchor for one in self.look(after_s).ready]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_while_nothing_changes_the_answer_is_the_same_object(desk: Desk) -> None:
    desk.drop("a.mp4")
    desk.drop("paket/b.mp4")
    desk.look()
    first = desk.look(5.0)

    assert [one.bundle.anchor for one in first.ready] == ["a.mp4", "paket"]
    assert desk.look(5.0) is desk.look(5.0)
    assert desk.look().ready == first.ready


@pytest.mark.parametrize("change", ["written", "touched", "replaced", "chmod", "a sidecar comes", "linked"])
def test_what_changes_is_looked_at_again(desk: Desk, change: str, tmp_path: Path) -> None:
    path = desk.drop("a.mp4")
    desk.look()
    assert desk.ready(1.0) == ["a.mp4"]
    desk.look()

    if change == "written":
        path.write_bytes(b"isi")
    elif change == "touched":
        os.utime(path, (1, 1))
    elif change == "replaced":
        desk.drop(".baru").replace(path)
    elif change == "chmod":
        path.chmod(0o640)
    elif change == "linked":
        os.link(path, tmp_path / ".lain")
    else:
        desk.drop("a.txt")

    assert desk.ready() == []
    waits = 10.0 if change == "linked" else 1.0
    assert desk.ready(waits) == ["a.mp4"]


@pytest.mark.parametrize("change", ["a file comes", "a file goes", "a file is written", "an upload begins"])
def test_a_folder_that_changes_is_looked_at_again(desk: Desk, change: str) -> None:
    desk.drop("paket/a.mp4")
    path = desk.drop("paket/b.mp4")
    desk.look()
    assert desk.ready(3.0) == ["paket"]
    desk.look()

    if change == "a file comes":
        desk.drop("paket/c.mp4")
    elif change == "a file goes":
        path.unlink()
    elif change == "an upload begins":
        desk.drop("paket/c.mp4.part")
    else:
        path.write_bytes(b"lain")

    assert desk.ready() == []
    assert (desk.ready(3.0) == ["paket"]) is (change != "an upload begins")


def test_an_upload_that_still_grows_holds_its_folder_back_however_long_it_takes(desk: Desk) -> None:
    desk.drop("paket/a.mp4")
    upload = desk.drop("paket/b.mp4.part")
    desk.look()
    for size in range(5):
        assert desk.ready(500.0) == []
        upload.write_bytes(bytes(size + 10))
        assert desk.ready() == []

    desk.look(601.0)
    assert desk.ready(601.0) == ["paket"]  # nobody goes on with it: a leftover


def test_drops_that_are_gone_are_forgotten(desk: Desk) -> None:
    for number in range(50):
        path = desk.drop(f"{number}.mp4")
        desk.look()
        desk.look(1.0)
        path.unlink()

    assert desk.look().names == frozenset()
    assert desk.settler._seen == {}
    assert desk.lookout._known == {}


def test_all_files_of_a_folder_become_quiet_together(desk: Desk) -> None:
    """A busy file must not keep the others from being looked at."""
    with desk.drop("paket/a.mp4").open("ab"):
        desk.drop("paket/b.mp4")
        desk.look()
        assert desk.ready(3.0) == []
    assert desk.ready(1.0) == ["paket"]


def test_with_no_quiet_time_evidence_alone_decides_and_nothing_spins(tmp_path: Path) -> None:
    desk = Desk(tmp_path, quiet_for_s=0.0)
    whole, untold = desk.drop("utuh.mp4", film()), desk.drop("suara.flac", b"fLaC" + bytes(50))
    desk.drop("separuh.mp4", film()[:100_000])
    desk.drop("kosong.mp4", b"")
    os.link(desk.drop("dua.mp4", film()), tmp_path / ".nama lain")
    with desk.drop("terbuka.mp4", film()).open("ab"):
        look = desk.look()

    assert {one.bundle.anchor for one in look.ready} == {whole.name, untold.name}
    assert {one.anchor: one.again_in_s for one in look.arriving} == {
        "separuh.mp4": 120.0,
        "kosong.mp4": 10.0,
        "dua.mp4": 10.0,
        "terbuka.mp4": 1.0,
    }


@pytest.mark.parametrize(("data", "waits_s"), [(b"fLaC" + bytes(50), 10.0), (film(), 1.0), (b"Judul: x\n", 1.0)])
def test_a_kind_that_tells_nothing_of_its_end_waits_longer(desk: Desk, data: bytes, waits_s: float) -> None:
    desk.drop("suara", data)
    desk.look()

    assert desk.ready(waits_s - 0.1) == []
    assert desk.ready(0.1) == ["suara"]


def test_a_missing_end_is_waited_for_since_the_last_change(desk: Desk) -> None:
    path = desk.drop("klip.mp4", film()[:100_000])
    desk.look()
    assert "49 %" in str(desk.look(1.0).arriving[0].why)
    assert desk.look(118.9).arriving[0].again_in_s == pytest.approx(0.1)

    path.write_bytes(film()[:150_000])

    desk.look()
    assert desk.look(119.0).arriving[0].again_in_s == pytest.approx(1.0)
    assert desk.ready(1.0) == ["klip.mp4"]  # the probe says what is wrong with it


def test_a_lease_is_asked_for_again_when_the_wait_for_the_end_is_over(desk: Desk) -> None:
    path = desk.drop("klip.mp4", film()[:100_000])
    desk.look()
    desk.look(1.0)

    with path.open("ab"):
        desk.clock.at += 120.0

        assert isinstance(desk.settler.look((path.name,)), Busy)


def test_what_could_not_be_claimed_is_asked_about_again(desk: Desk) -> None:
    path = desk.drop("klip.mp4")
    desk.look()
    (ready,) = desk.look(1.0).ready
    with path.open("ab"):
        assert desk.ready() == ["klip.mp4"]  # nothing shows that it was opened

        desk.lookout.doubt(ready)

        assert desk.ready() == []
    assert desk.ready(1.0) == ["klip.mp4"]


def test_rounds_do_not_gather_memory(desk: Desk) -> None:
    for number in range(300):
        desk.drop(f"klip-{number}.mp4")
        desk.drop(f"separuh-{number}.mp4", film(1000)[:500])
        desk.drop(f"unggah-{number}.part")
    desk.look()
    desk.look(2.0)
    tracemalloc.start()
    try:
        for _ in range(3):
            desk.look(1.0)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            desk.look(1.0)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 50_000
