"""`siarhub videotron usage`: how many bytes of films were sent to which screen."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from datetime import datetime
from typing import cast

import click

from hub.api.cli import CommandContext
from plugins.videotron.settings import VideotronSettings
from plugins.videotron.transfer.usage import FILE, MB, Row, read_usage


@click.command()
@click.option("--screen", help="Only this screen.")
@click.option("--month", metavar="YYYY-MM", help="Only this month; without --json the present one by default.")
@click.option("--json", "as_json", is_flag=True, help="An array of objects, one a screen, day and file.")
@click.pass_obj
def usage(hub: CommandContext, screen: str | None, month: str | None, as_json: bool) -> None:
    """Show what was sent to each screen; with --screen day by day, with --json file by file."""
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    if screen and screen not in settings.screens:
        raise click.UsageError(f"there is no screen {screen}; there are: {', '.join(sorted(settings.screens)) or '-'}")
    if not as_json:
        month = month or f"{datetime.now(hub.zone):%Y-%m}"
    try:
        rows = read_usage(hub.state_dir("videotron") / FILE, player=screen, month=month)
    except sqlite3.Error as error:
        click.echo(f"the figures cannot be read: {error}", err=True)
        raise click.exceptions.Exit(1) from error
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    elif screen:
        for day in sorted({row.day for row in rows}):
            click.echo(_line(day, [row for row in rows if row.day == day]))
    else:
        for name, one in sorted(settings.screens.items()):
            click.echo(_line(name, [row for row in rows if row.player == name], limit_mb=one.monthly_limit_mb))


def _line(name: str, rows: list[Row], *, limit_mb: int = 0) -> str:
    alone, grouped = sum(row.alone for row in rows) / MB, sum(row.grouped for row in rows) / MB
    over = f"  MORE THAN ITS {limit_mb} MB A MONTH" if 0 < limit_mb < alone + grouped else ""
    return f"{name:<20} {alone + grouped:10.1f} MB  ({alone:.1f} alone, {grouped:.1f} with others){over}"
