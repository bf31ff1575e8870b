"""What people are told about each screen: by health, by the table, and by JSON."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from hub.messages import catalogue
from hub.testing import NOON, FakeClock
from plugins.videotron.commands.players_table import overview, plain, portrait
from plugins.videotron.protocol import Machine, Manifest, ManifestItem, PlayerState, Playing, Problem, Rejection, Screen
from plugins.videotron.screens import condition
from plugins.videotron.screens.condition import Conditions, Duty, Truth, goes_on_until
from plugins.videotron.screens.roster import Roster
from plugins.videotron.settings import ScreenSettings

CID = "ab" * 16
DAY = timedelta(days=1)
ZONE = ZoneInfo("Asia/Makassar")


def item(number: str = "IP-2026-11-0007", **changes: Any) -> ManifestItem:
    facts = {
        "item": number,
        "title": "Imbauan [bold]banjir",
        "start": NOON,
        "end": NOON + 30 * DAY,
        "fresh_s": 7 * 86400,
    }
    return ManifestItem(cid=CID, sha256="ab" * 32, size=5, seconds=10.0, **facts | changes)


def manifest(*items: ManifestItem, seq: int = 4) -> Manifest:
    valid = {"issued": NOON, "expires": NOON + 7 * DAY, "screen": Screen(width=64, height=32)}
    return Manifest(site="banjar", aud="gate-1", keyset=2, epoch=1, seq=seq, items=items, **valid)


def state(player: str = "gate-1", n: int = 1, **changes: Any) -> PlayerState:
    facts: dict[str, Any] = {
        "player": player,
        "online": True,
        "software": "siarhub-player 1",
        "boot": "0" * 16,
        "boots": 1,
        "n": n,
        "keyset": 2,
        "epoch": 1,
        "seq": 4,
        "override": 0,
        "command": 0,
        "shows": "items",
        "playing": Playing(item="IP-2026-11-0007", cid=CID, since=NOON, position=1.0),
        "holds": (CID,),
        "mpv": "playing",
        "free_bytes": 1 << 30,
        "clock": NOON,
        "time": NOON,
        "chain": "0" * 16,
        "proof_seq": 0,
        "machine": Machine(memory_mb=300, temperature_c=60.0, decoder="v4l2m2m"),
    }
    return PlayerState(**facts | changes)


class Screens:
    """Two screens whose players said what a test lets them say."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        screens = {name: ScreenSettings(width=64, height=32) for name in ("gate-1", "hall-1")}
        self.roster = Roster(screens, silent_after=timedelta(seconds=90), clock=self.clock)
        translate = catalogue("id", Path(condition.__file__).parents[1])
        self.conditions = Conditions(self.roster, translate=translate, clock=self.clock)
        self.duties = {name: Duty(manifest=manifest(item()), keyset=2) for name in screens}
        self.truths: dict[str, Truth] = {}

    def say(self, *states: PlayerState) -> None:
        for one in states:
            self.roster.on_state(one.player, one, retained=False)

    def all_well(self, n: int = 1, **changes: Any) -> None:
        clock = {"clock": self.clock.now()}
        self.say(state("gate-1", n, **clock | changes), state("hall-1", n, **clock))

    def rows(self) -> dict[str, dict[str, Any]]:
        rows = self.conditions.rows(self.duties, progress={"gate-1": (3, 8)}, truths=self.truths)
        return {row["player"]: row for row in rows}

    def codes(self, player: str = "gate-1") -> list[str]:
        return [fault.code for fault in self.conditions.faults(player, self.duties[player], self.truths.get(player))]

    def troubles(self) -> list[str]:
        return self.conditions.troubles(self.duties, self.truths)

    def table(self, width: int = 80, *, of: str = "") -> str:
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
        rows, now = self.rows(), self.clock.now()
        shown = portrait(rows[of], zone=ZONE, now=now) if of else None
        console.print(shown or overview(list(rows.values()), console=console, zone=ZONE, now=now))
        console.file.close()
        return console.export_text()


@pytest.fixture
def screens() -> Screens:
    return Screens()


def test_screens_that_show_what_they_should_are_well(screens):
    screens.all_well()

    assert screens.troubles() == []
    assert screens.rows()["gate-1"]["playing"]["title"] == "Imbauan [bold]banjir"
    assert screens.conditions.details(screens.duties, {})["gate-1"] == "online; shows IP-2026-11-0007"


