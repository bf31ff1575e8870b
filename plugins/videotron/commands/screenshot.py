"""`siarhub videotron screenshot`: what stands on a screen now, and whether that was approved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import click

from hub.api.cli import CommandContext
from plugins.videotron.screenshots.shots import SCREENSHOT, Answer
from plugins.videotron.settings import VideotronSettings


@click.command()
@click.argument("screen")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Copy the picture to this file.")
@click.option("--json", "as_json", is_flag=True, help="An object.")
@click.pass_obj
def screenshot(hub: CommandContext, screen: str, out: Path | None, as_json: bool) -> None:
    """Have the player of SCREEN send what stands on it, and say whether that is what was approved.

    Exits with 1 when there is no picture, or when it shows something else.
    """
    settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
    if screen not in settings.screens:
        known = ", ".join(sorted(settings.screens)) or "none"
        raise click.UsageError(f"there is no screen {screen}; there are: {known}")
    outcome = hub.order(SCREENSHOT, {"screen": screen}, "")
    if not outcome.done:
        click.echo(outcome.message, err=True)
        raise click.exceptions.Exit(1)
    answer = Answer.read(outcome.message)
    if out is not None:
        _copy(answer.picture, out)
    if as_json:
        told = {"screen": screen, "picture": str(out or answer.picture), "verdict": answer.verdict, "text": answer.text}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        click.echo(f"{out or answer.picture}\n{answer.text}")
    if answer.wrong:
        raise click.exceptions.Exit(1)


def _copy(picture: str, out: Path) -> None:
    try:
        shutil.copyfile(picture, out)
    except OSError as error:
        click.echo(
            f"the picture is at {picture}, but could not be copied to {out}: {error.strerror or error}", err=True
        )
        raise click.exceptions.Exit(1) from error
