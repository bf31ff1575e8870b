"""What the commands about keys say, and how they read and write the files that custodians carry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from hub.api import HubError
from hub.api.files import write_atomically
from plugins.videotron.keys.keyring import ROOT, days_left
from plugins.videotron.keys.keystatus import KeyStatus, fingerprints
from plugins.videotron.keys.proposals import Proposal, changes, read_proposal, say_missing, write_proposal
from plugins.videotron.protocol import KeyRole
from plugins.videotron.protocol.wire import MAX_DOCUMENT_BYTES

file_path = click.Path(dir_okay=False, path_type=Path)


def explain(proposal: Proposal) -> None:
    """Print what the proposal changes, and whose signatures count."""
    before, after = proposal.before, proposal.after
    click.echo(f"Keyset {after.version} of {after.site}, made on {after.issued:%Y-%m-%d %H:%M} UTC:")
    for sentence in changes(before, after):
        click.echo(f"  {sentence}")
    click.echo(f"Roots of keyset {before.version}, of which {before.root.threshold} must sign:")
    _list(before.root)
    if after.root != before.root:
        click.echo(f"Roots from then on, of which {after.root.threshold} must sign:")
        _list(after.root)
    click.echo("Online key from then on:")
    _list(after.online)


def say_next(proposal: Proposal, file: Path) -> str:
    if missing := say_missing(proposal):
        return f"Now {missing}: siarhub videotron keys sign {file} --key KEY"
    return f"It is complete. On the server: siarhub videotron keys install {file}"


def show(found: KeyStatus, now: datetime) -> None:
    if keyset := found.keyset:
        click.echo(f"Site         {keyset.site}")
        click.echo(f"Keyset       {keyset.version} of epoch {keyset.epoch}, the last of {found.keysets}")
        click.echo(f"Holds until  {keyset.expires:%Y-%m-%d} ({days_left(keyset, now)} days)")
        for name, role in (("Roots", keyset.root), ("Online", keyset.online)):
            click.echo(f"{name:<12} {role.threshold} of {len(role.keys)} must sign:")
            for text in fingerprints(role):
                click.echo(f"{'':<13}{text}")
    click.echo(f"Online key   {found.online_path} ({found.online_mode or 'MISSING'})")
    click.echo(f"Root key     {found.folder / ROOT} ({found.root_mode or 'not here'})")
    for note in found.notes:
        click.echo(f"Note: {note}")


def read_file(path: Path) -> Proposal:
    """The proposal in a file. Raises: BadKeys, OSError."""
    with path.open("rb") as file:
        return read_proposal(file.read(MAX_DOCUMENT_BYTES + 1))


def write_file(path: Path, proposal: Proposal) -> None:
    write_atomically(path, write_proposal(proposal))


@contextmanager
def told() -> Iterator[None]:
    """What went wrong is printed in words; the exit code is 1 then."""
    try:
        yield
    except PermissionError as error:
        click.echo(f"{error.filename}: {error.strerror}; use sudo", err=True)
        raise click.exceptions.Exit(1) from error
    except (HubError, OSError) as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from error


def _list(role: KeyRole) -> None:
    for text in fingerprints(role):
        click.echo(f"  {text}")
