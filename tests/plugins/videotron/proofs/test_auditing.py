"""The command, on the files of a hub that does not run; and an auditor who trusts nothing of ours but a public key."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli.main import main
from hub.ledger import facts
from hub.ledger.database import open_for_writing, transaction
from plugins.videotron.enrolment.enrolments import FILE, Enrolments
from plugins.videotron.protocol import ProofEntry, ProofOfPlay, SigningKey, encode_signed
from plugins.videotron.protocol.chain import BEGINNING, link

PROTOCOL = Path(__file__).parents[4] / "docs" / "protocol.md"


@dataclass
class Office:
    folder: Path

    def run(self, *words: object) -> Result:
        config = self.folder / "siarhub.toml"
        return CliRunner().invoke(main, ["--config", str(config), "videotron", "verify-proof", *map(str, words)])

    def tamper(self, order: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.folder / "state/plugins/videotron/proofs.sqlite3")) as db, db:
            db.execute("DROP TRIGGER IF EXISTS envelope_is")
            db.execute(order, values)


@pytest.fixture
async def office(tmp_path: Path, record: Any, tools: Any) -> Office:
    """Three plays on gate-1 in November: two whole, one cut."""
    (tmp_path / "root").mkdir()
    state = tmp_path / "state" / "plugins" / "videotron"
    state.mkdir(parents=True)
    config = f'[hub]\nroot = "{tmp_path}/root"\nstate_dir = "{tmp_path}/state"\n'
    (tmp_path / "siarhub.toml").write_text(config)
    hub = tools.Hub(state)
    hub.enrol(record)
    record.play(title="Cegah\x1b[31m DBD")
    record.play(title="Cegah\x1b[31m DBD")
    await hub.hear(record.sent())
    record.play(result="partial", title="Cegah\x1b[31m DBD")
    await hub.hear(record.sent(3))
    hub.store.close()
    enrolments = Enrolments(state / FILE)
    enrolments.enrol("gate-1", record.key.public, at=datetime(2026, 11, 1, tzinfo=UTC), who="teknisi")
    enrolments.close()
    _write_ledger(tmp_path / "state" / "ledger.db", hub.journal.by_key)
    return Office(tmp_path)


def _write_ledger(path: Path, plays: dict[str, Any]) -> None:
    with closing(open_for_writing(path)) as db, transaction(db):
        for key, fact in plays.items():
            facts.add(db, "videotron", key, fact, now=fact.started_at + timedelta(minutes=1))


def checked_by_the_auditor(folder: Path, export: Path) -> subprocess.CompletedProcess[str]:
    """The script as the document has it, alone in a folder, without our code."""
    found = re.search(r"<!-- check.py -->\n```python\n(.*?)```", PROTOCOL.read_text(), re.DOTALL)
    assert found
    (folder / "check.py").write_text(found[1])
    return subprocess.run([sys.executable, "-I", "check.py", export], cwd=folder, capture_output=True, text=True)


def test_a_month_is_verified_and_shown_as_a_table(office: Office, tools: Any) -> None:
    result = office.run("gate-1", "2026-11")

    assert result.exit_code == 0, result.output
    [head, row, verdict] = result.stdout.splitlines()
    assert head.split() == ["item", "title", "completed", "partial", "failed", "unknown", "seconds", "journal"]
    assert row.split() == [tools.item, "Cegah\ufffd[31m", "DBD", "2", "1", "0", "0", "28.5", "3"]
    assert verdict == "gate-1 2026-11: 3 plays in 2 signed proofs, all signed, none missing"


def test_the_same_as_json(office: Office, tools: Any) -> None:
    found = json.loads(office.run("gate-1", "2026-11", "--json").stdout)

    assert found["ok"]
    assert (found["entries"], found["envelopes"], found["problems"]) == (3, 2, [])
    assert found["items"][0]["item"] == tools.item
    assert found["items"][0]["journal"] == 3


def test_each_reason_is_a_line_of_its_own_and_the_exit_code_is_1(office: Office, record: Any) -> None:
    office.tamper("UPDATE envelope SET body = ? WHERE id = 1", record.sent(1, 2).replace(b"9.5", b"8.5"))

    result = office.run("gate-1", "2026-11")

    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"chain {record.chain}: ") for line in lines)


@pytest.mark.parametrize("words", [("gate-9", "2026-11"), ("gate-1", "2026-10")])
def test_where_nothing_was_shown_the_answer_is_no(office: Office, words: tuple[str, str]) -> None:
    result = office.run(*words)

    assert result.exit_code == 1
    assert "there is no proof" in result.stderr


def test_what_is_no_month_is_wrong_usage(office: Office) -> None:
    assert office.run("gate-1", "November").exit_code == 2


def test_an_export_that_cannot_be_written_is_told(office: Office) -> None:
    result = office.run("gate-1", "2026-11", "--out", office.folder / "nowhere" / "x.jsonl")

    assert result.exit_code == 1
    assert "x.jsonl cannot be written" in result.stderr


def test_without_any_proofs_the_remedy_is_named(office: Office) -> None:
    (office.folder / "state/plugins/videotron/proofs.sqlite3").unlink()

    result = office.run("gate-1", "2026-11")

    assert result.exit_code == 1
    assert "start the hub once" in result.stderr


def test_an_auditor_checks_the_export_with_thirty_lines_of_his_own(office: Office, tools: Any) -> None:
    export = office.folder / "bukti.jsonl"
    office.run("gate-1", "2026-11", "--out", export)

    result = checked_by_the_auditor(office.folder, export)

    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split("\t")[-2:] for line in result.stdout.splitlines()] == [["completed", "2"], ["partial", "1"]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [line.replace("9.5", "8.5") for line in lines], "InvalidSignature"),
        (lambda lines: [lines[0], lines[2], lines[1]], "something is missing before entry 1"),
        (lambda lines: [re.sub(r'"player": "gate-1"', '"player": "gate-2"', lines[0]), *lines[1:]], "another player's"),
    ],
)
def test_the_auditor_finds_what_was_changed_in_the_export(office: Office, change: Any, told: str) -> None:
    export = office.folder / "bukti.jsonl"
    office.run("gate-1", "2026-11", "--out", export)
    export.write_text("\n".join(change(export.read_text().splitlines())) + "\n")

    result = checked_by_the_auditor(office.folder, export)

    assert result.returncode == 1
    assert told in result.stderr


def test_the_worked_example_is_right() -> None:
    text = PROTOCOL.read_text()
    example = text[text.index("<!-- chain example -->") :].splitlines()
    first, second = (line.strip() for line in example[1:3])
    told = re.findall(r"hash\(\d\) = ([0-9a-f]{64})", text)

    one = link(BEGINNING, first)

    assert told == [one.hex(), link(one, second).hex()]
    assert ProofEntry.model_validate_json(second).model_dump_json() == second
    proof = ProofOfPlay(player="gate-1", chain="00112233445566aa", prev="0" * 64, entries=(first, second))
    sent = text[text.index("<!-- proof example -->") :].splitlines()[1].strip()
    assert encode_signed(proof, SigningKey(bytes(range(32)))).decode() == sent
