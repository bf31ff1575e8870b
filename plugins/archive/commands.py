"""`siarhub archive ...`: reads the month folders and the archive's own database; runs without the daemon."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from hub.api.cli import CommandContext


@click.group()
def archive() -> None:
    """The monthly archive."""


@archive.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print an array of {month, path, items, files, bytes, list}.")
@click.pass_obj
def list_months(context: CommandContext, as_json: bool) -> None:
    """Show each month's folder with its items and size."""
    months = [_summary(folder, month) for month, folder in _folders(context)]
    if as_json:
        click.echo(json.dumps(months, ensure_ascii=False, indent=2))
        return
    for month in months:
        click.echo(f"{month['month']}  {month['items']:>5} items  {month['bytes']:>15,} bytes  {month['path']}")


@archive.command()
@click.argument("month", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of {month, path, ok, problems}.")
@click.pass_obj
def verify(context: CommandContext, month: str | None, as_json: bool) -> None:
    """Check every file of MONTH (2026-11), or of all months: 0 when all is whole, else 1 with each reason."""
    from plugins.archive.verify import verify as problems_of

    wanted = _month(month) if month else None
    folders = [(name, folder) for name, folder in _folders(context) if wanted in (None, name)]
    if wanted and not folders:
        _say_no(f"{wanted}: the archive has no folder of this month")
    results = [(name, folder, problems_of(folder)) for name, folder in folders]
    if as_json:
        rows = [{"month": n, "path": str(f), "ok": not p, "problems": p} for n, f, p in results]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    for name, _, problems in results if not as_json else []:
        click.echo(f"{name}  whole" if not problems else "\n".join(f"{name}  {problem}" for problem in problems))
    if any(problems for _, _, problems in results):
        sys.exit(1)


@archive.command()
@click.argument("month")
@click.option("--show", is_flag=True, help="Print the list itself instead of its path.")
@click.option("--renew", is_flag=True, help="Have the daemon write the list anew first.")
@click.pass_obj
def report(context: CommandContext, month: str, show: bool, renew: bool) -> None:
    """Name the file with the list of what was disseminated in MONTH (2026-11)."""
    from plugins.archive.months import Month
    from plugins.archive.report import list_name

    wanted = Month.parse(_month(month))
    if renew:
        outcome = context.order("archive.report", {"month": str(wanted)}, "list asked for")
        if not outcome.done:
            _say_no(outcome.message)
    path = _root(context) / wanted.folder / "berjalan" / list_name(wanted)
    if not path.is_file():
        _say_no(f"{wanted}: there is no list of this month yet; nothing was disseminated or filed in it")
    click.echo(path.read_text(encoding="utf-8-sig") if show else str(path), nl=not show)


@archive.command()
@click.pass_obj
def reindex(context: CommandContext) -> None:
    """Have the daemon read the bags and count the journal anew, and write every month's list."""
    outcome = context.order("archive.reindex", {}, "reindex asked for")
    if not outcome.done:
        _say_no(outcome.message)
    click.echo(outcome.message)


def _folders(context: CommandContext) -> list[tuple[str, Path]]:
    from plugins.archive.cabinet import bags

    return [(str(month), bag.folder) for month, bag in bags(_root(context))]


def _root(context: CommandContext) -> Path:
    from plugins.archive.settings import ArchiveSettings

    settings = cast(ArchiveSettings, context.settings("archive", ArchiveSettings))
    root = context.root / settings.folder  # an absolute one stays as it is
    if not root.is_dir():
        _say_no("the archive has not been opened yet: start the hub once (siarhub run)")
    return root


def _summary(folder: Path, month: str) -> dict[str, Any]:
    from plugins.archive.bag import Bag, BagDamaged
    from plugins.archive.cabinet import items_of
    from plugins.archive.months import Month
    from plugins.archive.report import list_name

    bag = Bag(folder)
    listed = folder / "berjalan" / list_name(Month.parse(month))
    try:
        paths, oxum = bag.manifest(), bag.oxum()
    except (BagDamaged, OSError) as error:
        _say_no(f"{month}: {error}; see siarhub archive verify {month}")
    return {
        "month": month,
        "path": str(folder),
        "items": len(items_of(paths)),
        "files": oxum.count,
        "bytes": oxum.size,
        "list": str(listed) if listed.is_file() else None,
    }


def _month(text: str) -> str:
    from plugins.archive.months import Month

    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _say_no(reason: str) -> NoReturn:
    click.echo(reason, err=True)
    sys.exit(1)
