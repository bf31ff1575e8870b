"""`siarhub check`: everything that is missing, wrong or away, each with the remedy."""

from __future__ import annotations

import grp
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from hub.api import HubError
from hub.cli.context import Context, print_json
from hub.cli.offline import plugins_offline
from hub.cli.rights import take_the_hubs
from hub.control import daemon_runs
from hub.intake.leases import lease_problem, rights_problem
from hub.ledger.database import open_for_reading
from hub.media.selftest import sandbox_failures
from hub.media.tools import missing_tools
from hub.observe.health import read_status
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginState, examine, find_plugins
from hub.settings import Settings
from hub.vouching import name_of

LEFT_OUT = (
    "Left out, as it depends on the hub's rights: its folders, its ledger, and what the plugins need."
    " Root may look at them: sudo siarhub check"
)
NOT_RUNNING = "The hub is not running: systemctl start siarhub starts it (or: siarhub run)."


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Look for whatever is missing or wrong; exit with 1 when something is.

    Root looks with the rights of the hub's user; somebody else learns only what does not depend on rights.
    """
    settings = context.all_settings
    has_the_hubs_rights = take_the_hubs(context.hub_state_dir)
    runs = daemon_runs(context.hub_state_dir)
    problems = [*_tools(context), *_folders(settings)]
    problems += _rights(context) if has_the_hubs_rights else _plugins_from_afar(settings)
    problems += _running(context) if runs else ()
    notes = [] if has_the_hubs_rights else [LEFT_OUT]
    notes += [] if runs else [NOT_RUNNING]
    notes += _no_emergency_group(settings)
    if as_json:
        print_json({"ok": not problems, "problems": problems, "notes": notes})
    else:
        found = problems or ["Everything that the hub needs is there." if has_the_hubs_rights else "Nothing is wrong."]
        click.echo("\n".join([*found, *notes]))
    if problems:
        raise SystemExit(1)


def _no_emergency_group(settings: Settings) -> list[str]:
    group = settings.orders.emergency_group
    try:
        grp.getgrnam(group)
    except KeyError:
        return [f"There is no group {group} here: root alone may order an emergency (make install creates it)."]
    return []


def _tools(context: Context) -> Iterator[str]:
    yield from missing_tools()
    state_dir = context.hub_state_dir
    guarded = state_dir if os.access(state_dir, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    yield from sandbox_failures(context.all_settings.media, guarded)


def _folders(settings: Settings) -> Iterator[str]:
    """What everybody may know about the folders: whether they are there, and how full their disk is."""
    root, state_dir = settings.hub.root, settings.hub.state_dir
    if not root.is_dir():
        yield f"{root}: no such folder; make install creates it, or: install -d -m 755 {root}"
    for folder in (*_peoples(settings), state_dir):
        if not folder.is_dir():
            remedy = f"make install creates it, or: install -d -o siarhub -g siarhub -m 2770 {folder}"
            yield f"{folder}: no such folder; {remedy}"
    for folder in (root, state_dir):
        if folder.is_dir() and (free := shutil.disk_usage(folder).free) < settings.intake.min_free_bytes:
            least = settings.intake.min_free_bytes >> 20
            yield f"{folder}: only {free >> 20} MiB free; intake pauses below {least} MiB"


def _peoples(settings: Settings) -> list[Path]:
    names = settings.folders
    return [settings.hub.root / name for name in (*names.watched, names.accepted, names.refused)]


def _rights(context: Context) -> Iterator[str]:
    """What only the hub's user can tell."""
    settings = context.all_settings
    for folder in (*_peoples(settings), settings.hub.state_dir):
        if folder.is_dir():
            yield from _writable(folder)
    for approved in (settings.hub.root / name for name in settings.folders.watched):
        if approved.is_dir() and (problem := lease_problem(approved)):
            yield problem
    yield from _ledger(context)
    yield from _plugins(settings)


def _writable(folder: Path) -> Iterator[str]:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".siarhub-check-"):
            pass
    except OSError as error:
        who = f"the hub's user ({name_of(os.geteuid())})"
        yield f"{folder}: {who} cannot write there ({error.strerror}); correct its owner and mode"


def _ledger(context: Context) -> Iterator[str]:
    if not context.ledger_path.exists():
        return
    try:
        ledger = open_for_reading(context.ledger_path)
        verdict = ledger.execute("PRAGMA quick_check(1)").fetchone()[0]
        ledger.close()
    except (HubError, sqlite3.Error) as error:
        yield f"{context.ledger_path}: cannot be read ({error})"
        return
    if verdict != "ok":
        yield f"{context.ledger_path}: damaged ({verdict}); stop the hub and restore the last backup of this file"


def _plugins(settings: Settings) -> Iterator[str]:
    with plugins_offline(settings) as (host, records):
        for record in records:
            if record.state not in (PluginState.RUNNING, PluginState.DISABLED):
                yield f"plugin {record.name} ({record.origin}) is {record.state}: {record.reason}"
        yield from _nowhere(settings, {record.name for record in records})
        for name in host.names:
            yield from _reachable(host, name)


def _plugins_from_afar(settings: Settings) -> Iterator[str]:
    """Whether each can be imported and its settings are right; what this caller may not read is no problem."""
    folder = settings.hub.plugin_dir
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        return
    every = find_plugins(folder)
    for found in every:
        state, reason = examine(found, settings.plugins.get(found.name, {}))
        if state not in (PluginState.RUNNING, PluginState.DISABLED) and "PermissionError" not in reason:
            yield f"plugin {found.name} ({found.origin}) is {state}: {reason}"
    yield from _nowhere(settings, {found.name for found in every})


def _nowhere(settings: Settings, known: set[str]) -> Iterator[str]:
    for name in sorted(settings.plugins.keys() - known):
        yield f"plugin {name}: has settings, but is neither installed nor in {settings.hub.plugin_dir}"


def _reachable(host: PluginHost, name: str) -> Iterator[str]:
    try:
        yield from (f"plugin {name}: {problem}" for problem in host.check_reachable(name))
    except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
        yield f"plugin {name}: hub_check_reachable failed: {type(error).__name__}: {error}"


def _running(context: Context) -> Iterator[str]:
    said = read_status(context.hub_state_dir) or {}
    watched = [context.all_settings.hub.root / name for name in context.all_settings.folders.watched]
    yield from filter(None, (rights_problem(folder, said["pid"]) for folder in watched if "pid" in said))
    for part in said.get("parts", ()):
        if part["state"] != "ok":
            yield f"the running hub says: {part['name']} is {part['state']}: {part['summary']}"
