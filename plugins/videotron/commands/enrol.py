"""`siarhub videotron enrol` and `revoke`: which machine is the player of a screen."""

from __future__ import annotations

import base64
import binascii
import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click

from hub.api import HubError
from hub.api.cli import CommandContext
from plugins.videotron.enrolment.broker_accounts import RELOAD, BrokerAccounts
from plugins.videotron.enrolment.desk import EnrolmentDesk
from plugins.videotron.enrolment.enrolments import Enrolment, read_enrolments
from plugins.videotron.protocol.enrolment import Ask, Rendezvous
from plugins.videotron.settings import VideotronSettings

FOLDER = Path("/etc/siarhub/broker")
GROUP = "siarhub-broker"


def broker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the broker's accounts are, and how it is told."""
    options = (
        click.option(
            "--accounts",
            type=click.Path(file_okay=False, path_type=Path),
            default=FOLDER,
            show_default=True,
            help="Folder with the broker's acl and passwords.",
        ),
        click.option("--group", default=GROUP, show_default=True, help="Group that may read acl and passwords."),
        click.option("--reload", default=RELOAD, show_default=True, help="Command by which the broker reads them."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("screen")
@click.argument("code", required=False)
@click.option("--key", help="Enrol without the broker: the key that `siarhub-player identity` printed.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --key: the file to carry to the player, for `siarhub-player install-enrolment`.",
)
@click.option("--within", type=click.IntRange(1, 1800), default=300, show_default=True, help="Seconds to wait for it.")
@click.option("--replace", is_flag=True, help="The machine that is the player of SCREEN now loses it.")
@broker_options
@click.pass_obj
def enrol(
    hub: CommandContext,
    screen: str,
    code: str | None,
    key: str | None,
    out: Path | None,
    within: int,
    accounts: Path,
    group: str,
    reload: str,
    *,
    replace: bool,
) -> None:
    """Make the machine that shows CODE the player of SCREEN; needs write access to the broker's folder."""
    if (code is None) == (key is None) or (key is None) != (out is None):
        raise click.UsageError("give the CODE that the screen shows, or --key with --out")
    with _told():
        desk = EnrolmentDesk(hub, screen, broker_accounts(hub, accounts, group, reload), replace=replace)
        if key is not None and out is not None:
            desk.enrol_by_file(_public(key), out)
            click.echo(f"{screen} is enrolled. Carry {out} to the player: siarhub-player install-enrolment FILE")
            click.echo("The password is in it: delete it afterwards.")
        else:
            meeting = _meeting(code or "")
            click.echo(f"Waiting for the player that shows {code}, {within} s at most.")
            _end_in_order()
            ask = desk.enrol_by_code(meeting, within_s=within)
            click.echo(f"{screen} is enrolled: {_legible(ask.software)}, output {_size(ask)}.")


@click.command()
@click.argument("screen")
@click.option("--why", required=True, help="Kept with the enrolment.")
@broker_options
@click.pass_obj
def revoke(hub: CommandContext, screen: str, why: str, accounts: Path, group: str, reload: str) -> None:
    """End the credential of SCREEN's player, now: its account, its connection, and its key."""
    with _told():
        desk = EnrolmentDesk(hub, screen, broker_accounts(hub, accounts, group, reload))
        desk.revoke(why)
        click.echo(f"{screen} is revoked: its account is gone, its connection is cut, the hub ignores its key.")
        click.echo("A machine for this screen again: siarhub-player forget there, then siarhub videotron enrol.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="An array of objects, the oldest enrolment first.")
@click.pass_obj
def enrolments(hub: CommandContext, as_json: bool) -> None:
    """Show which machine is, or was, the player of which screen."""
    with _told():
        rows = read_enrolments(hub.state_dir("videotron"))
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        since = f"{row.since.astimezone(hub.zone):%Y-%m-%d %H:%M}"
        end = (
            f"revoked {row.revoked_at.astimezone(hub.zone):%Y-%m-%d %H:%M}: {row.why}" if row.revoked_at else "enrolled"
        )
        click.echo(f"{row.player:<20} {base64.b64encode(row.key).decode()}  since {since} by {row.who}  {end}")


def broker_accounts(hub: CommandContext, folder: Path, group: str, reload: str) -> BrokerAccounts:
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    return BrokerAccounts(
        folder=folder,
        namespace=settings.namespace,
        screens=sorted(settings.screens),
        hub=settings.broker.username,
        group=group,
        reload=reload,
    )


@contextmanager
def _told() -> Iterator[None]:
    """What went wrong is printed in words; the exit code is 1 then."""
    try:
        yield
    except PermissionError as error:
        click.echo(f"{error.filename}: {error.strerror}; root changes the accounts: use sudo", err=True)
        raise click.exceptions.Exit(1) from error
    except (HubError, OSError, sqlite3.Error) as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from error


def _end_in_order() -> None:
    """SIGTERM and a lost terminal count as Ctrl-C: the door must be shut then, too."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)


def _meeting(code: str) -> Rendezvous:
    try:
        return Rendezvous.of(code)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _public(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise click.UsageError("--key is base64 of 32 bytes, as `siarhub-player identity` prints it")
    return key


def _legible(text: str) -> str:
    """A machine's own words, without what moves a terminal's cursor."""
    return "".join(letter for letter in text if letter.isprintable())


def _size(ask: Ask) -> str:
    return f"{ask.screen.width}x{ask.screen.height}" if ask.screen else "unknown"


def _as_json(row: Enrolment) -> dict[str, Any]:
    return {
        "player": row.player,
        "key": base64.b64encode(row.key).decode(),
        "since": row.since.isoformat(),
        "who": row.who,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
        "why": row.why,
    }
