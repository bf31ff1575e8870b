"""`siarhub videotron ...`: what a technician asks about players, and the broker's accounts."""

from __future__ import annotations

import grp
import json
from dataclasses import asdict
from pathlib import Path
from typing import cast

import click

from hub.api.cli import CommandContext
from plugins.videotron.accounts import acl as acl_text
from plugins.videotron.accounts import give_to_broker, rules, write_accounts
from plugins.videotron.commands.emergency import blackout, clear, emergency
from plugins.videotron.commands.enrol import enrol, enrolments, revoke
from plugins.videotron.commands.keys import keys
from plugins.videotron.commands.players import players
from plugins.videotron.commands.preview import preview
from plugins.videotron.commands.proof import verify_proof
from plugins.videotron.commands.screenshot import screenshot
from plugins.videotron.commands.usage import usage
from plugins.videotron.settings import VideotronSettings


@click.group()
def videotron() -> None:
    """Players at the screens, and their accounts at the broker."""


videotron.add_command(keys)
videotron.add_command(enrol)
videotron.add_command(revoke)
videotron.add_command(enrolments)
videotron.add_command(verify_proof)
videotron.add_command(preview)
videotron.add_command(players)
videotron.add_command(screenshot)
videotron.add_command(emergency)
videotron.add_command(blackout)
videotron.add_command(clear)
videotron.add_command(usage)


@videotron.command()
@click.option(
    "--accounts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write acl, passwords and one <account>.password each into this folder instead of printing the ACL.",
)
@click.option("--group", default="mosquitto", show_default=True, help="Group that may read acl and passwords.")
@click.option("--json", "as_json", is_flag=True, help="For any other broker: an array of objects, one for each rule.")
@click.pass_obj
def acl(hub: CommandContext, accounts: Path | None, group: str, *, as_json: bool) -> None:
    """Print Mosquitto's acl_file for the configured screens; refuses when there is none."""
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    screens, username = sorted(settings.screens), settings.broker.username
    if as_json:
        click.echo(json.dumps([asdict(rule) for rule in rules(settings.namespace, screens, hub=username)], indent=2))
        return
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
