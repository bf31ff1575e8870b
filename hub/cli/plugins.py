"""Commands about plugins: which there are and how they do, a new one to start from, and whether one keeps the rules."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hub.api.service import set_up_logging
from hub.cli.context import Context, fail, legible, print_json
from hub.control import daemon_runs
from hub.observe.health import read_status
from hub.plugin_host.loader import BUNDLED, NAME, Found, PluginState, examine, find_at, find_plugins, load_class
from hub.settings import Settings
from hub.testing import PluginContract, Result, Verdict, run_checks
from hub.testing.runner import run_check

SKELETON = Path(__file__).parents[1] / "plugin_skeleton"
IMPORT_WITHIN_S = 40.0
RESERVED = (
    "jobs",
    "deliveries",
    "intake",
    "loop",
    "hub",
    "test",
    "plugins",
)  # other parts of the status have these names
COLOURS = {
    "running": "green", "ready": "green", "disabled": "dim", "found": "yellow", "ok": "green", "skipped": "yellow",
    "degraded": "yellow",
}  # fmt: skip
BAD = "red"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def plugins(context: Context, as_json: bool) -> None:
    """List every plugin that is found, how it does, and why one does not run."""
    with redirect_stdout(sys.stderr):  # a plugin that prints when it is imported must not spoil the list
        rows = list(_rows(context))
    if as_json:
        print_json(rows)
        return
    table = Table("Plugin", "State", "Health", "Origin", "Why")
    for row in rows:
        health = row["health"] or {"state": "", "summary": ""}
        why = "\n".join(filter(None, (row["reason"], health["summary"])))
        table.add_row(
            Text(row["name"]), _coloured(row["state"]), _coloured(health["state"]), Text(row["origin"]), legible(why)
        )
    context.console.print(table)


@click.group()
def plugin() -> None:
    """Write a plugin of your own: docs/plugins.md shows how, step by step."""


@plugin.command()
@click.argument("name")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where; default: here.")
def new(name: str, into: Path) -> None:
    """Make the folder NAME with a plugin that works, its test and a README to start from."""
    if problem := _name_problem(name):
        raise click.BadParameter(problem, param_hint="NAME")
    target = into / name
    try:
        into.mkdir(parents=True, exist_ok=True)
        target.mkdir()
        for file, text in _skeleton(name).items():
            (target / file).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise fail(f"{target} is there already: choose another name, or remove it first") from error
    except OSError as error:
        raise fail(f"{target} cannot be written: {error.strerror}; choose another place with --into") from error
    click.echo(_next_steps(name, target))


@plugin.command()
@click.argument("path")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting, written as in TOML.")
@click.option("--yes", is_flag=True, help="Try a bundled plugin although it may reach real screens or a real station.")
@click.pass_obj
def test(context: Context, path: str, assignments: tuple[str, ...], yes: bool) -> None:
    """Try the rules on a plugin: PATH is its file, its folder, or the name of an installed one.

    The settings of siarhub.toml are not used: trial items are really delivered, so name a test folder or a test server
    with --set where the plugin's defaults are not one.
    """
    table = dict(_assignment(one) for one in assignments)
    found = _found_for_test(context, path)
    if found.name in BUNDLED and not yes:
        raise fail(f"{found.name} may reach real screens or a real station with these settings; if not, add --yes")
    set_up_logging(level="warning", style="console")
    click.echo(f"{found.name} ({found.origin})")
    with TemporaryDirectory(prefix="siarhub-trial-", ignore_cleanup_errors=True) as folder:
        results = list(_tell(_try(found, table, Path(folder))))
    counts = [sum(one.verdict is verdict for one in results) for verdict in Verdict]
    click.echo(f"{counts[0]} kept, {counts[1]} skipped, {counts[2] + counts[3]} broken")
    code = 1 if counts[2] + counts[3] else 0
    if counts[3]:
        sys.stdout.flush()
        os._exit(code)  # a thread of the plugin still runs, and would hold up an ordinary end for ever
    raise SystemExit(code)


def _rows(context: Context) -> Iterator[dict[str, Any]]:
    settings = context.all_settings
    found = find_plugins(settings.hub.plugin_dir)
    last = read_status(context.hub_state_dir) if daemon_runs(context.hub_state_dir) else None
    if last is None:
        yield from (_row_offline(one, settings) for one in found)
        yield from (
            _row(name, "broken", "settings", f"[plugins.{name}] is set, but there is no such plugin")
            for name in sorted(settings.plugins.keys() - {one.name for one in found})
        )
        return
    parts = {part["name"]: {"state": part["state"], "summary": part["summary"]} for part in last.get("parts", ())}
    known = {record["name"] for record in last.get("plugins", ())}
    for record in last.get("plugins", ()):
        health = parts.get(record["name"]) if record["state"] == PluginState.RUNNING else None
        yield _row(record["name"], record["state"], record["origin"], record["reason"], health)
    for one in found:
        if one.name not in known:
            yield _row(one.name, "found", one.origin, "came after the hub's start: systemctl restart siarhub")


def _row_offline(found: Found, settings: Settings) -> dict[str, Any]:
    state, reason = examine(found, settings.plugins.get(found.name, {}))
    if state is PluginState.RUNNING:
        return _row(found.name, "ready", found.origin, "the hub does not run now")
    return _row(found.name, state, found.origin, reason)


def _row(name: str, state: str, origin: str, reason: str, health: dict[str, str] | None = None) -> dict[str, Any]:
    return {"name": name, "state": state, "origin": origin, "reason": reason, "health": health}


def _coloured(state: str) -> Text:
    return Text(state, style=COLOURS.get(state, BAD) if state else "")


def _name_problem(name: str) -> str:
    if not NAME.fullmatch(name):
        return f"{name!r}: use a-z, 0-9 and _, beginning with a letter, 31 at most"
    from hub.cli.main import OWN

    if name in OWN or name in RESERVED:
        return f"{name!r} is a word of the hub's own: choose another"
    taken = {found.name for found in find_plugins(None)}
    return f"there is an installed plugin {name!r}: choose another name" if name in taken else ""


def _skeleton(name: str) -> dict[str, str]:
    words = {
        "@NAME@": name,
        "@CLASS@": "".join(part.capitalize() for part in name.split("_")),
    }
    files = {}
    for template in sorted(SKELETON.glob("*.in")):
        text = template.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        files[template.name.removesuffix(".in").replace("test_plugin", f"test_{name}")] = text
    return files


def _next_steps(name: str, target: Path) -> str:
    return f"""{target} is ready: it copies each item's rendition into a folder. Now:
  1. Write what yours shall do: {target / "__init__.py"} (docs/plugins.md explains every hook)
  2. Try the rules on it:       siarhub plugin test {target}
  3. Put it where the hub looks: the folder named by [hub] plugin_dir in siarhub.toml
     (on a server: sudo mkdir -p /etc/siarhub/plugins && sudo cp -r {target} /etc/siarhub/plugins/)
  4. Restart and look:          systemctl restart siarhub; siarhub plugins
