"""Commands and where they come from: the hub's own, and one group for each plugin, imported only when it is used."""

from __future__ import annotations

import asyncio
import importlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from hub import settings
from hub.api import HubError
from hub.cli.context import Context, fail
from hub.plugin_host.loader import Found, find_plugins, load_class
from hub.settings import ENVIRONMENT

OWN = {
    "run": "hub.cli.main:run",
    "check": "hub.cli.check:check",
    "status": "hub.cli.status:status",
    "items": "hub.cli.show:items",
    "show": "hub.cli.show:show",
    "plan": "hub.cli.plan:plan",
    "retry": "hub.cli.orders:retry",
    "withdraw": "hub.cli.orders:withdraw",
    "plugins": "hub.cli.plugins:plugins",
    "plugin": "hub.cli.plugins:plugin",
    "demo": "hub.demo.command:demo",
}


class Commands(click.Group):
    """Imports a command's module when that command is asked for; a broken plugin breaks its own commands only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*OWN, *sorted(_plugin_names(ctx) - OWN.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OWN:
            module, _, name = OWN[cmd_name].partition(":")
            return _with_config(getattr(importlib.import_module(module), name))
        return _with_config(_plugin_group(ctx, cmd_name))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("siarhub"), prog_name="siarhub")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar=ENVIRONMENT,
    is_eager=True,  # before --help, which lists the plugins that the settings name
    help="The settings file (siarhub.toml).",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Siar Hub: shows approved public information on screens, airs it, and files it every month."""
    if not isinstance(ctx.obj, Context):
        ctx.obj = Context()
    ctx.obj.config = config or ctx.obj.config


@click.command()
@click.pass_obj
def run(context: Context) -> None:
    """Run the hub until SIGTERM or Ctrl-C."""
    from hub.api.service import set_up_logging
    from hub.daemon import Daemon

    chosen = context.all_settings
    set_up_logging(level=chosen.hub.log_level, style=chosen.hub.log_style)
    try:
        asyncio.run(Daemon(chosen).run())
    except (HubError, OSError) as error:
        raise fail(str(error)) from error


def _plugin_names(ctx: click.Context) -> set[str]:
    return {found.name for found in (*find_plugins(None), *find_plugins(_plugin_dir(ctx)))}


def _plugin_group(ctx: click.Context, name: str) -> click.Command | None:
    found = _find(name, None) or _find(name, _plugin_dir(ctx))
    if found is None:
        return None
    try:
        make: Any = getattr(load_class(found), "hub_commands", None)
        group = make() if make else None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the isolation boundary: a plugin's module runs here
        return _broken(name, f"{type(error).__name__}: {error}")
    return group if isinstance(group, click.Command) else None


def _broken(name: str, reason: str) -> click.Command:
    """Stands in for the commands of a plugin that cannot be loaded: listed, and says why when it is used."""

    def say_why(arguments: tuple[str, ...]) -> None:
        raise fail(f"the plugin {name} is broken: {reason}")

    return click.Command(
        name,
        callback=say_why,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        help=f"(broken: {reason})",
    )


def _find(name: str, folder: Path | None) -> Found | None:
    return next((one for one in find_plugins(folder) if one.name == name), None)


def _plugin_dir(ctx: click.Context) -> Path | None:
    """Where dropped plugins stand; None without usable settings, so that `--help` works all the same."""
    try:
        return settings.load(settings.find(ctx.params.get("config"))).hub.plugin_dir
    except settings.SettingsError:
        return None


def _with_config(command: click.Command | None) -> click.Command | None:
    """Let `--config` stand after the command too, at any depth."""
    if command is None or any(param.name == "config" for param in command.params):
        return command

    def remember(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
        root = ctx.find_root()
        if value is not None and isinstance(root.obj, Context):
            root.obj.config = value

    command.params.append(
        click.Option(
            ["--config"], type=click.Path(path_type=Path), expose_value=False, callback=remember, is_eager=True,
            help="The settings file (siarhub.toml).",
        )
    )  # fmt: skip
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _with_config(one)
    return command
