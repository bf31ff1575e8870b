"""`make bench [ONLY=...]`: prints `name  ours  theirs  ratio  target  ok|short`, a line a measure; or `--json`."""

from __future__ import annotations

import importlib
import json
import os

import click

PARTS = {
    "chain": ("chain",),
    "media": ("media", "loudness"),
    "clips": ("clips",),
    "latency": ("latency",),
    "intake": ("intake",),
    "ledger": ("ledger",),
    "videotron": ("videotron", "transfer"),
    "transfer": ("transfer",),
    "fleet": ("fleet",),
    "radio": ("loudness",),
    "archive": ("archive",),
}


@click.command()
@click.option("--only", type=click.Choice(list(PARTS)), help="Measure only this part.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects with the same names.")
def main(only: str | None, as_json: bool) -> None:
    """Measure ours beside what a user would pick instead; exit with 1 when a measure falls short."""
    modules = dict.fromkeys(module for part in ([only] if only else PARTS) for module in PARTS[part])
    click.echo(f"# {os.cpu_count()} cores, load average at start {os.getloadavg()[0]:.1f}", err=as_json)
    found = []
    for module in modules:
        for measure in importlib.import_module(f"bench.{module}").measures():
            found.append(measure)
            if not as_json:
                click.echo(str(measure))
    if as_json:
        click.echo(json.dumps([one.as_json() for one in found], indent=2))
    if not all(one.ok for one in found):
        raise SystemExit(1)


main()
