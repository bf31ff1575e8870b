"""`siarhub videotron emergency`, `blackout`, `clear`: orders above the schedule, by the emergency group alone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from hub.api import Outcome
from hub.api.cli import CommandContext
from plugins.videotron.commands import moments
from plugins.videotron.commands.dropping import Drop, Sidecar
from plugins.videotron.emergency.asked import (
    BLACKOUT,
    CLEAR,
    EMERGENCY,
    EVERY,
    USUAL,
    NotAsked,
    chosen_screens,
    reference_at,
)
from plugins.videotron.emergency.reckoning import is_final, read_reckoning, told_in_english
from plugins.videotron.emergency.standing import Stand
from plugins.videotron.settings import VideotronSettings

LOOK_EVERY_S = 0.5
SAY_AGAIN_S = 5.0  # how far something is, while it goes on
NAMED = 12  # screens in the question
ITEM = re.compile(r"IP-\d{4}-\d{2}-\d{4,6}\Z", re.IGNORECASE)
PLUGIN = "videotron"

Command = TypeVar("Command", bound=Callable[..., Any])
Row = Mapping[str, Any]


def _options(command: Command) -> Command:
    """What the three have in common."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One object; docs/cli.md has its keys."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--screens", required=True, metavar="NAMES", help="Screens or groups, by commas; or: all."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("what", metavar="TEMPLATE|FILE|ITEM")
@_options
@click.option("--until", "end", metavar="TIME", help="2h (the default), 90m, 18:00, 2026-11-23 18:00; at most 7 days.")
@click.option("--why", required=True, help="Why; it is kept.")
@click.option("--title", default="", help="Of a FILE, in the records; its name when left out.")
@click.pass_obj
def emergency(
    hub: CommandContext, what: str, screens: str, end: str | None, why: str, title: str, yes: bool, as_json: bool
) -> None:
    """Show something at once on SCREENS, and nothing else there, until its time is over or it is cleared.

    TEMPLATE is the name of approved content that waits on the screens (Templat: banjir), on screen within seconds. FILE
    is a path; it is looked at, rendered and sent first, and this command says how far that is. Ctrl-C does not stop it.
    """
    until = _until(hub, end) or datetime.now(UTC) + USUAL
    chosen = _chosen(hub, screens)
    _must_say_why(why)
    _ask(f"EMERGENCY {what}", chosen, _till(hub, until), "Nothing else is shown there meanwhile.", yes=yes)
    args = {"screens": ",".join(chosen), "until": until.isoformat()}
    if _is_file(what):
        _show_file(hub, Path(what), _names(screens), args, until=until, why=why, title=title, as_json=as_json)
    else:
        kind = {"item": what.upper()} if ITEM.match(what) else {"template": what.strip().lower()}
        _finish(hub, hub.order(EMERGENCY, {**args, **kind}, why), chosen, as_json=as_json)


@click.command()
@_options
@click.option("--until", "end", metavar="TIME", help="As of emergency; without it: until a clear.")
@click.option("--why", required=True, help="Why; it is kept.")
@click.pass_obj
def blackout(hub: CommandContext, screens: str, end: str | None, why: str, yes: bool, as_json: bool) -> None:
    """Make SCREENS black, until its time is over or it is cleared."""
    until = _until(hub, end)
    chosen = _chosen(hub, screens)
    _must_say_why(why)
    _ask("BLACKOUT", chosen, _till(hub, until) if until else "until a clear", "They show nothing at all.", yes=yes)
    args = {"screens": ",".join(chosen), **({"until": until.isoformat()} if until else {})}
    _finish(hub, hub.order(BLACKOUT, args, why), chosen, as_json=as_json)


@click.command()
@_options
@click.option("--why", default="", help="Why; it is kept.")
@click.pass_obj
def clear(hub: CommandContext, screens: str, why: str, yes: bool, as_json: bool) -> None:
    """End an emergency or a blackout on SCREENS: their schedule comes back."""
    chosen = _chosen(hub, screens)
    _ask("CLEAR", chosen, "now", "Their schedule comes back.", yes=yes)
    _finish(hub, hub.order(CLEAR, {"screens": ",".join(chosen)}, why), chosen, as_json=as_json)


