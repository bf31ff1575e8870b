"""Commands that change something: each gives an order, which the daemon carries out."""

from __future__ import annotations

import click

from hub.cli.context import Context, fail, finish
from hub.ledger import items


@click.command()
@click.argument("item")
@click.pass_obj
def retry(context: Context, item: str) -> None:
    """Try again what was given up for ITEM (a number such as IP-2026-11-0007)."""
    _must_exist(context, item)
    finish(context.give("retry", {"item": item}, "", may_wait=False))


@click.command()
@click.argument("item")
@click.option("--reason", required=True, help="Why; it is kept in the archive.")
@click.pass_obj
def withdraw(context: Context, item: str, reason: str) -> None:
    """Take ITEM back from every screen and from the air."""
    if not reason.strip():
        raise click.BadParameter("say why; it is kept in the archive", param_hint="--reason")
    _must_exist(context, item)
    finish(context.give("withdraw", {"item": item}, reason, may_wait=True))


def _must_exist(context: Context, item: str) -> None:
    """An order that waits for the daemon would fail unseen."""
    if items.get(context.ledger(), item) is None:
        raise fail(f"there is no item {item}; siarhub items lists them")
