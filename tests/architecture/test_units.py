"""The services stay locked in. The score is a lint; the lines that it does not see are looked at one by one."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "config"
# What `systemd-analyze security` may give at most, times ten.
THRESHOLDS = {
    "siarhub.service": 15,
    "siarhub-adopt.service": 15,
    "siarhub-broker.service": 15,
    "siarhub-keys.service": 15,
    "siarhub-player.service": 10,
    "siarhub-radio.service": 15,
}
JOBS = {"siarhub-adopt.service", "siarhub-keys.service"}  # that end when they are done
needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")


def values(unit: str, key: str) -> list[str]:
    """All words given to a key of a unit, in order."""
    lines = re.findall(rf"^{key}=(.*)$", (CONFIG / unit).read_text(), re.MULTILINE)
    return [word for line in lines for word in line.split()]


def test_every_service_has_its_threshold() -> None:
    assert {path.name for path in CONFIG.glob("*.service")} == set(THRESHOLDS)


@needs_systemd_analyze
@pytest.mark.parametrize("unit", THRESHOLDS)
def test_the_service_is_hardened(unit: str) -> None:
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={THRESHOLDS[unit]}"]

    result = subprocess.run([*command, str(CONFIG / unit)], capture_output=True, text=True, timeout=30)

    assert result.returncode == 0, result.stdout.splitlines()[-1:]


@needs_systemd_analyze
@pytest.mark.parametrize("unit", sorted(path.name for path in CONFIG.glob("siarhub*.[spt][eai]*")))
def test_systemd_understands_every_line(unit: str) -> None:
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(CONFIG / unit)],
        capture_output=True,
        text=True,
        timeout=30,
    )

    said = [line for line in result.stderr.splitlines() if "siarhub" in line and "is not executable" not in line]
    assert not said


@pytest.mark.parametrize("unit", THRESHOLDS)
def test_nothing_can_be_run_from_where_the_service_may_write(unit: str) -> None:
    writable = {
        "/tmp",
        *values(unit, "ReadWritePaths"),
        *(path.removeprefix("-") for path in values(unit, "BindPaths")),
    }
    writable |= {f"/var/lib/{name}" for name in values(unit, "StateDirectory")}
    writable |= {f"/run/{name}" for name in values(unit, "RuntimeDirectory")}

    assert writable <= set(values(unit, "NoExecPaths"))  # by name: a parent does not reach the mounts below it


@pytest.mark.parametrize("unit", sorted(THRESHOLDS.keys() - JOBS))
def test_a_service_that_ends_is_started_again_for_ever(unit: str) -> None:
    assert values(unit, "Restart") == ["always"]
    assert values(unit, "StartLimitIntervalSec") == ["0"]


@pytest.mark.parametrize("unit", ["siarhub.service", "siarhub-player.service"])
def test_a_service_that_hangs_is_started_again(unit: str) -> None:
    assert values(unit, "Type") == ["notify"]
    assert int(values(unit, "WatchdogSec")[0]) <= 60


def test_the_hub_can_move_between_peoples_folders_and_ask_for_leases() -> None:
    assert values("siarhub.service", "ReadWritePaths") == ["/srv/siarhub"]  # two mounts: a rename between them is EXDEV
    assert values("siarhub.service", "AmbientCapabilities") == ["CAP_LEASE"]
    assert values("siarhub.service", "CapabilityBoundingSet") == ["CAP_LEASE"]
    assert values("siarhub.service", "PrivateUsers") == []  # there, a capability says nothing about the host's files


def test_the_hub_can_lock_its_own_ffmpeg_in() -> None:
    allowed = values("siarhub.service", "SystemCallFilter")

    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(allowed)


@pytest.mark.parametrize("unit", THRESHOLDS)
def test_the_service_runs_only_what_every_debian_has_or_the_installer_brings(unit: str) -> None:
    commands = re.findall(r"^Exec\w+=[-+]*(\S+)", (CONFIG / unit).read_text(), re.MULTILINE)

    essential = {"/bin/sh", "/bin/sleep", "/usr/bin/find"}  # /bin/kill is in procps, which may be missing
    installed = {"/usr/bin/setfacl", "/usr/bin/liquidsoap", "/usr/sbin/mosquitto"}
    ours = {f"/opt/siarhub/current/bin/{name}" for name in ("siarhub", "siarhub-player")}
    assert commands
    assert set(commands) <= essential | installed | ours


def test_mpv_can_be_made_to_die_with_the_player() -> None:
    filters = re.findall(r"^SystemCallFilter=(.*)$", (CONFIG / "siarhub-player.service").read_text(), re.MULTILINE)

    denied = next(number for number, words in enumerate(filters) if words.startswith("~") and "@privileged" in words)
    assert "~capset:0" in filters[denied + 1 :]  # setpriv --pdeathsig asks for it; a later line wins


def test_only_the_online_key_is_given_to_the_hub_and_a_lost_one_does_not_silence_the_radio() -> None:
    assert values("siarhub.service", "LoadCredential") == ["siarhub-online.key:/etc/siarhub/keys/online.key"]
    assert values("siarhub.service", "SetCredential") == ["siarhub-online.key:missing"]
    assert "/etc/siarhub/keys/root-1.key" not in (CONFIG / "siarhub.service").read_text()


def test_orders_reach_the_ledger_whoever_gives_them() -> None:
    # Set-group-id: SQLite's side files get the folder's group. Sticky: nobody but the hub can delete what is the hub's.
    assert values("siarhub.service", "StateDirectoryMode") == ["3770"]
    take_over = " ".join(values("siarhub.service", "ExecStartPre"))
    assert take_over.startswith("+/usr/bin/find /var/lib/siarhub -maxdepth 1 -type f -links 1 -name ledger.db-* ")
    assert take_over.endswith("-exec chown -h siarhub:siarhub {} +")


def test_the_group_can_change_nothing_that_does_not_say_so_itself() -> None:
    assert values("siarhub.service", "UMask") == ["0027"]
    assert values("siarhub-radio.service", "UMask") == ["0027"]
    assert values("siarhub-radio.service", "User") == values("siarhub.service", "User")  # it reads the hub's sound


def test_the_installed_settings_name_what_is_installed() -> None:
    command = [str(CONFIG / "install"), "settings"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout

    settings = tomllib.loads(text)["plugins"]

    assert settings["radio"]["script"] == "/opt/siarhub/current/config/radio.liq"
    assert settings["radio"]["media_folder"] == "/var/lib/siarhub/radio/media"
    assert settings["radio"]["as_run"] == "/var/lib/siarhub/radio/as-run.jsonl"
    assert settings["videotron"]["keys"] == "/etc/siarhub/keys"
    assert settings["videotron"]["broker"]["port"] == 1884
    assert settings["videotron"]["broker"]["password_file"] == "/etc/siarhub/broker/siarhub.password"


@pytest.mark.parametrize("unit", ["siarhub.service", "siarhub-player.service"])
def test_python_imports_nothing_from_where_it_is_started(unit: str) -> None:
    assert "PYTHONSAFEPATH=1" in values(unit, "Environment")


def test_the_player_finds_the_display_that_it_may_use_and_one_that_comes_later() -> None:
    rule, folders = (CONFIG / "siarhub-player.rules").read_text(), (CONFIG / "tmpfiles-player.conf").read_text()

    assert values("siarhub-player.service", "BindPaths") == ["-/dev/dri", "-/dev/snd"]
    # Made before any card comes: the kernel takes a folder away only if it made it itself.
    assert re.findall(r"^d (\S+)", folders, re.MULTILINE) == ["/dev/dri", "/dev/snd"]
    assert "try-restart siarhub-player.service" in rule  # what is bound is the folder of the moment when it started


@pytest.mark.parametrize(
    ("host", "way"),
    [
        ("10.1.2.3", ""),
        ("172.16.0.1", ""),
        ("172.32.0.1", "172.32.0.1"),
        ("100.63.1.1", "100.63.1.1"),
        ("fd12::1", ""),
        ("2001:db8::1", "2001:db8::1"),
        ("no-such-name.invalid", "any"),  # it may be known later, anywhere
    ],
)
def test_a_player_may_go_to_its_server_wherever_that_is(host: str, way: str) -> None:
    command = [str(CONFIG / "install"), "way", host]

    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    assert said.strip() == way
