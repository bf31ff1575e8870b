"""`siarhub videotron keys ...`: the written ceremony of docs/keys.md, step by step.

Each works with `--folder` where no hub is; `commands_custodian.py` has those for machines without a network.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import click

from hub.api import HubError
from hub.api.cli import CommandContext
from plugins.videotron.commands.custodian import new_root, sign_proposal
from plugins.videotron.keys import ceremony, keyring
from plugins.videotron.keys.in_words import explain, file_path, read_file, say_next, show, told, write_file
from plugins.videotron.keys.keyfiles import BadKeys, fingerprint, read_public
from plugins.videotron.keys.keystatus import as_json, fingerprints, look
from plugins.videotron.protocol import KeyRole
from plugins.videotron.settings import VideotronSettings, keys_folder

RESTART = "Then: systemctl restart siarhub"
OLD_ROOT = "siarhub videotron keys install --remove-old-root"
MAX_ROOTS = 10

folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the keys; without it, the one that the settings name.",
)
out_option = click.option(
    "--out",
    type=file_path,
    help="Where a proposal for the custodians is written; keyset-<version>.json by default.",
)


@click.group()
def keys() -> None:
    """The keys that decide what screens may show; docs/keys.md has the ceremony."""


keys.add_command(new_root)
keys.add_command(sign_proposal)


@keys.command()
@folder_option
@click.option("--site", default="", help="Label [a-z0-9-] of this office; it must be the only one of that name.")
@click.pass_obj
def init(hub: CommandContext, folder: Path | None, site: str) -> None:
    """Make the first keys: one root key and one online key. Refuses when there are keys."""
    with told():
        made = keyring.make(_folder(hub, folder), site, now=_now())
        click.echo(f"Made the keys of {made.site} in {_folder(hub, folder)}.")
        click.echo(f"Online key {fingerprint(made.online.public)}, root key {fingerprints(made.keyset.root)[0]}.")
        click.echo("Keep a copy of this folder where nobody else comes; later, move the root key away: docs/keys.md")


@keys.command()
@folder_option
@out_option
@click.option("--roots", is_flag=True, help="Move to these root keys; name their .pub files.")
@click.option("--threshold", type=click.IntRange(1, 10), help="How many of the roots must sign; with --roots.")
@click.option("--days", type=click.IntRange(30, 1500), help="How long the new keyset holds.")
@click.argument("public_keys", nargs=-1, type=file_path)
@click.pass_obj
def rotate(
    hub: CommandContext,
    folder: Path | None,
    out: Path | None,
    *,
    roots: bool,
    threshold: int | None,
    days: int | None,
    public_keys: tuple[Path, ...],
) -> None:
    """Change the online key; or the roots: rotate --roots a.pub b.pub c.pub --threshold 2.

    With the root key in the folder a new online key is in force at once. Otherwise, and for other roots, a proposal is
    written that the custodians sign with `keys sign`, and `keys install` puts in force.
    """
    if roots != bool(public_keys) or roots != bool(threshold):
        raise click.UsageError("--roots, --threshold and the .pub files belong together")
    lifetime = timedelta(days=days) if days else None
    with told():
        change = ceremony.Change(online=True, lifetime=lifetime)
        if roots:
            change = ceremony.Change(roots=_roots(public_keys, threshold or 1), lifetime=lifetime)
        _change(_folder(hub, folder), change, out)


@keys.command()
@folder_option
@out_option
@click.pass_obj
def revoke(hub: CommandContext, folder: Path | None, out: Path | None) -> None:
    """The online key may have been stolen: another one, and all that the old one signed is void."""
    with told():
        _change(_folder(hub, folder), ceremony.Change(online=True, stolen=True), out)


@keys.command()
@folder_option
@out_option
@click.option("--unattended", is_flag=True, help="Write no proposal where custodians are needed.")
@click.pass_obj
def renew(hub: CommandContext, folder: Path | None, out: Path | None, *, unattended: bool) -> None:
    """Let the same keys hold longer, when they end soon. Completes what was interrupted."""
    with told():
        path, now = _folder(hub, folder), _now()
        if keyset := ceremony.renew(path, now=now):
            click.echo(f"Keyset {keyset.version} is in force until {keyset.expires:%Y-%m-%d}. {RESTART}")
            return
        keyset = keyring.load(path, now=now).keyset
        left = keyring.days_left(keyset, now)
        if unattended or left >= ceremony.RENEW_DAYS:
            what = "nothing to do" if left >= ceremony.RENEW_DAYS else "its custodians must renew it"
            click.echo(f"Keyset {keyset.version} holds until {keyset.expires:%Y-%m-%d}: {what}.")
            return
        _change(path, ceremony.Change(), out)


@keys.command()
@folder_option
@click.option("--remove-old-root", is_flag=True, help="Then remove the root key that came with `keys init`.")
@click.argument("files", nargs=-1, type=file_path)
@click.pass_obj
def install(hub: CommandContext, folder: Path | None, files: tuple[Path, ...], *, remove_old_root: bool) -> None:
    """Put a signed proposal in force; several files of the same proposal are put together."""
    if not files and not remove_old_root:
        raise click.UsageError("name the file that the custodians signed")
    with told():
        path = _folder(hub, folder)
        if files:
            keyset = ceremony.install(path, [read_file(file) for file in files], now=_now())
            click.echo(f"Keyset {keyset.version} of {keyset.site} is in force. {RESTART}")
        if remove_old_root:
            gone = not ceremony.retire_root(path)
            click.echo(f"{path / keyring.ROOT} is gone already." if gone else f"Removed {path / keyring.ROOT}.")
        elif ceremony.has_old_root(path):
            click.echo(f"{path / keyring.ROOT} counts no more. Remove it: {OLD_ROOT}")


@keys.command()
@folder_option
@click.option("--json", "as_object", is_flag=True, help="An object.")
@click.pass_obj
def status(hub: CommandContext, folder: Path | None, *, as_object: bool) -> None:
    """Show which keys count and how long. Exits with 1 when there is a problem."""
    now = _now()
    found = look(_folder(hub, folder), now=now)
    if as_object:
        click.echo(json.dumps(as_json(found, now), indent=2))
    else:
        show(found, now)
    for problem in found.problems:
        click.echo(problem, err=True)
    if found.problems:
        raise click.exceptions.Exit(1)


def _change(folder: Path, change: ceremony.Change, out: Path | None) -> None:
    """Put the change in force when the root in the folder suffices, else write the proposal."""
    proposal = ceremony.prepare(folder, change, now=_now())
    explain(proposal)
    if proposal.missing() == (0, 0):
        keyset = ceremony.install(folder, [proposal], now=_now())
        click.echo(f"Keyset {keyset.version} is in force. {RESTART}")
        return
    file = out or Path(f"keyset-{proposal.after.version}.json")
    if file.exists():
        raise HubError(f"{file} is there already: move it away, or name another with --out")
    write_file(file, proposal)
    click.echo(f"Wrote {file}. {say_next(proposal, file)}")


def _roots(paths: tuple[Path, ...], threshold: int) -> KeyRole:
    public = [read_public(path) for path in paths]
    if len(set(public)) < len(public):
        raise BadKeys("two of these files are the same key: each custodian needs one of their own")
    if threshold > len(public) or len(public) > MAX_ROOTS:
        raise BadKeys(f"{threshold} of {len(public)} cannot be: at most {MAX_ROOTS} roots, and as many that sign")
    return keyring.role(*public, threshold=threshold)


def _folder(hub: CommandContext, folder: Path | None) -> Path:
    if folder:
        return folder
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    return keys_folder(settings, hub.state_dir("videotron"))


def _now() -> datetime:
    return datetime.now(UTC)
