"""Commands that change something: each gives an order, which the daemon carries out."""

from __future__ import annotations

import click

from hub.cli.context import Context, finish


@click.command()
@click.argument("item")
@click.pass_obj
def retry(context: Context, item: str) -> None:
    """Try again what was given up for ITEM (a number such as IP-2026-11-0007)."""
    finish(context.give("retry", {"item": item}, "", may_wait=False))


@click.command()
@click.argument("item")
@click.option("--reason", required=True, help="Why; it is kept in the archive.")
@click.pass_obj
def withdraw(context: Context, item: str, reason: str) -> None:
    """Take ITEM back from every screen and from the air."""
    finish(context.give("withdraw", {"item": item}, reason, may_wait=True))
