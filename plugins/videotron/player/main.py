"""`siarhub-player`: the command on the machine at the screen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import structlog

from hub.api.service import sd_notify, set_up_logging
from plugins.videotron.player import checks, orders
from plugins.videotron.player.agent import Agent, SystemClock
from plugins.videotron.player.settings import BadConfig, PlayerSettings, load

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
    """Be the player until SIGTERM."""
    settings = _settings(config)
    set_up_logging(level=settings.log.level, style=settings.log.style)
    if problems := checks.obstacles(settings):
        _complain(problems)
    with _alone_in(settings.state_dir):
        asyncio.run(_run(settings))


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


@contextlib.contextmanager
def _alone_in(state_dir: Path) -> Iterator[None]:
    """Two players on one folder would spoil each other's films and proofs; the lock ends with the process."""
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _complain([f"state_dir: another player runs in {state_dir}; stop it, or give this one its own folder"])
        yield


async def _run(settings: PlayerSettings) -> None:
    log = structlog.get_logger().bind(player=settings.player)
    agent = Agent(settings, clock=SystemClock(), log=log)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(agent.run(), name="player")
        await stop.wait()
        sd_notify("STOPPING=1")
        log.info("player_stopped")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _settings(config: Path) -> PlayerSettings:
    try:
        return load(config)
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