@pytest.mark.parametrize("shows", ["blackout", "fallback", "emergency"])
def test_off_on_order_or_outside_its_hours_is_no_fault(screens, shows):
    screens.all_well(shows=shows, playing=None)

    assert screens.troubles() == []


def test_who_was_never_heard_and_who_fell_silent_are_told_apart(screens):
    screens.say(state("gate-1"))
    screens.clock.advance(timedelta(minutes=10))

    assert screens.codes("gate-1") == ["not heard"]
    assert screens.codes("hall-1") == ["never heard"]
    assert screens.troubles() == ["2 of 2 players not heard: gate-1, hall-1"]


@pytest.mark.parametrize(
    ("off", "code", "words"), [(-3, "clock behind", "3 h behind"), (2, "clock ahead", "2 h ahead")]
)
def test_a_wrong_clock_is_noticed_by_the_hub(screens, off, code, words):
    screens.all_well(clock=NOON + timedelta(hours=off))

    assert screens.codes() == [code]
    assert words in screens.conditions.details(screens.duties, {})["gate-1"]


def test_what_the_player_tells_of_its_clock_is_not_told_twice(screens):
    screens.all_well(clock=NOON - DAY, problems=(Problem(code="clock behind", text="by at least 1 days"),))

    assert screens.codes() == ["clock behind"]


def test_a_player_has_a_minute_to_follow(screens):
    screens.all_well(seq=3)
    assert screens.codes() == []
    screens.clock.advance(timedelta(minutes=1))
    screens.all_well(2, seq=3)

    assert screens.codes() == ["out of step"]
    assert "1/3, the hub's is 1/4" in screens.conditions.details(screens.duties, {})["gate-1"]

    screens.all_well(3)
    assert screens.codes() == []


def test_an_alarm_about_the_picture_comes_first_with_both_pictures(screens):
    screens.all_well(problems=(Problem(code="too hot", text="91 °C"),))
    screens.truths["gate-1"] = Truth(
        at=NOON, verdict="mismatch", alarm="wrong picture", picture="/a.jpg", approved="/b.jpg"
    )

    assert screens.troubles() == ["wrong picture at gate-1: /a.jpg, approved: /b.jpg", "gate-1: too hot"]
    assert "WRONG PICTURE" in screens.table()


def test_every_problem_stands_with_its_remedy_in_both_languages(screens):
    screens.all_well(problems=(Problem(code="disk full", text="5 MB"), Problem(code="teapot")))

    first, unknown = screens.rows()["gate-1"]["problems"]

    assert first["remedy"].startswith("Kosongkan penyimpanan")
    assert first["remedy_en"].startswith("Make room")
    assert "journalctl" in unknown["remedy"]


def test_until_when_a_screen_goes_on_alone_follows_from_its_manifest():
    early = item("IP-2026-11-0001", end=NOON + DAY)
    stale = item("IP-2026-11-0002", fresh_s=3 * 86400)

    assert goes_on_until(manifest(early, stale)) == NOON + 3 * DAY
    assert goes_on_until(manifest(early)) == NOON + DAY
    assert goes_on_until(manifest()) is None


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_the_terminal(screens, width):
    screens.all_well(problems=(Problem(code="too hot", text="91 °C " * 30),))

    shown = screens.table(width)

    assert max(len(line) for line in shown.splitlines()) <= width
    assert "gate-1" in shown
    assert "→" in shown


def test_text_from_a_player_is_neither_markup_nor_control(screens):
    refused = Rejection(attack="unsigned", count=2, last=NOON, text="\x1b[31m[red]x[/red]\n\u202e")
    screens.all_well(
        software="\x1b]0;x\x07v1", rejections=(refused,), problems=(Problem(code="other", text="[b]\x1b[2J"),)
    )

    shown = screens.table(of="gate-1") + screens.table()

    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown
    assert "Imbauan [bold]banjir" in shown
    assert plain("a\u202eb\x00c") == "a b c"


def test_the_portrait_tells_all_that_is_known(screens):
    screens.all_well(received_bytes=90 << 20, received_bytes_per_s=2048, command=3, clock=NOON + timedelta(seconds=40))

    shown = screens.table(of="gate-1")

    for part in ("90 MB", "2 kB/s", "40 s ahead", "300 MB free", "60 °C", "v4l2m2m", "1/4", "holds 1 of 1"):
        assert part in shown, part
