"""`siarhub status`: how the hub is and what it does now; with `--watch`, each second anew."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from hub.cli.context import Context, fail, legible, print_json
from hub.control import daemon_runs
from hub.observe.health import read_status

EACH_S = 1.0
COLOURS = {"ok": "green", "degraded": "yellow", "down": "red"}
UNREADABLE = "the hub runs, but how it is cannot be read: use sudo, or wait a moment when it has just started"


@click.command()
@click.option("--watch", is_flag=True, help="Go on showing it, each second anew, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def status(context: Context, watch: bool, as_json: bool) -> None:
    """Show how the hub is; exit with 1 when it does not run or is not well."""
    if watch:
        _watch(context, as_json=as_json)
        return
    value = _read(context)
    if value["running"] and "pid" not in value:
        raise fail(UNREADABLE)
    if as_json:
        print_json(value)
    else:
        context.console.print(Group(*_shown(context, value)))
    if value["state"] == "down":
        raise SystemExit(1)


def _read(context: Context) -> dict[str, Any]:
    runs = daemon_runs(context.hub_state_dir)
    last = read_status(context.hub_state_dir) or {}
    if isinstance(last.get("transcoding"), dict):  # of an older hub, until the new one has been started
        last["transcoding"] = []
    return {**last, "running": runs, "state": last.get("state", "down") if runs else "down"}


def _watch(context: Context, *, as_json: bool) -> None:
    """On a terminal in place; elsewhere whatever is new, one after the other."""
    console = context.console
    try:
        if as_json:
            for value in _changes(context):
                click.echo(json.dumps(value, ensure_ascii=False))
        elif not console.is_terminal or console.is_dumb_terminal:
            for value in _changes(context):
                console.print(Group(*_shown(context, value)), Text())
        else:
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    live.update(Group(*_shown(context, _read(context)), Text("Ctrl-C ends it", "dim")), refresh=True)
                    time.sleep(EACH_S)
    except KeyboardInterrupt:
        return


def _changes(context: Context) -> Iterator[dict[str, Any]]:
    """Each status that says something new, for ever."""
    said: dict[str, Any] | None = None
    while True:
        value = _read(context)
        news = {key: one for key, one in value.items() if key != "written_at"}
        if news != said:
            said = news
            yield value
        time.sleep(EACH_S)


def _shown(context: Context, value: dict[str, Any]) -> Iterator[RenderableType]:
    if not value["running"]:
        yield Text.from_markup("[red]The hub is not running.[/] Start it: systemctl start siarhub (or: siarhub run)")
        return
    if "pid" not in value:
        yield Text(UNREADABLE)
        return
    state = value["state"]
    head = f"Siar Hub {value['version']} runs (pid {value['pid']}): [{COLOURS[state]}]{state}[/]"
    yield Text.from_markup(f"{head} [dim]at {_clock(context, value['written_at'])}[/]")
    table = Table("Part", "State", "What")
    for part in value["parts"]:
        table.add_row(part["name"], f"[{COLOURS[part['state']]}]{part['state']}[/]", legible(part["summary"]))
    yield table
    if value["transcoding"]:
        yield _transcodes(value["transcoding"])
    if queued := value["jobs"].get("transcode queued"):
        yield Text(f"{queued} more to be transcoded")
    for one in value["intake"].get("waiting", ()):
        since = _clock(context, one["since"], "%d-%m-%Y %H:%M")
        yield legible(f"waiting since {since}: {one['name']}: {one['why']}")
    if more := value["intake"].get("waiting_more"):
        yield Text(f"and {more} more wait")


def _transcodes(under_way: list[dict[str, Any]]) -> Table:
    table = Table(
        "Transcoding", Column("Done", justify="right", no_wrap=True), Column("Left", justify="right"), "Makes"
    )
    for one in under_way:
        urgent = " (urgent)" if one["urgent"] else ""
        speed = f"\n{one['speed']:.1f} x" if one["speed"] else ""
        left = "" if one["left_s"] is None else str(timedelta(seconds=round(one["left_s"])))
        done = "checking" if one["part"] >= 1 else f"{one['part']:.0%}"
        what = one["title"] if one["title"] == one["name"] else f"{one['title']}\n{one['name']}"
        table.add_row(
            legible(f"{one['item']}{urgent}\n{what}"), f"{done}{speed}", left, legible("\n".join(one["outputs"]))
        )
    return table


def _clock(context: Context, moment: str, form: str = "%H:%M:%S") -> str:
    return datetime.fromisoformat(moment).astimezone(context.zone).strftime(form)
