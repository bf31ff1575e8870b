"""`siarhub videotron keys new-root` and `sign`: for a custodian's machine without a hub, settings or a network."""

from __future__ import annotations

from pathlib import Path

import click

from hub.api import HubError
from plugins.videotron.keys.in_words import explain, file_path, read_file, say_next, told, write_file
from plugins.videotron.keys.keyfiles import PassphraseNeeded, fingerprint, read_key, write_key, write_public
from plugins.videotron.keys.keyring import KEYCHAIN
from plugins.videotron.keys.proposals import Proposal, check_known, sign
from plugins.videotron.protocol import SigningKey

PASSPHRASE_MIN = 16


@click.command("new-root")
@click.argument("name", type=click.Path(path_type=Path))
@click.option("--no-passphrase", is_flag=True, help="Leave the key open: for drills only.")
def new_root(name: Path, *, no_passphrase: bool) -> None:
    """Make a custodian's root key: NAME.key, to be kept, and NAME.pub, to be handed on. Needs no hub."""
    private, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    with told():
        if private.exists() or public.exists():
            raise HubError(f"{private} or {public} is there already: choose another name")
        passphrase = "" if no_passphrase else _new_passphrase()
        key = SigningKey.new()
        write_key(private, key, f"Siar Hub: ROOT key {name.name}. Show it to nobody.", passphrase=passphrase)
        write_public(public, key.public, f"Siar Hub: public part of the root key {name.name}.")
        click.echo(f"Made {private} (keep it, and a copy on a second stick) and {public} (hand it on).")
        click.echo(f"Write this on paper: {name.name} = {fingerprint(key.public)}")


@click.command("sign")
@click.argument("file", type=file_path)
@click.option("--key", "key_path", required=True, type=file_path, help="Your root key.")
@click.option(
    "--known",
    type=file_path,
    help="The keychain.json that you kept; the one beside your key if there is one.",
)
@click.option("--yes", is_flag=True, help="Do not ask: for drills only.")
def sign_proposal(file: Path, key_path: Path, known: Path | None, *, yes: bool) -> None:
    """Sign a proposal as a custodian, after reading what it changes. Needs no hub."""
    with told():
        proposal = read_file(file)
        _compare(proposal, known or key_path.with_name(KEYCHAIN), must=known is not None)
        explain(proposal)
        key = _unlocked(key_path)
        signed = sign(proposal, key)
        if proposal.signed_by(key.public):
            click.echo(f"This key has signed it already. {say_next(proposal, file)}")
            return
        click.echo(f"You sign with {fingerprint(key.public)}.")
        if not yes and not click.confirm("Is all of this as agreed, and do the fingerprints match the paper?"):
            raise HubError("Not signed.")
        write_file(file, signed)
        click.echo(f"Signed. {say_next(signed, file)}")


def _compare(proposal: Proposal, known: Path, *, must: bool) -> None:
    """Raises: BadKeys when it does not go on from the keychain that the custodian kept."""
    if must or known.exists():
        check_known(proposal, known.read_bytes())
        click.echo(f"It goes on from {known}, as it must.")
    else:
        click.echo("You kept no keychain.json from last time: compare each fingerprint below with the minutes.")


def _unlocked(path: Path) -> SigningKey:
    """The key; asks for its passphrase. A USB stick (FAT) has no modes to look at: the passphrase guards it."""
    try:
        return read_key(path, open_to=0)
    except PassphraseNeeded:
        return read_key(path, passphrase=click.prompt(f"Passphrase of {path}", hide_input=True, err=True), open_to=0)


def _new_passphrase() -> str:
    click.echo(f"Choose a passphrase of at least {PASSPHRASE_MIN} characters: five unrelated words.", err=True)
    text = str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True))
    if len(text) < PASSPHRASE_MIN:
        raise HubError(f"the passphrase is shorter than {PASSPHRASE_MIN} characters; nothing was made")
    return text
