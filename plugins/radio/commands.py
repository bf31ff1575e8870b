"""`siarhub radio ...`: the day's plan, the queue, what aired, and a check of everything that is needed to go on air."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import cast

import click

from hub.api.cli import CommandContext
from plugins.radio.reading import RadioLog, Row
from plugins.radio.settings import RadioSettings

_DAY = click.DateTime(formats=["%Y-%m-%d"])
_as_json = click.option("--json", "as_json", is_flag=True, help="An array of objects, times in ISO 8601 with offset.")


@click.group()
def radio() -> None:
    """The radio: plan, queue, as-run, check."""


@radio.command()
@click.argument("day", type=_DAY, required=False, metavar="[DATE]")
@_as_json
@click.pass_obj
def plan(hub: CommandContext, day: datetime | None, as_json: bool) -> None:
    """Every airing planned for DATE (yyyy-mm-dd, today if left out), and what became of it."""
    log = _log(hub)
    _show(log.plan((day or _now(log)).date()), ("planned_at", "item", "state", "seconds", "reason"), as_json)


@radio.command()
@_as_json
@click.pass_obj
def queue(hub: CommandContext, as_json: bool) -> None:
    """What is still to air: the next airing of each item, and what is on air now."""
    _show(_log(hub).queue(), ("planned_at", "item", "state", "duration_s", "attempt", "reason"), as_json)


@radio.command("as-run")
@click.argument("day", type=_DAY, required=False, metavar="[DATE]")
@_as_json
@click.pass_obj
def as_run(hub: CommandContext, day: datetime | None, as_json: bool) -> None:
    """What really went on air on DATE (yyyy-mm-dd, today if left out), with the seconds that did."""
    log = _log(hub)
    _show(
        log.as_run((day or _now(log)).date()), ("started_at", "ended_at", "item", "state", "seconds", "reason"), as_json
    )


@radio.command()
@click.pass_obj
def check(hub: CommandContext) -> None:
    """Try the Liquidsoap script with a tone nobody hears, and ask the running Liquidsoap how it is."""
    from plugins.radio.check import check as look

    findings = asyncio.run(look(cast(RadioSettings, hub.settings("radio", RadioSettings))))
    for finding in findings:
        click.echo(f"{'ok  ' if finding.good else 'FAIL'} {finding.text}")
    if not all(finding.good for finding in findings):
        sys.exit(1)


def _log(hub: CommandContext) -> RadioLog:
    return RadioLog(state_dir=hub.state_dir("radio"), zone=hub.zone)


def _now(log: RadioLog) -> datetime:
    return datetime.now(log.zone)


def _show(rows: Sequence[Row], columns: Sequence[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo("nothing")
        return
    lines = [columns, *[[_cell(name, row[name]) for name in columns] for row in rows]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)[:19].replace("T", " ") if name.endswith("_at") else str(value)
