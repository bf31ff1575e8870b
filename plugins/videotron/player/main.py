"""`siarhub-player`: the command on the machine at the screen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import structlog

from hub.api.errors import HubError
from hub.api.service import sd_notify, set_up_logging
from plugins.videotron.player import checks, enrolment, newkeys, orders
from plugins.videotron.player.agent import Agent, SystemClock
from plugins.videotron.player.identity import Identity, forget_identity
from plugins.videotron.player.settings import BadConfig, NotEnrolled, PlayerSettings, load
from plugins.videotron.player.unenrolled import Unenrolled
from plugins.videotron.protocol import WireError

CONFIG = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/siarhub/player.toml"),
    envvar="SIARHUB_PLAYER_CONFIG",
    show_default=True,
    help="The player's TOML file.",
)


@click.group()
def main() -> None:
    """The player at a screen: fetches approved films from the hub, shows them, proves what it showed."""


@main.command()
@CONFIG
def run(config: Path) -> None:
    """Be the player until SIGTERM; before its enrolment, show the code that makes it one."""
    settings = _settings(config)
    set_up_logging(level=settings.log.level, style=settings.log.style)
    if problems := checks.obstacles(settings):
        _complain(problems)
    with _alone_in(settings.state_dir):
        asyncio.run(_run(config))


@main.command()
@CONFIG
def check(config: Path) -> None:
    """Say what is missing here; exits with 0 when nothing is."""
    problems = checks.problems(_settings(config))
    if problems:
        _complain(problems)
    click.echo("all is there")


@main.command()
@CONFIG
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="Copy the picture here.")
@click.option("--json", "as_json", is_flag=True, help="Print the path and the player's state as JSON.")
def screenshot(config: Path, target: Path | None, as_json: bool) -> None:
    """Take a picture of what the running player's mpv shows; prints where it is."""
    answer = _ask(config, "screenshot")
    if target is not None:
        target.write_bytes(Path(answer["path"]).read_bytes())
        answer["path"] = str(target)
    click.echo(json.dumps(answer) if as_json else answer["path"])


@main.command()
@CONFIG
def status(config: Path) -> None:
    """Print the running player's state as JSON."""
    click.echo(json.dumps(_ask(config, "status"), indent=2))


@main.command()
@CONFIG
def identity(config: Path) -> None:
    """Print this machine's public key, and whose player it is, as JSON."""
    folder = _folder(config)
    with _told():
        click.echo(enrolment.as_json(enrolment.load(folder), Identity.load_or_make(folder).public))


@main.command("install-enrolment")
@CONFIG
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def install_enrolment(config: Path, file: Path) -> None:
    """Take in what `siarhub videotron enrol SCREEN --key ... --out FILE` made for this machine."""
    folder = _folder(config)
    with _alone_in(folder), _told():
        found = enrolment.install(folder, file, Identity.load_or_make(folder).public)
        click.echo(f"this is the player of {found.credential.player} now; delete {file}: its password is in it")


@main.command("install-keys")
@CONFIG
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def install_keys(config: Path, file: Path) -> None:
    """Take in the hub's keychain.json, brought on a stick, where its newer keys cannot come by themselves."""
    with _told():
        keyset = newkeys.install(_folder(config), file)
        click.echo(
            f"keyset {keyset.version} of {keyset.site} counts from the next start: systemctl restart siarhub-player"
        )


@main.command()
@CONFIG
@click.confirmation_option(prompt="This machine will be nobody's player, and show a code at its next start. Go on?")
def forget(config: Path) -> None:
    """End this machine's enrolment and make it another key: it can be enrolled anew, here or elsewhere."""
    folder = _folder(config)
    with _alone_in(folder), _told():
        enrolment.forget(folder)
        forget_identity(folder)
        click.echo("forgotten; start the player, and it shows a code")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (HubError, OSError, WireError) as error:
        _complain([str(error)])


def _folder(config: Path) -> Path:
    """The state folder of a player that may have no settings for more yet."""
    settings = _settings(config)
    if problems := checks.obstacles(settings):
        _complain(problems)
    return settings.state_dir


@contextlib.contextmanager
def _alone_in(state_dir: Path) -> Iterator[None]:
    """Two players on one folder would spoil each other's films and proofs; the lock ends with the process."""
    with _opened(state_dir) as lock:  # the folder itself: a full or read-only disk keeps nobody from starting
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _complain([f"state_dir: another player runs in {state_dir}; stop it, or give this one its own folder"])
        yield


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


async def _run(config: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_be_a_player(config), name="player")
        await stop.wait()
        sd_notify("STOPPING=1")
        structlog.get_logger().info("player_stopped")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _be_a_player(config: Path) -> None:
    """Nobody's until it is enrolled; then the screen's, in the same process."""
    log = structlog.get_logger()
    try:
        settings = await asyncio.to_thread(load, config)
    except NotEnrolled as waiting:
        await Unenrolled(waiting.settings, clock=SystemClock(), log=log).run()
        settings = await asyncio.to_thread(load, config)
    await Agent(settings, clock=SystemClock(), log=log.bind(player=settings.player)).run()


def _settings(config: Path) -> PlayerSettings:
    """Those of a player that is not enrolled yet, too."""
    try:
        return load(config)
    except NotEnrolled as waiting:
        return waiting.settings
    except BadConfig as bad:
        click.echo("\n".join(bad.problems), err=True)
        sys.exit(2)


def _ask(config: Path, order: str) -> dict[str, str]:
    try:
        return orders.ask(_settings(config).state_dir, order)
    except orders.NoPlayer as error:
        _complain([str(error)])
        raise


def _complain(problems: list[str]) -> None:
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(1)
