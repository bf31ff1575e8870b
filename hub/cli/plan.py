"""`siarhub plan FILE`: what would be made of a file or folder, how and why, without making it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Column, Table

from hub.api import Asset, Delivery, Draft, HubError, Item, ItemNumber, ItemState, Profile
from hub.api.profiles import in_words
from hub.cli.context import Context, fail, legible, print_json
from hub.cli.drop import Drop, look_at
from hub.cli.known import Known, look_up
from hub.cli.offline import plugins_offline
from hub.media.failures import values_for
from hub.media.pace import Pace, expect
from hub.media.preview import Preview, preview
from hub.messages import Catalogue, Refusal, catalogue
from hub.plugin_host.host import PluginHost
from hub.settings import Settings

REMUX = "remux: its coded picture or sound stays as it is, in a new container that the hub writes."
NO_COPY = "A file is never copied to a screen or to the air byte for byte: nothing foreign in it may get there."
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the plugins say of the drop."""

    deliveries: tuple[Delivery, ...]
    problems: tuple[str, ...]


class _NotAccepted(Exception):
    """Plugins object: a line for each reason."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("-v", "--verbose", is_flag=True, help="Print the ffmpeg commands too, ready to be copied.")
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def plan(context: Context, file: Path, verbose: bool, as_json: bool) -> None:
    """Show what would be made of FILE (or a folder) for each destination, and why.

    A sidecar beside the file, or info.txt in the folder, is heeded.
    """
    settings = context.all_settings
    say = catalogue(settings.hub.language)
    try:
        with plugins_offline(settings) as (host, _):
            value = asyncio.run(_plan(file.absolute(), host, settings, say))
    except Refusal as refusal:
        raise fail(refusal.say(say)) from refusal
    except _NotAccepted as objections:
        raise fail(str(objections)) from objections
    except (HubError, OSError) as error:
        raise fail(f"{file}: {error}") from error
    if as_json:
        print_json(value)
    else:
        _print_plan(context, value, verbose=verbose)


async def _plan(path: Path, host: PluginHost, settings: Settings, say: Catalogue) -> dict[str, Any]:
    drop = await look_at(path, settings, say)
    wishes = await _wishes(drop.draft, host)
    wants = [want for one in wishes.deliveries for want in one.wants]
    known = look_up(settings.hub.state_dir / "ledger.db", [asset.sha256 for asset in drop.draft.assets], wants)
    found = [
        (asset, await preview(asset, wanted, settings.media))
        for asset in drop.draft.assets
        if (wanted := [w.profile for w in wants if w.asset == asset.sha256 and (w.asset, w.profile) not in known.made])
    ]
    value = _value(path, drop, wishes, found, Pace(settings.hub.state_dir / "pace.json").factor, say)
    value["renditions"] += _made(drop.draft, known, wishes.deliveries)
    return {**value, "same_bytes_as": list(known.numbers)}


async def _wishes(draft: Draft, host: PluginHost) -> _Wishes:
    """Whether it would be accepted and where it would go, asked of the plugins themselves. Raises: _NotAccepted."""
    objections = await host.check_item(draft)
    if refusals := [one.problem for one in objections if not one.failed]:
        raise _NotAccepted("\n".join(refusals))
    problems = [f"plugin {one.plugin}: {one.problem}" for one in objections]
    deliveries: list[Delivery] = []
    for plugin in host.names:
        try:
            deliveries += await host.plan_deliveries(plugin, _item(draft))
        except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
            problems.append(f"plugin {plugin}: {type(error).__name__}: {error}")
    return _Wishes(deliveries=tuple(deliveries), problems=tuple(problems))


def _item(draft: Draft) -> Item:
    """The draft as if it had been accepted just now."""
    values = {field.name: getattr(draft, field.name) for field in fields(draft)}
    return Item(**values, number=ItemNumber("IP-0000-00-0000"), state=ItemState.ACTIVE, accepted_at=datetime.now(UTC))


def _value(
    path: Path,
    drop: Drop,
    wishes: _Wishes,
    found: Sequence[tuple[Asset, Preview]],
    factor: float,
    say: Catalogue,
) -> dict[str, Any]:
    draft = drop.draft
    runs = [one for asset, made in found for one in _runs(asset, made, factor)]
    steps = [step for _, made in found for step in made.plan.steps]
    return {
        "file": path.name,
        "media": asdict(draft.assets[0].media),
        "files": [{"name": asset.original_name, "media": asdict(asset.media)} for asset in draft.assets],
        "title": draft.title,
        "channels": sorted(draft.channels),
        "screens": list(draft.screens),
        "priority": draft.priority,
        "days": list(draft.days),
        "dayparts": draft.dayparts,
        "share": draft.share,
        "template": draft.template,
        "renditions": [one for asset, made in found for one in _renditions(asset, made, wishes.deliveries)],
        "runs": runs,
        "originals": [one.destination for one in wishes.deliveries if not one.wants],
        "impossible": [one for asset, made in found for one in _impossible(asset, made, say)],
        "problems": list(wishes.problems),
        "notes": list(drop.notes),
        "expected_bytes": sum(step.expected_bytes for step in steps),
        "most_bytes": sum(step.most_bytes for step in steps),
        "expected_seconds": round(sum(expect(a.media, made.plan, factor=factor).seconds for a, made in found), 1),
    }


def _renditions(asset: Asset, made: Preview, deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    return [
        {
            "file": asset.original_name,
            "destinations": _destinations(asset, step.profile, deliveries),
            "output": in_words(step.profile),
            "way": step.way,
            "why": list(step.reasons),
            "profile": asdict(step.profile),
            "duration_s": step.duration_s,
            "expected_bytes": step.expected_bytes,
            "most_bytes": step.most_bytes,
        }
        for run in made.runs
        for step in run.steps
    ]


def _made(draft: Draft, known: Known, deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """What need not be made: it is there."""
    return [
        {
            "file": asset.original_name,
            "destinations": _destinations(asset, profile, deliveries),
            "output": in_words(profile),
            "way": "made",
            "why": ["it is made already, and costs nothing"],
            "profile": asdict(profile),
            "duration_s": rendition.media.duration_s or 0.0,
            "expected_bytes": rendition.media.size_bytes,
            "most_bytes": rendition.media.size_bytes,
        }
        for asset in draft.assets
        for (sha256, profile), rendition in known.made.items()
        if sha256 == asset.sha256
    ]


def _destinations(asset: Asset, profile: Profile, deliveries: Sequence[Delivery]) -> list[str]:
    wanting = (
        one.destination
        for one in deliveries
        if any(want.asset == asset.sha256 and want.profile == profile for want in one.wants)
    )
    return list(dict.fromkeys(wanting))


def _runs(asset: Asset, made: Preview, factor: float) -> list[dict[str, Any]]:
    expected = expect(asset.media, made.plan, factor=factor)
    return [
        {
            "file": asset.original_name,
            "outputs": {name: in_words(step.profile) for name, step in zip(run.outputs, run.steps, strict=True)},
            "command": list(run.command),
            "drawn_first": made.drawn,
            "expected_seconds": round(seconds, 1),
        }
        for run, seconds in zip(made.runs, expected.runs_s, strict=True)
    ]


def _impossible(asset: Asset, made: Preview, say: Catalogue) -> list[dict[str, Any]]:
    return [
        {
            "file": asset.original_name,
            "profile": asdict(profile),
            "output": in_words(profile),
            "why": Refusal(why, **values_for(asset.media, profile)).say(say),
        }
        for profile, why in made.plan.impossible
    ]


def _print_plan(context: Context, value: dict[str, Any], *, verbose: bool) -> None:
    several = len(value["files"]) > 1
    table = Table("For", "Way", "Why", Column("Lasts", justify="right"), Column("MiB", justify="right"))
    for one in value["renditions"]:
        where = ", ".join(one["destinations"])
        table.add_row(
            legible(f"{where}\n{one['output']}" + (f"\n{one['file']}" if several else "")),
            one["way"],
            legible("\n".join(one["why"])),
            f"{one['duration_s']:.1f} s",
            f"about {one['expected_bytes'] / MIB:.1f}\nat most {one['most_bytes'] / MIB:.1f}",
        )
    for where in value["originals"]:
        table.add_row(legible(where), "copy", "the original as it was dropped, for the record", "", "")
    context.console.print(table)
    for line in _remarks(value):
        context.console.print(legible(line))
    if verbose:
        _print_commands(value)


def _remarks(value: dict[str, Any]) -> list[str]:
    lines = [
        f"One decode makes {len(run['outputs'])} of them: {', '.join(run['outputs'].values())}."
        for run in value["runs"]
        if len(run["outputs"]) > 1
    ]
    if any(one["way"] == "remux" for one in value["renditions"]):
        lines += [f"{REMUX} {NO_COPY}"]
    lines += [f"impossible: {one['output']}: {one['why']}" for one in value["impossible"]]
    lines += [f"The same bytes were accepted as {number}." for number in value["same_bytes_as"]]
    lines += [*value["problems"], *(f"as it stands it would be refused: {note}" for note in value["notes"])]
    if value["runs"]:
        took = timedelta(seconds=max(1, round(value["expected_seconds"])))
        sizes = f"about {value['expected_bytes'] / MIB:.1f} MiB, at most {value['most_bytes'] / MIB:.1f}"
        lines.append(f"In all {sizes}; ready after about {took} when nothing else is made.")
    return lines


def _print_commands(value: dict[str, Any]) -> None:
    """Unwrapped, so that they can be copied; what a terminal might obey is replaced."""
    for run in value["runs"]:
        click.echo()
        names = ", ".join(f"{name} is {what}" for name, what in run["outputs"].items())
        drawn = " (page-1.png ... are drawn of it first)" if run["drawn_first"] else ""
        click.echo(legible(f"# {run['file']}{drawn}: {names}; the hub runs this in its sandbox").plain)
        click.echo(legible(shlex.join(run["command"])).plain)
