"""`siarhub videotron preview SCREEN`: the loop that will run at some time, and why something will not be in it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime, time, tzinfo
from typing import cast

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hub.api.cli import CommandContext
from plugins.videotron.commands.previewing import Preview, as_json
from plugins.videotron.commands.previewing import preview as look_ahead
from plugins.videotron.protocol import Mode, Override, Shows, Standby, WireError
from plugins.videotron.protocol.hours import zone_of
from plugins.videotron.reading import told_to
from plugins.videotron.settings import VideotronSettings

_SHOWS = {
    Shows.ITEMS: "its round",
    Shows.FALLBACK: "the fallback: nothing else may be shown then",
    Shows.EMERGENCY: "an emergency, above the round",
    Shows.BLACKOUT: "nothing: it is black on order, above the round",
}


@click.command()
@click.argument("screen")
@click.option("--at", "when", metavar="TIME", help='In the screen\'s zone: "2026-11-23 22:30", "22:30", or ISO 8601.')
@click.option("--alone", is_flag=True, help="Suppose that its player has heard nothing from the hub since now.")
@click.option("--json", "machine", is_flag=True, help="One object; docs/cli.md has its keys.")
@click.pass_obj
def preview(hub: CommandContext, screen: str, when: str | None, alone: bool, machine: bool) -> None:
    """Show what SCREEN shows at TIME (now, if left out), in order, and why the rest is left out.

    By what the hub has last signed for its player, whether the hub runs or not. Exits with 1 when that is nothing yet.
    """
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    if screen not in settings.screens:
        known = ", ".join(sorted(settings.screens)) or "none is configured"
        raise _no(f"there is no screen {screen}; the screens: {known}")
    try:
        told = told_to(hub.state_dir("videotron"), screen)
        if told is None:
            raise _no(f"nothing was signed for {screen} yet; start the hub (siarhub run), which does so at once")
        at = _moment(when, zone_of(told.manifest.screen.zone))
        shown = look_ahead(told.manifest, told.override, at=at, alone=alone)
    except (WireError, sqlite3.Error) as error:
        raise _no(f"what was signed for {screen} cannot be read: {error}") from error
    if machine:
        click.echo(json.dumps(as_json(shown), ensure_ascii=False, indent=2))
    else:
        _print(Console(soft_wrap=False), shown, settings.screens[screen].name)


def _moment(text: str | None, zone: tzinfo) -> datetime:
    now = datetime.now(zone)
    if text is None:
        return now
    try:
        if re.fullmatch(r"\d{1,2}[.:]\d{2}", text.strip(), re.ASCII):
            hour, minute = (int(part) for part in re.split(r"[.:]", text.strip()))
            return datetime.combine(now.date(), time(hour, minute), zone)
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise click.BadParameter(f'{text!r}; write "2026-11-23 22:30"', param_hint="--at") from error
    if not 2000 <= found.year <= 2199:
        raise click.BadParameter(f"{text!r} is out of range", param_hint="--at")
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _no(why: str) -> click.exceptions.Exit:
    click.echo(why, err=True)
    return click.exceptions.Exit(1)


def _print(console: Console, shown: Preview, name: str) -> None:
    manifest = shown.manifest
    console.print(_plain(f"{manifest.aud} {name}".strip() + f", {_spelt(shown, shown.at)} ({manifest.screen.zone})"))
    console.print(_plain(f"Shows {_SHOWS[shown.shows]}."))
    if shown.override:
        console.print(_plain(_override(shown, shown.override)))
    if shown.loop.entries:
        console.print(_round(shown))
    change = shown.loop.next_change
    console.print(_plain(f"The round stays so until {_spelt(shown, change)}." if change else "The round stays so."))
    if shown.loop.left_out:
        console.print(_left_out(shown))
    for line in _remarks(shown):
        console.print(_plain(line))


def _round(shown: Preview) -> Table:
    """The table of places; what is shown alone until when is told a place, since it depends on the item's class."""
    table = Table(
        Column("Place", justify="right"), Column("After", justify="right"), Column("Lasts", justify="right"), "Item",
        "Alone until", box=SIMPLE, pad_edge=False, title_justify="left",
    )  # fmt: skip
    for place, (entry, starts) in enumerate(zip(shown.loop.entries, shown.starts, strict=False), start=1):
        alone = shown.alone_until.get((entry.item, entry.cid))
        table.add_row(
            str(place),
            f"{starts:.1f} s",
            f"{entry.seconds:.1f} s",
            _plain(f"{entry.item}\n{entry.title}"),
            _spelt(shown, alone) if alone else "it is over: shown only because the hub renews",
        )
    table.caption = f"{len(shown.loop.entries)} places, {shown.starts[-1]:.1f} s a round"
    return table


def _left_out(shown: Preview) -> Table:
    table = Table("Left out", "Why", box=SIMPLE, pad_edge=False)
    for left in shown.loop.left_out:
        table.add_row(_plain(f"{left.item} {left.title}"), left.why)
    return table


def _remarks(shown: Preview) -> Sequence[str]:
    fallback = shown.manifest.fallback
    until = shown.last_alone
    alone = f"until {_spelt(shown, until)}, then" if until else "not at all, but"
    return (
        f"A player that hears nothing more could go on {alone} shows the fallback: "
        + (f"{fallback.item} {fallback.title}." if fallback else "its own, since no approved one was dropped."),
        f"By manifest {shown.manifest.epoch}.{shown.manifest.seq} of {_spelt(shown, shown.manifest.issued)}; "
        + ("its player hears nothing newer." if shown.alone else "the hub renews it as long as it runs."),
    )


def _override(shown: Preview, override: Override) -> str:
    until = f"until {_spelt(shown, override.until)}" if override.until else "until siarhub videotron clear"
    if override.mode is Mode.BLACKOUT:
        return f"Black on order of {_spelt(shown, override.issued)}, {until}; the round below would run otherwise."
    films = ", ".join(_film(film) for film in override.films)
    return f"Emergency of {_spelt(shown, override.issued)}, {until}: {films}. The round below would run otherwise."


def _film(film: Standby) -> str:
    return f"{film.item} {film.title} ({film.seconds:.1f} s)"


def _spelt(shown: Preview, moment: datetime) -> str:
    return f"{moment.astimezone(shown.zone):%Y-%m-%d %H:%M:%S}"


def _plain(text: str) -> Text:
    """Text from outside for a terminal: no markup, and no control characters that would steer it."""
    return Text("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))
