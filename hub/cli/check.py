"""`siarhub check`: everything that is missing, wrong or away, each with the remedy."""

from __future__ import annotations

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
from hub.control import daemon_runs
from hub.intake.evidence import Lease, ask_for_writers, ignore_lease_signal
from hub.ledger.database import open_for_reading
from hub.media.sandbox import sandbox_problems
from hub.media.tools import missing_tools
from hub.observe.health import read_status
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginState
from hub.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines; docs/cli.md has the schema.")
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Look for whatever is missing or wrong; exit with 1 when something is."""
    settings = context.all_settings
    problems = [*_tools(), *_folders(settings), *_ledger(context), *_plugins(settings), *_running(context)]
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    else:
        click.echo("\n".join(problems) if problems else "Everything that the hub needs is there.")
    if problems:
        raise SystemExit(1)


def _tools() -> Iterator[str]:
    yield from missing_tools()
    yield from sandbox_problems()


def _folders(settings: Settings) -> Iterator[str]:
    root, names = settings.hub.root, settings.folders
    for folder in (root, *(root / name for name in (names.approved, names.accepted, names.refused))):
        yield from _writable(folder, settings)
    yield from _writable(settings.hub.state_dir, settings)
    approved, accepted = root / names.approved, root / names.accepted
    if approved.is_dir() and accepted.is_dir() and approved.stat().st_dev != accepted.stat().st_dev:
        yield f"{approved} and {accepted} are on different file systems: put them on one, or nothing can be moved"
    if approved.is_dir() and _is_the_hub(settings):
        yield from _leases(approved)
    for folder in (root, settings.hub.state_dir):
        if folder.is_dir() and (free := shutil.disk_usage(folder).free) < settings.intake.min_free_bytes:
            least = settings.intake.min_free_bytes >> 20
            yield f"{folder}: only {free >> 20} MiB free; intake pauses below {least} MiB"


def _writable(folder: Path, settings: Settings) -> Iterator[str]:
    if not folder.is_dir():
        remedy = f"make install creates it, or: install -d -o siarhub -g siarhub -m 2770 {folder}"
        yield f"{folder}: no such folder; {remedy}"
        return
    if not _is_the_hub(settings):
        return  # what others may write says nothing about the hub
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".siarhub-check-"):
            pass
    except OSError as error:
        who = f"uid {os.getuid()}"
        yield f"{folder}: {who} cannot write there ({error.strerror}); run this as the hub's user, or correct the owner"


def _is_the_hub(settings: Settings) -> bool:
    """Whether this runs as the hub's user, who owns the state folder, or as root."""
    state_dir = settings.hub.state_dir
    return os.geteuid() == 0 or (state_dir.is_dir() and state_dir.stat().st_uid == os.geteuid())


def _leases(folder: Path) -> Iterator[str]:
    ignore_lease_signal()
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".siarhub-check-") as file:
            fd = os.open(file.name, os.O_RDONLY | os.O_CLOEXEC)
            file.close()
    except OSError:
        return  # told already: nobody can write there
    if ask_for_writers(fd) is Lease.UNKNOWN:
        yield f"{folder}: no leases, so the kernel cannot tell who still writes a file; a longer quiet is waited for"
    os.close(fd)


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
        known = {record.name for record in records}
        for record in records:
            if record.state not in (PluginState.RUNNING, PluginState.DISABLED):
                yield f"plugin {record.name} ({record.origin}) is {record.state}: {record.reason}"
        for name in sorted(settings.plugins.keys() - known):
            yield f"plugin {name}: has settings, but is neither installed nor in {settings.hub.plugin_dir}"
        for name in host.names:
            yield from _reachable(host, name)


def _reachable(host: PluginHost, name: str) -> Iterator[str]:
    try:
        yield from (f"plugin {name}: {problem}" for problem in host.check_reachable(name))
    except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
        yield f"plugin {name}: hub_check_reachable failed: {type(error).__name__}: {error}"


def _running(context: Context) -> Iterator[str]:
    if not daemon_runs(context.hub_state_dir):
        return
    for part in (read_status(context.hub_state_dir) or {}).get("parts", ()):
        if part["state"] != "ok":
            yield f"the running hub says: {part['name']} is {part['state']}: {part['summary']}"
