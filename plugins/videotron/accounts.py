"""Who may say what at the broker: Mosquitto's acl_file and password_file from the configured screens."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from hub.api.files import write_atomically

PBKDF2_ROUNDS = 1000  # passwords are random and long: stretching adds nothing to them


def acl(namespace: str, players: Sequence[str], *, hub: str) -> str:
    """The acl_file in which each player hears and speaks for itself alone. Raises: ValueError without a player."""
    if not players:
        raise ValueError("no screen is configured: an ACL for nobody would lock every player out")
    return _rules(namespace, players, hub)


def password_line(username: str, password: str) -> str:
    """A line of a Mosquitto 2 password_file: PBKDF2-SHA512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS, dklen=64)
    return f"{username}:$7${PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}\n"


def write_accounts(folder: Path, namespace: str, players: Sequence[str], *, hub: str) -> Mapping[str, str]:
    """Write `acl`, `passwords` and one `<account>.password` each; returns the passwords by account. Blocks.

    Repeatable: an account that has a password file keeps its password; accounts no longer named lose their entry.
    Without a player the hub alone may connect, so that the account of the last screen ends too. Raises: OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    passwords = {account: _password_of(folder / f"{account}.password") for account in (hub, *sorted(players))}
    lines = "".join(password_line(account, password) for account, password in passwords.items())
    write_atomically(folder / "passwords", lines, mode=0o640)
    write_atomically(folder / "acl", _rules(namespace, players, hub), mode=0o640)
    return passwords


def give_to_broker(folder: Path, group: int) -> None:
    """Let the broker's group read `acl` and `passwords`, and nobody else."""
    for name in ("acl", "passwords"):
        os.chown(folder / name, -1, group)


def _rules(namespace: str, players: Sequence[str], hub: str) -> str:
    parts = [
        "# Made by `siarhub videotron acl`; make it anew when a screen is added. What is not allowed here is denied.",
        _hub_rules(namespace, hub),
        *(_player_rules(namespace, player) for player in sorted(players)),
    ]
    return "\n\n".join(parts) + "\n"


def _hub_rules(namespace: str, hub: str) -> str:
    return "\n".join(
        (
            f"user {hub}",
            f"topic write {namespace}/hub",
            f"topic write {namespace}/c/+/m",
            f"topic write {namespace}/c/+/b",
            f"topic write {namespace}/p/+/+",
            f"topic read {namespace}/r/+/+",
            f"topic read {namespace}/s/+/+",
        )
    )


def _player_rules(namespace: str, player: str) -> str:
    return "\n".join(
        (
            f"user {player}",
            f"topic read {namespace}/hub",
            f"topic read {namespace}/c/+/m",
            f"topic read {namespace}/c/+/b",
            f"topic read {namespace}/p/{player}/+",
            f"topic write {namespace}/r/+/{player}",
            f"topic write {namespace}/s/{player}/+",
        )
    )


def _password_of(path: Path) -> str:
    if path.exists():
        return path.read_text().strip()
    password = secrets.token_urlsafe(24)
    write_atomically(path, password + "\n", mode=0o600)
    return password
