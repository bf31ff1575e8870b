"""Who may say what at the broker: the rules, and Mosquitto's acl_file and password_file made of them."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hub.api.files import write_atomically
from plugins.videotron.enrolment.doors import Door, open_doors

PBKDF2_ROUNDS = 1000  # passwords are random and long: stretching adds nothing to them
HUB_WRITES = ("hub", "keys", "c/+/m", "c/+/b", "p/+/want", "p/+/now", "p/+/c", "p/+/b")
HUB_READS = ("r/+/+", "s/+/state", "s/+/proof", "s/+/shot")
PLAYER_READS = ("hub", "keys", "c/+/m", "c/+/b", "p/{player}/+")
PLAYER_WRITES = ("r/+/{player}", "s/{player}/state", "s/{player}/proof", "s/{player}/shot")


class Access(StrEnum):
    READ = "read"  # subscribe, and be sent
    WRITE = "write"  # publish


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that an account may do. What no rule allows is denied."""

    account: str
    access: Access
    topic: str  # may have the wildcard +


def rules(namespace: str, players: Sequence[str], *, hub: str, doors: Sequence[Door] = ()) -> list[Rule]:
    """Everything that may be said and heard, account by account: the same for every broker."""
    found = [_rule(hub, Access.WRITE, namespace, topic) for topic in HUB_WRITES]
    found += [_rule(hub, Access.READ, namespace, topic) for topic in HUB_READS]
    for player in sorted(players):
        found += [_rule(player, Access.READ, namespace, topic.format(player=player)) for topic in PLAYER_READS]
        found += [_rule(player, Access.WRITE, namespace, topic.format(player=player)) for topic in PLAYER_WRITES]
    for door in doors:
        ask, answer = f"e/{door.id}/ask", f"e/{door.id}/answer"
        found += [
            _rule(door.account, Access.WRITE, namespace, ask),
            _rule(door.account, Access.READ, namespace, answer),
        ]
        found += [_rule(door.hub_account, Access.READ, namespace, ask)]
        found += [_rule(door.hub_account, Access.WRITE, namespace, answer)]
    return found


def acl(namespace: str, players: Sequence[str], *, hub: str) -> str:
    """The acl_file in which each player hears and speaks for itself alone. Raises: ValueError without a player."""
    if not players:
        raise ValueError("no screen is configured: an ACL for nobody would lock every player out")
    return _acl_file(rules(namespace, players, hub=hub))


def password_line(username: str, password: str) -> str:
    """A line of a Mosquitto 2 password_file: PBKDF2-SHA512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS, dklen=64)
    return f"{username}:$7${PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}\n"


def write_accounts(folder: Path, namespace: str, players: Sequence[str], *, hub: str) -> Mapping[str, str]:
    """Write `acl`, `passwords` and one `<account>.password` each; returns the passwords by account. Blocks.

    Repeatable: an account that has a password file keeps its password; accounts no longer named, and revoked ones,
    lose their entry. Doors that are open for an enrolment stay until their time is over. Without a player the hub alone
    may connect, so that the account of the last screen ends too. Raises: OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        return write_accounts_locked(folder, namespace, players, hub=hub)


def write_accounts_locked(folder: Path, namespace: str, players: Sequence[str], *, hub: str) -> Mapping[str, str]:
    """As `write_accounts`, for who holds the folder's lock already."""
    welcome = [player for player in sorted(players) if not revocation(folder, player).exists()]
    passwords = {account: _password_of(folder, account) for account in (hub, *welcome)}
    doors = open_doors(folder)
    lines = [password_line(account, password) for account, password in passwords.items()]
    lines += [line for door in doors for line in door.password_lines]
    # The ACL first: an account that is new in `passwords` must never be there without its rules.
    _replace(folder / "acl", _acl_file(rules(namespace, welcome, hub=hub, doors=doors)), mode=0o644)
    _replace(folder / "passwords", "".join(lines), mode=0o640)
    return passwords


def give_to_broker(folder: Path, group: int) -> None:
    """Let the broker's group read `acl` and `passwords`."""
    for name in ("acl", "passwords"):
        os.chown(folder / name, -1, group)


def why_not_start(acl_text: str) -> str:
    """Why no broker should start with this acl_file; "" = it may.

    Mosquitto does not say that its acl_file allows nothing: depending on the version nobody may do anything then, or
    everybody may do everything.
    """
    lines = [line.split() for line in acl_text.splitlines()]
    kinds = {words[0] for words in lines if words}
    if not {"user", "topic"} <= kinds:
        return "the acl_file has no rules: make it anew with `siarhub videotron acl --accounts`"
    first = next(words[0] for words in lines if words[:1] in (["user"], ["topic"]))
    if first == "topic":
        return "the acl_file has a rule before the first `user`: it holds for whoever comes without a name"
    if everywhere := next((words for words in lines if words[:1] == ["topic"] and words[-1] == "#"), None):
        return f"the acl_file lets an account in everywhere: {' '.join(everywhere)!r}"
    return ""


def problems_of_acl(password_file: Path | None) -> list[str]:
    """What is wrong with the acl_file beside the hub's password, as far as this user may read it. Blocks."""
    path = password_file.parent / "acl" if password_file else None
    try:
        why = why_not_start(path.read_text()) if path and path.exists() else ""
    except OSError:
        return []  # not for the hub to read: the broker's own check looks at it
    return [f"{path}: {why}"] if why else []


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Two commands that change accounts take turns. Blocks."""
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def new_password(folder: Path, account: str) -> str:
    """Give the account another password from the next `write_accounts` on."""
    password = secrets.token_urlsafe(24)
    _replace(folder / f"{account}.password", password + "\n", mode=0o600)
    return password


def revocation(folder: Path, player: str) -> Path:
    """The file whose being there says that this player has no account, and why."""
    return folder / f"{player}.revoked"


def _rule(account: str, access: Access, namespace: str, topic: str) -> Rule:
    return Rule(account=account, access=access, topic=f"{namespace}/{topic}")


def _acl_file(allowed: Sequence[Rule]) -> str:
    head = "# Made by `siarhub videotron acl`; make it anew when a screen is added. What is not allowed here is denied."
    parts = [head]
    for account in dict.fromkeys(rule.account for rule in allowed):
        own = (f"topic {rule.access} {rule.topic}" for rule in allowed if rule.account == account)
        parts.append("\n".join((f"user {account}", *own)))
    return "\n\n".join(parts) + "\n"


def _password_of(folder: Path, account: str) -> str:
    path = folder / f"{account}.password"
    return (path.read_text().strip() if path.exists() else "") or new_password(folder, account)


def _replace(path: Path, text: str, *, mode: int) -> None:
    """As `write_atomically`, and the file stays with whom it was given to (the broker's group, the hub)."""
    before = path.stat() if path.exists() else None
    write_atomically(path, text, mode=mode)
    if before is not None and os.geteuid() == 0:
        os.chown(path, before.st_uid, before.st_gid)