def _show_file(
    hub: CommandContext,
    path: Path,
    names: Sequence[str],
    args: Mapping[str, str],
    *,
    until: datetime,
    why: str,
    title: str,
    as_json: bool,
) -> None:
    """Copy it beside the intake, order its emergency, and only then let the intake see it."""
    now = datetime.now(UTC)
    reference = reference_at(now.astimezone(hub.zone))
    sidecar = Sidecar(
        title=title or path.stem,
        why=why,
        reference=reference,
        approver=hub.caller,
        screens=names,
        start=now,
        end=until,
    )
    try:
        drop = Drop(hub.drop_folder, path)
    except OSError as error:
        raise _no(f"{path} could not be copied into {hub.drop_folder}: {error.strerror or error}") from error
    try:
        outcome = hub.order(EMERGENCY, {**args, "file": drop.sha256, "reference": reference}, why)
        if not outcome.done:
            raise _no(outcome.message)
        drop.complete(reference, sidecar.as_json(hub.zone))
    except OSError as error:
        raise _no(f"{path} could not be given to the hub: {error.strerror or error}") from error
    finally:
        drop.drop()
    _say(f"Ordered as {reference}. It goes on without this command: siarhub videotron players", as_json=as_json)
    rows = _follow(hub, reference, as_json=as_json)
    failed = [row for row in rows if row["state"] in (Stand.FAILED, Stand.NOT_READY)]
    if as_json:
        _print(done=not failed, message=reference, rows=rows)
    if failed:
        raise click.exceptions.Exit(1)


def _follow(hub: CommandContext, reference: str, *, as_json: bool) -> Sequence[Row]:
    """Say how far it is, until nothing more comes by itself."""
    said: dict[str, tuple[str, float]] = {}  # by screen: the state, and when it was told
    try:
        while True:
            rows = [row for row in read_reckoning(hub.state_dir(PLUGIN)) if row["reference"] == reference]
            for row in rows:
                state, at = said.get(row["screen"], ("", 0.0))
                if state != row["state"] or (not is_final(row) and time.monotonic() - at > SAY_AGAIN_S):
                    said[row["screen"]] = row["state"], time.monotonic()
                    _say(told_in_english(row, hub.zone), as_json=as_json)
            if rows and all(map(is_final, rows)):
                return rows
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        click.echo("It goes on without this command: siarhub videotron players", err=True)
        raise click.exceptions.Exit(130) from None


def _finish(hub: CommandContext, outcome: Outcome, chosen: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        rows = read_reckoning(hub.state_dir(PLUGIN)) if outcome.done else []
        _print(done=outcome.done, message=outcome.message, rows=[row for row in rows if row["screen"] in chosen])
    else:
        click.echo(outcome.message, err=not outcome.done)
    if not outcome.done:
        raise click.exceptions.Exit(1)


def _print(*, done: bool, message: str, rows: Sequence[Row]) -> None:
    click.echo(json.dumps({"done": done, "message": message, "screens": rows}, ensure_ascii=False, indent=2))


def _say(line: str, *, as_json: bool) -> None:
    """With --json, standard output has the one value alone."""
    click.echo("".join(char if char.isprintable() else "\ufffd" for char in line), err=as_json)


def _ask(what: str, chosen: Sequence[str], till: str, effect: str, *, yes: bool) -> None:
    """Nobody shall change every screen of a province by a slip of the finger."""
    if yes:
        return
    shown = ", ".join(chosen[:NAMED]) + (f" and {len(chosen) - NAMED} more" if len(chosen) > NAMED else "")
    count = "1 screen" if len(chosen) == 1 else f"{len(chosen)} screens"
    click.confirm(f"{what} on {count} ({shown}), {till}. {effect} Go on?", abort=True, err=True)


def _chosen(hub: CommandContext, screens: str) -> tuple[str, ...]:
    settings = cast(VideotronSettings, hub.settings(PLUGIN, VideotronSettings))
    try:
        return chosen_screens(screens, settings.screens)
    except NotAsked as error:
        raise _no(str(error)) from error


def _names(screens: str) -> list[str]:
    """The screens as the sidecar names them: groups stay groups."""
    named = [name.strip().lower() for name in screens.split(",") if name.strip()]
    return ["semua"] if EVERY & set(named) else named


def _until(hub: CommandContext, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return moments.until(text, datetime.now(UTC), hub.zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from error


def _till(hub: CommandContext, until: datetime) -> str:
    return f"until {until.astimezone(hub.zone):%d-%m-%Y %H:%M %Z}"


def _must_say_why(why: str) -> None:
    if not why.strip():
        raise click.BadParameter("say why; it is kept", param_hint="--why")


def _is_file(what: str) -> bool:
    """A template's name has neither a dot nor a slash."""
    if not ("/" in what or "." in what):
        return False
    if not Path(what).is_file():
        raise _no(f"{what}: there is no such file")
    return True


def _no(reason: str) -> click.exceptions.Exit:
    click.echo(reason, err=True)
    return click.exceptions.Exit(1)
