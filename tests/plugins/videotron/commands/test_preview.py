"""`siarhub videotron preview`, the real command on what the hub really signed, with and without the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli.main import main
from plugins.videotron.emergency.overrides import Change, Overrides
from plugins.videotron.keys.keyring import Keyring, load, make
from plugins.videotron.manifests import Programme
from plugins.videotron.protocol import ManifestItem, Mode, Standby
from plugins.videotron.protocol.manifests import Screen
from plugins.videotron.reading import OVERRIDES, STORE
from plugins.videotron.store import Store, Wish
from tests.plugins.videotron.protocol.making import DAY, ISSUED, item, local

NOON = "2026-11-23 12:00"


def film(number: int, *, name: str = "") -> Standby:
    made = item(number)
    return Standby(
        cid=made.cid, sha256=made.sha256, size=made.size, seconds=9.0, item=made.item, title=made.title, name=name
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A settings file with one screen, and what a hub leaves in its state folder."""

    folder: Path
    keyring: Keyring

    @property
    def state(self) -> Path:
        return self.folder / "state" / "plugins" / "videotron"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.folder / "siarhub.toml"), "videotron", *arguments])

    def json(self, *arguments: str) -> Any:
        result = self.run("preview", "gerbang", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def sign(self, *items: ManifestItem, zone: str = "Asia/Makassar", **kept: Any) -> None:
        with self.running(*items, zone=zone, **kept):
            pass

    @contextmanager
    def running(self, *items: ManifestItem, zone: str = "Asia/Makassar", **kept: Any) -> Iterator[None]:
        """A hub that has the database open."""
        store = Store(self.state / STORE)
        wish = Wish(
            player="gerbang",
            screen=Screen(width=64, height=32, zone=zone),
            programme=Programme(items=items, **kept),
        )
        store.issue([wish], keyring=self.keyring, now=ISSUED, valid=7 * DAY, reissue=timedelta(hours=6))
        try:
            yield
        finally:
            store.close()

    def order(self, mode: Mode, *films: Standby, until: datetime | None = None) -> None:
        overrides = Overrides(self.state / OVERRIDES)
        change = Change(wish="1", mode=mode, films=films, until=until)
        overrides.issue({"gerbang": change}, keyring=self.keyring, now=ISSUED)
        overrides.close()


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    folder = tmp_path_factory.mktemp("keys")
    now = datetime.now(UTC)
    make(folder, site="kalsel", now=now)
    return load(folder, now=now)


@pytest.fixture
def office(tmp_path: Path, keyring: Keyring) -> Office:
    office = Office(folder=tmp_path, keyring=keyring)
    office.state.mkdir(parents=True)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "siarhub.toml").write_text(
        f'[hub]\nstate_dir = "{tmp_path}/state"\nroot = "{tmp_path}/root"\nplugin_dir = "{tmp_path}/plugins"\n'
        '[plugins.videotron.screens.gerbang]\nname = "Gerbang Kota"\nwidth = 64\nheight = 32\n'
    )
    return office


def test_the_round_is_shown_in_order_with_seconds_places_and_why_others_are_left_out(office: Office) -> None:
    office.sign(item(1, share=2), item(2), item(3, dayparts="22:00-05:00"), item(4, priority="urgent", seconds=5.0))

    value = office.json("--at", NOON)

    assert value["at"] == "2026-11-23T12:00:00+08:00"
    assert [(one["place"], one["item"][-1], one["starts_s"]) for one in value["loop"]] == [
        (1, "4", 0.0), (2, "1", 5.0), (3, "4", 15.0), (4, "1", 20.0), (5, "4", 30.0), (6, "2", 35.0),
    ]  # fmt: skip
    assert value["round_s"] == 45.0
    assert [(left["item"], left["why"]) for left in value["left_out"]] == [("IP-2026-11-0003", "outside its hours")]
    assert value["next_change"] == "2026-11-23T22:00:00+08:00"


def test_people_read_the_same_in_a_table(office: Office) -> None:
    office.sign(item(1, title="Siaga [red]Karhutla[/]\x1b[31m"), item(2, days=(7,)))

    output = office.run("preview", "gerbang", "--at", NOON).output

    assert "gerbang Gerbang Kota, 2026-11-23 12:00:00 (Asia/Makassar)" in output
    assert "Siaga [red]Karhutla[/]\ufffd[31m" in output
    assert "1 places, 10.0 s a round" in output
    assert "IP-2026-11-0002 film 2" in output
    assert "other day" in output
    assert "The round stays so until 2026-11-29 00:00:00." in output
    assert "could go on until 2026-11-30 00:00:00, then" in output
    assert "its own, since no approved one was" in output


@pytest.mark.parametrize(
    "at", ["2026-11-23 23:30", "2026-11-23T23:30", "2026-11-24T00:30+09:00", "2026-11-23T15:30:00Z"]
)
def test_a_time_is_the_screen_s_own_or_says_its_offset(office: Office, at: str) -> None:
    office.sign(item(1, dayparts="22:00-05:00"))

    assert office.json("--at", at)["at"] == "2026-11-23T23:30:00+08:00"


