"""`siarhub videotron ...`: what a technician asks about players, and the broker's accounts."""

from __future__ import annotations

import grp
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import click

from hub.api.cli import CommandContext
from plugins.videotron.accounts import acl as acl_text
from plugins.videotron.accounts import give_to_broker, write_accounts
from plugins.videotron.commands_keys import keys
from plugins.videotron.commands_preview import preview
from plugins.videotron.roster import read_snapshot, unheard
from plugins.videotron.settings import VideotronSettings


@click.group()
def videotron() -> None:
    """Players at the screens, and their accounts at the broker."""


videotron.add_command(keys)
videotron.add_command(preview)


@videotron.command()
@click.option("--json", "as_json", is_flag=True, help="An array of objects, one a player.")
@click.pass_obj
def players(hub: CommandContext, as_json: bool) -> None:
    """Show each player: when it was heard, what it holds and plays. Exits with 1 when one is offline.

    With the hub down, nobody is known to be online.
    """
    rows = _with_unheard(read_snapshot(hub.state_dir("videotron"), datetime.now(UTC)), hub)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    elif not rows:
        click.echo("No screen is configured: name them in siarhub.toml ([plugins.videotron.screens.<id>]).")
    else:
        for row in rows:
            click.echo(_line(row, hub.zone))
    if not as_json and not all(row["online"] for row in rows):
        raise click.exceptions.Exit(1)


@videotron.command()
@click.option(
    "--accounts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write acl, passwords and one <account>.password each into this folder instead of printing the ACL.",
)
@click.option("--group", default="mosquitto", show_default=True, help="Group that may read acl and passwords.")
@click.pass_obj
def acl(hub: CommandContext, accounts: Path | None, group: str) -> None:
    """Print Mosquitto's acl_file for the configured screens; refuses when there is none."""
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    screens, username = sorted(settings.screens), settings.broker.username
    try:
        if accounts is None:
            click.echo(acl_text(settings.namespace, screens, hub=username), nl=False)
            return
        write_accounts(accounts, settings.namespace, screens, hub=username)
    except (ValueError, OSError) as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from error
    _say_what_next(accounts, screens, username, shared=_share(accounts, group))


def _share(folder: Path, group: str) -> str:
    """ "" when the broker's group may read its files now, else why not."""
    try:
        give_to_broker(folder, grp.getgrnam(group).gr_gid)
    except KeyError:
        return f"there is no group {group} here"
    except OSError as error:
        return str(error)
    return ""


def _say_what_next(folder: Path, screens: list[str], username: str, *, shared: str) -> None:
    click.echo(f"Wrote {folder}/acl and {folder}/passwords for {username} and {len(screens)} players.")
    if shared:
        click.echo(f"Mosquitto must be able to read both ({shared}): chown them to its group.")
    click.echo("Name them in mosquitto.conf as acl_file and password_file, then: systemctl reload mosquitto")
    click.echo(f'The hub: [plugins.videotron.broker] password_file = "{folder}/{username}.password"')
    click.echo(f"Each player gets its own {folder}/<id>.password, username = its id. Keep the others from it.")


def _with_unheard(rows: list[dict[str, Any]], hub: CommandContext) -> list[dict[str, Any]]:
    """The snapshot's rows, and one for each configured screen that the hub has not written down yet."""
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    known = {row["player"] for row in rows}
    new = [unheard(player, screen) for player, screen in settings.screens.items() if player not in known]
    return sorted([*rows, *new], key=lambda row: str(row["player"]))


def _line(row: dict[str, Any], zone: ZoneInfo) -> str:
    link = "online" if row["online"] else f"OFFLINE since {_local(row, zone)}" if row["last_seen"] else "NEVER HEARD"
    playing = row["playing"]["item"] if row["playing"] else "nothing"
    files = f"holds {row['held']} of {row['wanted']}"
    plays = f"plays {playing}" if row["online"] else f"played {playing} last"
    parts = [f"{row['player']:<20} {row['width']}x{row['height']}", link, files, plays, *row["errors"]]
    return "  ".join(parts)


def _local(row: dict[str, Any], zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(row['last_seen']).astimezone(zone):%Y-%m-%d %H:%M:%S}"
