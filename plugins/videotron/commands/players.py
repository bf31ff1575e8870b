"""`siarhub videotron players`: how each screen is, and what to do about what is wrong."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, cast

import click
from rich.console import Console
from rich.live import Live

from hub.api.cli import CommandContext
from plugins.videotron.commands.players_table import overview, portrait
from plugins.videotron.screens.condition import unheard
from plugins.videotron.screens.snapshot import read_snapshot
from plugins.videotron.settings import VideotronSettings

WATCH_EVERY_S = 2.0


@click.command()
@click.argument("screen", required=False)
@click.option("--json", "as_json", is_flag=True, help="An array of objects, one a player.")
@click.option("--watch", is_flag=True, help="Go on showing them until it is stopped.")
@click.pass_obj
def players(hub: CommandContext, screen: str | None, as_json: bool, watch: bool) -> None:
    """Show how each player is; with SCREEN, all that is known of that one.

    Exits with 1 when one is offline, or shows what was not approved. With the hub down, nobody is known to be online.
    """
    rows = _rows(hub, screen)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo("No screen is configured: name them in siarhub.toml ([plugins.videotron.screens.<id>]).")
        return
    console = Console(highlight=False, markup=False)
    if watch:
        _watch(hub, screen, console)
    console.print(_picture(rows, screen, console, hub))
    if any(not row["online"] or (row["shot"] or {}).get("alarm") for row in rows):
        raise click.exceptions.Exit(1)


def _watch(hub: CommandContext, screen: str | None, console: Console) -> None:
    try:
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                live.update(_picture(_rows(hub, screen), screen, console, hub), refresh=True)
                time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return


def _picture(rows: list[dict[str, Any]], screen: str | None, console: Console, hub: CommandContext) -> Any:
    now = datetime.now(UTC)
    if screen:
        return portrait(rows[0], zone=hub.zone, now=now)
    return overview(rows, console=console, zone=hub.zone, now=now)


def _rows(hub: CommandContext, screen: str | None) -> list[dict[str, Any]]:
    """A row for each configured screen; what an older hub wrote down is filled up with what it did not know."""
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    if screen and screen not in settings.screens:
        known = ", ".join(sorted(settings.screens)) or "none"
        raise click.UsageError(f"there is no screen {screen}; there are: {known}")
    written = {str(row.get("player")): row for row in read_snapshot(hub.state_dir("videotron"), datetime.now(UTC))}
    wanted = [screen] if screen else sorted(settings.screens)
    return [unheard(name, settings.screens[name]) | written.get(name, {}) for name in wanted]
