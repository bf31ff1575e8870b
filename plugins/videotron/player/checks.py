"""What this machine lacks to be a player, each with its remedy."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from plugins.videotron.player.screen_checks import screen_problems
from plugins.videotron.player.settings import BadConfig, PlayerSettings, is_local, password_of


def obstacles(settings: PlayerSettings) -> list[str]:
    """What keeps the player from starting at all; [] = nothing. Makes the state folder when it can. Blocks."""
    return [*_state_folder(settings.state_dir), *_password(settings), *_certificates(settings)]


def problems(settings: PlayerSettings) -> list[str]:
    """Everything that should be put right, also what the player would wait out. Blocks."""
    return [
        *obstacles(settings),
        *_disk(settings.state_dir),
        *screen_problems(settings),
        *_fallback(settings),
        *_broker(settings),
        *_plain(settings),
    ]


def _state_folder(folder: Path) -> list[str]:
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        return [f"state_dir: {folder} cannot be made ({error.strerror}); make it and give it to the player's user"]
    if not os.access(folder, os.W_OK | os.X_OK) and not _is_read_only(folder):
        return [f"state_dir: {folder} cannot be written; give it to the player's user"]
    return []


def _is_read_only(folder: Path) -> bool:
    """A disk that went read-only keeps nobody from showing what is on it."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _disk(folder: Path) -> list[str]:
    try:
        read_only = _is_read_only(folder)
    except OSError:  # told as an obstacle
        return []
    return [f"state_dir: the disk of {folder} is read-only: nothing new can be taken; replace it"] if read_only else []


def _password(settings: PlayerSettings) -> list[str]:
    try:
        password_of(settings.broker)
    except BadConfig as bad:
        return bad.problems
    return []


def _certificates(settings: PlayerSettings) -> list[str]:
    tls = settings.broker.tls
    files = {"ca_file": tls.ca_file, "cert_file": tls.cert_file, "key_file": tls.key_file} if tls else {}
    return [
        f"broker.tls.{key}: {path} cannot be read"
        for key, path in files.items()
        if path and not os.access(path, os.R_OK)
    ]


def _fallback(settings: PlayerSettings) -> list[str]:
    path = settings.fallback
    return [f"fallback: {path} is not a file"] if path and not path.is_file() else []


def _broker(settings: PlayerSettings) -> list[str]:
    broker = settings.broker
    try:
        socket.create_connection((broker.host, broker.port), timeout=5).close()
    except OSError as error:
        return [f"broker: {broker.host}:{broker.port} does not answer ({error}); the player goes on trying"]
    return []


def _plain(settings: PlayerSettings) -> list[str]:
    broker = settings.broker
    if broker.tls is None and broker.password_file is not None and not is_local(broker.host):
        return [f"broker.tls: the password would travel to {broker.host} in plain text; add a [broker.tls] table"]
    return []