def test_a_screen_in_papua_is_asked_in_its_own_time(office: Office) -> None:
    office.sign(item(1, dayparts="06:00-09:00"), zone="Asia/Jayapura")

    value = office.json("--at", "2026-11-23 06:00")

    assert value["at"] == "2026-11-23T06:00:00+09:00"
    assert len(value["loop"]) == 1


def test_without_a_time_it_is_now_and_a_time_alone_is_today(office: Office) -> None:
    now = datetime.now(UTC)
    office.sign(item(1, start=now - DAY, end=now + DAY, fresh_s=1))

    at = datetime.fromisoformat(office.json()["at"])

    assert abs(at - now) < timedelta(minutes=1)
    assert [len(office.json(*words)["loop"]) for words in ((), ("--alone",))] == [1, 0]
    assert office.json("--at", "22.30")["at"][10:] == "T22:30:00+08:00"


@pytest.mark.parametrize("at", ["besok", "2026-02-30", "99:99", "9999-12-31", "0001-01-01"])
def test_a_time_that_is_none_is_a_wrong_use(office: Office, at: str) -> None:
    office.sign(item(1))

    assert office.run("preview", "gerbang", "--at", at).exit_code == 2


def test_an_emergency_and_its_end_are_told_above_the_round(office: Office) -> None:
    office.sign(item(1))
    office.order(Mode.EMERGENCY, film(9, name="banjir"), until=local("2026-11-23 13:00"))

    value = office.json("--at", NOON)
    output = " ".join(office.run("preview", "gerbang", "--at", NOON).output.split())

    assert (value["shows"], value["override"]["films"][0]["template"]) == ("emergency", "banjir")
    assert len(value["loop"]) == 1
    assert "Shows an emergency, above the round." in output
    assert "until 2026-11-23 13:00:00: IP-2026-11-0009 film 9 (9.0 s)" in output
    assert office.json("--at", "2026-11-23 13:00")["shows"] == "items"


def test_a_blackout_is_told_until_somebody_clears_it(office: Office) -> None:
    office.sign(item(1))
    office.order(Mode.BLACKOUT)

    output = office.run("preview", "gerbang", "--at", NOON).output

    assert office.json("--at", NOON)["shows"] == "blackout"
    assert "until siarhub videotron clear" in " ".join(output.split())


def test_when_nothing_may_be_shown_the_fallback_is_named(office: Office) -> None:
    office.sign(item(1, days=(7,)), fallback=film(8, name="cadangan"))

    value = office.json("--at", NOON)
    output = " ".join(office.run("preview", "gerbang", "--at", NOON).output.split())

    assert (value["shows"], value["fallback"]["item"]) == ("fallback", "IP-2026-11-0008")
    assert "Shows the fallback: nothing else may be shown then." in output
    assert "shows the fallback: IP-2026-11-0008 film 8." in output


def test_an_unknown_screen_is_answered_with_the_known_ones(office: Office) -> None:
    result = office.run("preview", "pasar")

    assert result.exit_code == 1
    assert "there is no screen pasar; the screens: gerbang" in result.stderr


def test_before_anything_was_signed_the_remedy_is_named_and_no_file_is_made(office: Office) -> None:
    result = office.run("preview", "gerbang")

    assert result.exit_code == 1
    assert "start the hub" in result.stderr
    assert list(office.state.iterdir()) == []


def test_a_damaged_database_is_told_and_not_traced(office: Office) -> None:
    (office.state / STORE).write_bytes(b"rubbish" * 1000)

    result = office.run("preview", "gerbang")

    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_it_reads_while_the_hub_runs_and_when_it_is_down_in_a_folder_where_it_may_not_write(office: Office) -> None:
    with office.running(item(1)):
        assert len(office.json("--at", NOON)["loop"]) == 1
    before = {path.name: path.read_bytes() for path in office.state.iterdir()}

    office.state.chmod(0o555)
    try:
        value = office.json("--at", NOON)
    finally:
        office.state.chmod(0o755)

    assert len(value["loop"]) == 1
    assert {path.name: path.read_bytes() for path in office.state.iterdir()} == before


def test_as_a_program_of_its_own_it_says_the_same(office: Office) -> None:
    office.sign(item(1), item(2))
    program = [sys.executable, "-m", "hub.cli", "videotron", "preview", "gerbang", "--at", NOON, "--json"]

    done = subprocess.run(
        program,
        env={**os.environ, "SIARHUB_CONFIG": str(office.folder / "siarhub.toml")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == office.json("--at", NOON)


def test_what_a_player_may_show_alone_is_told_for_each_class(office: Office) -> None:
    office.sign(item(1, fresh_s=86400), item(2, fresh_s=3 * 86400))

    alone = {one["item"][-1]: one["alone_until"] for one in office.json("--at", NOON)["loop"]}

    assert alone == {"1": "2026-11-24T00:00:00+08:00", "2": "2026-11-26T00:00:00+08:00"}
    assert [one["item"][-1] for one in office.json("--at", "2026-11-25 12:00", "--alone")["loop"]] == ["2"]