Its settings, if you change any, go under [plugins.{name}] in siarhub.toml."""


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"{text!r}: write KEY=VALUE", param_hint="--set")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a plain word needs no quotes on the command line


def _found_for_test(context: Context, path: str) -> Found:
    if Path(path).exists() or "/" in path or path.endswith(".py"):
        return find_at(Path(path))
    folder = None
    if context.config is not None or "SIARHUB_CONFIG" in os.environ:
        folder = context.all_settings.hub.plugin_dir
    known = {one.name: one for one in find_plugins(folder)}
    if path not in known:
        raise fail(f"there is no file or folder {path}, and no plugin of that name: {', '.join(known)} are found")
    return known[path]


def _try(found: Found, table: dict[str, Any], folder: Path) -> Iterator[Result]:
    loaded: list[Any] = []
    result = run_check("it can be imported", lambda: loaded.append(load_class(found)), within_s=IMPORT_WITHIN_S)
    yield result
    if result.verdict is Verdict.OK:
        contract = type("Contract", (PluginContract,), {"plugin_class": loaded[0], "settings": table})
        yield from run_checks(contract, folder)


def _tell(results: Iterable[Result]) -> Iterator[Result]:
    for result in results:
        reason = f": {result.reason}" if result.reason else ""
        mark = click.style(f"{result.verdict:8}", fg={"ok": "green", "skipped": "yellow"}.get(result.verdict, BAD))
        click.echo(f"{mark} {result.rule}{reason}")
        yield result
