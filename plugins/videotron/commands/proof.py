"""`siarhub videotron verify-proof`: was it shown? Answered from the players' own signatures."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from hub.api.cli import CommandContext
from plugins.videotron.enrolment.enrolments import Enrolment, read_enrolments
from plugins.videotron.proofs.export import export
from plugins.videotron.proofs.findings import Findings, Period
from plugins.videotron.proofs.month import period_of, verify_month
from plugins.videotron.proofs.reading import Proofs, open_proofs
from plugins.videotron.protocol import key_id
from plugins.videotron.protocol.chain import Result

COLUMNS = ("item", "title", *(result.value for result in Result), "seconds", "journal")


@click.command("verify-proof")
@click.argument("screen")
@click.argument("month", metavar="MONTH")
@click.option("--json", "as_json", is_flag=True, help="One object; docs/cli.md has its keys.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the month's signed proofs there as JSON lines, for whoever wants to check them without the hub.",
)
@click.pass_obj
def verify_proof(hub: CommandContext, screen: str, month: str, as_json: bool, out: Path | None) -> None:
    """Check every proof of play of SCREEN in MONTH (2026-11): signatures, order, gaps, and the journal.

    Exits with 0 when nothing is missing or changed, else with 1 and each reason.
    """
    try:
        period = period_of(month, hub.zone)
    except ValueError:
        raise click.BadParameter(f"{month} is no month; write it like 2026-11", param_hint="MONTH") from None
    try:
        found = _verify(hub, screen, period, out, month)
    except (sqlite3.Error, OSError) as error:
        raise _no(f"the proofs cannot be read ({error}); start the hub once (siarhub run), or use sudo") from None
    if not found.envelopes and not found.problems:
        raise _no(f"there is no proof of play of {screen} in {month}")
    if as_json:
        click.echo(json.dumps(_as_json(screen, month, found), ensure_ascii=False, indent=2))
    else:
        _show(screen, month, found)
    if found.problems:
        raise click.exceptions.Exit(1)


def _verify(hub: CommandContext, screen: str, period: Period, out: Path | None, month: str) -> Findings:
    state = hub.state_dir("videotron")
    machines = [row for row in read_enrolments(state) if row.player == screen]
    with open_proofs(state) as proofs:
        found = verify_month(
            screen,
            period,
            proofs=proofs,
            keys=keys_by_time(machines),
            journal=lambda first, last: hub.facts("videotron", first=first, last=last),
        )
        if out is not None:
            _export(out, screen, month, period, proofs, machines)
    return found


def _export(out: Path, screen: str, month: str, period: Period, proofs: Proofs, machines: Sequence[Enrolment]) -> None:
    try:
        export(out, screen, month, period, proofs=proofs, machines=machines)
    except OSError as error:
        raise _no(f"{out} cannot be written ({error.strerror})") from None


def keys_by_time(machines: Sequence[Enrolment]) -> Callable[[datetime], Mapping[str, bytes]]:
    """With which keys a proof may be signed that came at some time: of the machines that were not revoked by then."""

    def keys_at(moment: datetime) -> Mapping[str, bytes]:
        return {key_id(m.key): m.key for m in machines if m.revoked_at is None or moment < m.revoked_at}

    return keys_at


def _as_json(screen: str, month: str, found: Findings) -> dict[str, Any]:
    return {
        "screen": screen,
        "month": month,
        "ok": not found.problems,
        "envelopes": found.envelopes,
        "entries": found.entries,
        "lost": found.lost,
        "items": [dict(zip(COLUMNS, row, strict=True)) for row in _rows(found)],
        "problems": found.problems,
        "notes": found.notes,
    }


def _rows(found: Findings) -> list[tuple[str | int | float, ...]]:
    return [
        (item, one.title, *(one.results[r.value] for r in Result), round(one.seconds, 1), one.journal)
        for item, one in sorted(found.items.items())
    ]


def _show(screen: str, month: str, found: Findings) -> None:
    lines = [COLUMNS, *[tuple(_cell(value) for value in row) for row in _rows(found)]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    for line in lines if found.items else []:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    verdict = "all signed, none missing" if not found.problems else f"{len(found.problems)} problems"
    click.echo(f"{screen} {month}: {found.entries} plays in {found.envelopes} signed proofs, {verdict}")
    for note in found.notes:
        click.echo(f"note: {_cell(note)}")
    for problem in found.problems:
        click.echo(_cell(problem), err=True)


def _cell(value: str | int | float) -> str:
    """Text from outside for a terminal: nothing in it that would steer it."""
    return "".join(char if char.isprintable() else "\ufffd" for char in str(value)[:200])


def _no(reason: str) -> SystemExit:
    click.echo(reason, err=True)
    return SystemExit(1)
