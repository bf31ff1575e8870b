"""`siarhub plan FILE`: what would be made of a file, how and why, without making it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hub.api import Asset, Channel, HubError, Item, ItemNumber, ItemState, MediaInfo, Profile, VideoProfile
from hub.api.files import sha256_of
from hub.cli.context import Context, fail, legible, print_json
from hub.cli.offline import plugins_offline
from hub.media.details import read_details
from hub.media.pace import expect
from hub.media.planner import Step, seems_compliant
from hub.media.planner import plan as plan_transcode
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.messages import Refusal, catalogue
from hub.plugin_host.host import PluginHost


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def plan(context: Context, file: Path, as_json: bool) -> None:
    """Show what would be made of FILE for each destination, and why."""
    settings = context.all_settings
    try:
        with plugins_offline(settings) as (host, _):
            value = asyncio.run(_plan(file.resolve(), host, settings.media))
    except Refusal as refusal:
        raise fail(refusal.say(catalogue(settings.hub.language))) from refusal
    except (HubError, OSError) as error:
        raise fail(f"{file}: {error}") from error
    if as_json:
        print_json(value)
    else:
        _print_plan(context, value)


async def _plan(file: Path, host: PluginHost, settings: MediaSettings) -> dict[str, Any]:
    media = await probe(file, settings=settings)
    asset = Asset(sha256=sha256_of(file), path=file, original_name=file.name, media=media)
    destinations, problems = await _destinations(asset, host)
    profiles = list({profile: None for _, profile in destinations})
    made = plan_transcode(asset, profiles, await _details(asset, profiles, settings))
    return {
        "file": file.name,
        "media": asdict(media),
        "renditions": [_rendition(step, destinations) for step in made.steps],
        "problems": problems,
        "impossible": [{"profile": asdict(profile), "why": why} for profile, why in made.impossible],
        "expected_bytes": made.expected_bytes,
        "expected_seconds": round(expect(media, made).seconds, 1),
    }


async def _destinations(asset: Asset, host: PluginHost) -> tuple[list[tuple[str, Profile]], list[str]]:
    """Where the file would go, asked of the plugins themselves, and which of them could not say."""
    item, found, problems = _item(asset), [], []
    for plugin in host.names:
        try:
            for delivery in await host.plan_deliveries(plugin, item):
                found += [(delivery.destination, want.profile) for want in delivery.wants]
        except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
            problems.append(f"plugin {plugin}: {type(error).__name__}: {error}")
    return found, problems


async def _details(asset: Asset, profiles: Sequence[Profile], settings: MediaSettings) -> Any:
    fits = any(isinstance(one, VideoProfile) and seems_compliant(asset.media, one) for one in profiles)
    return await read_details(asset, settings, packets=True) if fits else None


def _item(asset: Asset) -> Item:
    now = datetime.now(UTC)
    return Item(
        number=ItemNumber("IP-0000-00-0000"), state=ItemState.ACTIVE, accepted_at=now, title=asset.original_name,
        assets=(asset,), channels=_channels(asset.media), start=now, end=now + timedelta(days=1),
    )  # fmt: skip


def _channels(media: MediaInfo) -> frozenset[Channel]:
    picture = {Channel.VIDEOTRON} if media.has_picture else set()
    sound = {Channel.RADIO} if media.has_sound else set()
    return frozenset({Channel.ARCHIVE} | picture | sound)


def _rendition(step: Step, destinations: Sequence[tuple[str, Profile]]) -> dict[str, Any]:
    return {
        "destinations": [where for where, profile in destinations if profile == step.profile],
        "way": step.way,
        "why": list(step.reasons),
        "profile": asdict(step.profile),
        "duration_s": step.duration_s,
        "expected_bytes": step.expected_bytes,
    }


def _print_plan(context: Context, value: dict[str, Any]) -> None:
    table = Table("For", "Way", "Why", "Seconds", "MiB")
    for one in value["renditions"]:
        size = f"{one['expected_bytes'] / (1 << 20):.1f}"
        table.add_row(
            legible(", ".join(one["destinations"])),
            one["way"],
            legible("; ".join(one["why"])),
            f"{one['duration_s']:.1f}",
            size,
        )
    context.console.print(table)
    for one in value["impossible"]:
        context.console.print(legible(f"impossible: {one['why']}"))
    for problem in value["problems"]:
        context.console.print(legible(problem))
    context.console.print(f"about {value['expected_seconds']} s of work, {value['expected_bytes'] >> 20} MiB")
