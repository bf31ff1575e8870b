"""Being a service: systemd's notify protocol and the structured log. The player at the screen uses this too."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

# sd-daemon(3): what stands in <> before a line is its priority in the journal.
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_json = structlog.processors.JSONRenderer()


def sd_notify(*states: str) -> None:
    """Tell systemd `READY=1`, `STATUS=...`, `WATCHDOG=1` or `STOPPING=1` (sd_notify(3)); nothing when not run by it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(states).encode(), address)


def watchdog_interval_s() -> float | None:
    """How often to send `WATCHDOG=1`: half of what systemd asked for, or None when it watches not."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(usec) / 2_000_000 if usec.isdigit() and int(usec) > 0 and watched else None


def set_up_logging(*, level: str = "info", style: str = "auto") -> None:
    """Log to standard error: `json` a line each, `console` in colour; `auto` is console on a terminal.

    To systemd's journal each JSON line says its priority, so that `journalctl -p warning` finds it.
    """
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    renderer: Any = _json if as_json else structlog.dev.ConsoleRenderer()
    if as_json and _to_journal():
        renderer = _json_for_journal
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.dict_tracebacks] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _to_journal() -> bool:
    """Whether standard error is the journal's stream: systemd names it by device and inode (systemd.exec(5))."""
    try:
        mine = os.fstat(sys.stderr.fileno())
    except OSError:  # replaced by something that is no file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{mine.st_dev}:{mine.st_ino}"


def _json_for_journal(logger: WrappedLogger, name: str, event: EventDict) -> str:
    return f"<{PRIORITIES[event['level']]}>{_json(logger, name, event)!s}"
