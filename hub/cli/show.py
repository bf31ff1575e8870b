"""Commands that show: the hub's items, and one item with all that happened to it."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict
from datetime import datetime
from pathlib import PurePath
from typing import Any

import click
from rich.box import SIMPLE
from rich.table import Column, Table

from hub.api import DeliveryState, Item, ItemState
from hub.cli.context import Context, fail, legible, print_json
from hub.intake.rhythm import spell_days
from hub.ledger import deliveries, facts
from hub.ledger import items as ledger_items
from hub.ledger import jobs as ledger_jobs

SETTLED = (DeliveryState.DELIVERED, DeliveryState.PLAYED, DeliveryState.WITHDRAWN, DeliveryState.EXPIRED)
NO_LIMIT = 1 << 40


@click.command()
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="How many; 0 is all.")
@click.option("--before", metavar="ITEM", help="Only items older than this one: the page before.")
@click.option("--after", metavar="ITEM", help="Only items newer than this one, from the oldest on.")
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in ItemState]),
    multiple=True,
    help="May come several times.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def items(
    context: Context, limit: int, before: str | None, after: str | None, states: tuple[str, ...], as_json: bool
) -> None:
    """List the newest items, the newest last, and how far each delivery has come."""
    ledger = context.ledger()
    asked = limit or NO_LIMIT
    found = ledger_items.page(
        ledger,
        limit=asked + 1,  # one more says whether there are more
        before=_place(ledger, before),
        after=_place(ledger, after),
        states=[ItemState(state) for state in states],
    )
    forward = after is not None and before is None
    more, page = len(found) > asked, found[:asked] if forward else found[-asked:]
    rows = [_item(ledger, item) for item in page]
    if as_json:
        print_json(rows)
        return
    # Three columns, so that it can be read on a terminal of 80.
    table = Table("Item", Column("State, until", no_wrap=True), "Deliveries", box=SIMPLE, pad_edge=False)
    for row in rows:
        where = "\n".join(_in_short(one) for one in row["deliveries"])
        until = f"{row['state']}\n{_local(context, row['end'], '%Y-%m-%d %H:%M')}"
        what = f"{row['number']} {row['kind']}{_template(row)}\n{row['title']}"
        table.add_row(legible(what), until, legible(where))
    context.console.print(table)
    if more:
        older_or_newer = (
            f"Newer ones: --after {page[-1].number}" if forward else f"Older ones: --before {page[0].number}"
        )
        context.console.print(f"{older_or_newer}. All of them: --limit 0.", soft_wrap=True)


def _place(ledger: sqlite3.Connection, number: str | None) -> ledger_items.Place | None:
    """Where a page begins or ends; exits with 1 when there is no such item."""
    if number is None:
        return None
    place = ledger_items.place_of(ledger, number)
    if place is None:
        raise fail(f"there is no item {number}; siarhub items lists them")
    return place


@click.command()
@click.argument("item")
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def show(context: Context, item: str, as_json: bool) -> None:
    """Show one ITEM: its record, deliveries, totals and events."""
    ledger = context.ledger()
    found = ledger_items.get(ledger, item)
    if found is None:
        raise fail(f"there is no item {item}; siarhub items lists them")
    value = {
        **_item(ledger, found),
        "record": asdict(found),
        "totals": [total._asdict() for total in facts.totals(ledger, item)],
        "waiting": [
            {"kind": kind, "key": key, "reason": why} for kind, key, why in ledger_jobs.waiting_reasons(ledger, item)
        ],
        "events": [_event(entry) for entry in facts.entries(ledger, item=found.number)],
    }
    if as_json:
        print_json(value)
    else:
        _print_item(context, value)


def _item(ledger: sqlite3.Connection, item: Item) -> dict[str, Any]:
    first = item.assets[0]
    return {
        "number": item.number,
        "title": item.title,
        "kind": first.media.kind,
        "state": item.state,
        "sha256": first.sha256,
        "accepted_at": item.accepted_at.isoformat(),
        "start": item.start.isoformat(),
        "end": item.end.isoformat(),
        "template": item.template,
        "deliveries": [
            {
                "plugin": row.plugin,
                "destination": row.delivery.destination,
                "state": row.state,
                "attempts": row.attempts,
                "reason": row.reason,
                "updated_at": row.updated_at.isoformat(),
            }
            for row in deliveries.of_item(ledger, item.number)
        ],
    }


def _event(entry: Any) -> dict[str, Any]:
    """`at` is when the hub learnt of it; a time of the fact's own is `happened_at`."""
    own = {"happened_at" if key == "at" else key: value for key, value in asdict(entry.fact).items()}
    return {
        "seq": entry.seq,
        "at": entry.recorded_at.isoformat(),
        "by": entry.plugin,
        "event": type(entry.fact).__name__,
        **{key: value for key, value in own.items() if key != "item"},
    }


def _print_item(context: Context, value: dict[str, Any]) -> None:
    console = context.console
    console.print(f"[bold]{value['number']}[/]  {value['state']}{_template(value)}")
    console.print(legible(value["title"]))
    console.print(f"from {_local(context, value['start'])} until {_local(context, value['end'])}")
    if rhythm := _rhythm(value["record"]):
        console.print(f"on screens: {rhythm}")
    for one in value["deliveries"]:
        console.print(legible(f"  {_delivery_text(one)}"))
    for total in value["totals"]:
        proved = f"  proved on {total['destination']}: {total['plays']} times, {total['seconds']:.1f} s"
        console.print(legible(proved))
    for event in value["events"]:
        rest = ", ".join(
            f"{key}={_word(context, value)}"
            for key, value in event.items()
            if key not in ("seq", "at", "by", "event") and value not in ("", None)
        )
        console.print(legible(f"  {_local(context, event['at'])} {event['by']} {event['event']}: {rest}"))


def _template(row: dict[str, Any]) -> str:
    return f"  template {row['template']}" if row["template"] else ""


def _rhythm(record: dict[str, Any]) -> str:
    """On which days, at what times and how often; "" for always, once a round."""
    often = f"{record['share']} places in each round" if record["share"] != 1 else ""
    return "; ".join(part for part in (spell_days(record["days"], "en"), record["dayparts"], often) if part)


def _delivery_text(one: dict[str, Any]) -> str:
    reason = f" ({one['reason']})" if one["reason"] else ""
    return f"{one['plugin']} -> {one['destination']}: {one['state']}{reason}"


def _in_short(one: dict[str, Any]) -> str:
    """Where and how far; why only where something is wrong or waits. `siarhub show` has the rest."""
    where = PurePath(one["destination"]).name or one["destination"]
    reason = f" ({one['reason']})" if one["reason"] and one["state"] not in SETTLED else ""
    return f"{where}: {one['state']}{reason}"


def _word(context: Context, value: Any) -> Any:
    """A value of an event as people read it; `--json` has it exact."""
    if isinstance(value, datetime):
        return _local(context, value.isoformat())
    return f"{value:.1f}" if isinstance(value, float) else value


def _local(context: Context, time: str, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromisoformat(time).astimezone(context.zone).strftime(form)
