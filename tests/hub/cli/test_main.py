"""The command line as a whole: where --config stands, whose commands break, and that each is documented."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from hub.cli.main import OWN, main
from tests.hub.cli.conftest import Office

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "cli.md"


def commands(group: click.Group, path: str = "siarhub") -> Iterator[str]:
    """Every command of `siarhub --help`, recursively."""
    context = click.Context(group, info_name="siarhub", obj=None)
    context.params["config"] = None
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "SIARHUB_CONFIG": "", **environment},
    )  # fmt: skip


@pytest.mark.parametrize("command", list(commands(main)))
def test_each_command_has_a_section_in_the_documentation(command: str) -> None:
    titles = re.findall(r"^##+ `(siarhub[^`]*)`", DOCS.read_text(encoding="utf-8"), re.MULTILINE)

    assert any(title == command or title.startswith(f"{command} ") for title in titles), command


def test_the_documentation_has_no_section_of_a_command_that_is_not_there() -> None:
    known = set(commands(main))
    titles = re.findall(r"^##+ `(siarhub[^`]*)`", DOCS.read_text(encoding="utf-8"), re.MULTILINE)

    assert [one for one in titles if not any(one == name or one.startswith(f"{name} ") for name in known)] == []


@pytest.mark.parametrize("command", list(commands(main)))
def test_each_command_explains_itself_without_settings(command: str) -> None:
    result = CliRunner().invoke(main, [*command.split()[1:], "--help"])

    assert result.exit_code == 0, result.output
    assert "--config" in result.output


@pytest.mark.parametrize("command", list(commands(main)))
def test_each_option_is_in_the_section_of_its_command(command: str) -> None:
    text = DOCS.read_text(encoding="utf-8")
    section = re.split(rf"^##+ `{re.escape(command)}(?: [^`]*)?`", text, flags=re.MULTILINE)[1].split("\n#")[0]
    usage = CliRunner().invoke(main, [*command.split()[1:], "--help"]).output
    options = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", usage, re.MULTILINE)) - {"--config", "--help"}

    assert [one for one in options if one not in section] == []


def test_help_without_settings_says_nothing_on_standard_error() -> None:
    done = program("--help")

    assert (done.returncode, done.stderr) == (0, "")
    for name in OWN:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_the_settings_file_may_be_named_before_or_after_or_in_the_environment(office: Office, place: str) -> None:
    office.accept()
    config = ("--config", str(office.config))
    arguments = {"before": (*config, "items", "--json"), "after": ("items", "--json", *config)}

    done = program(
        *arguments.get(place, ("items", "--json")),
        **({"SIARHUB_CONFIG": str(office.config)} if place == "environment" else {}),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "IP-2026-11-0001" in done.stdout


def test_a_plugins_command_takes_the_settings_file_at_the_end(office: Office) -> None:
    done = program("radio", "queue", "--json", "--config", str(office.config))

    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[]\n")


def test_a_broken_plugin_breaks_its_own_commands_only(office: Office) -> None:
    office.accept()
    (office.folder / "plugins" / "bad.py").write_text("raise SystemExit(7)")

    listing, items, own = office.run("--help"), office.run("items"), office.run("bad", "x")

    assert (listing.exit_code, items.exit_code) == (0, 0), (listing.output, items.output)
    assert "bad" in listing.output
    assert own.exit_code == 1
    assert "bad" in own.output
    assert "broken" in own.output


@pytest.mark.parametrize("arguments", [("nonsense",), ("items", "--nonsense"), ("show",), ("withdraw", "x")])
def test_wrong_usage_is_two(office: Office, arguments: tuple[str, ...]) -> None:
    assert office.run(*arguments).exit_code == 2


def test_missing_settings_are_wrong_usage_with_the_remedy() -> None:
    done = program("items", "--config", "/nowhere/siarhub.toml")

    assert done.returncode == 2
    assert "give --config FILE or set SIARHUB_CONFIG" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_who_may_not_read_the_settings_is_told_of_the_group(office: Office) -> None:
    office.config.chmod(0)

    _names_the_group(office.run("items"), office)


def test_settings_that_the_system_refuses_to_open_name_the_group(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    _names_the_group(office.run("items"), office)


def _names_the_group(result: Result, office: Office) -> None:
    assert result.exit_code == 2
    assert f"{office.config}: Permission denied" in result.stderr
    assert "adduser NAME siarhub" in result.stderr
