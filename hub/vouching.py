"""Who gives an order: the kernel says it of each datagram. The row in the ledger could name anybody.

Every member of the group that gives orders can write rows, and change those of others. An order that needs more rights
is therefore believed only together with a datagram that names the row and the hash of its words, and whose sender the
kernel names (SCM_CREDENTIALS, unix(7)).
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hub.api import Order

EMERGENCY_WORDS = frozenset({"emergency", "blackout", "clear"})
KEY_WORDS = frozenset({"enrolled", "revoked"})  # whose key counts: who could say it could make up what was shown
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
LARGEST_CALL_BYTES = 4096
AT_A_TIME = 100  # datagrams: who sends without end must not keep the loop from everything else
CALLS_KEPT = 50  # of one person
CALL_COUNTS_FOR_S = 30.0  # who orders calls again each second; an older call was kept back by somebody else
DEALT_WITH_FOR_S = 600.0  # longer than anybody calls for one order


class OrderSettings(BaseModel):
    """Who may give which orders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    emergency_group: str = Field(
        "siarhub-darurat",
        min_length=1,
        description="The system group whose members may order an emergency, a blackout and their end; root always may.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Somebody says: this order is mine, in these words."""

    order: int
    digest: str
    uid: int
    at: float = 0.0  # when it came, monotonic
    behind: int | None = None  # whom sudo names; of interest when root calls, who could say anything

    @property
    def who(self) -> str:
        name = name_of(self.uid)
        return f"{name} ({name_of(self.behind)})" if self.uid == 0 and self.behind is not None else name


class Doorbell:
    """The socket at which orders are announced. A few calls of each person are kept, and count for one order once.

    A row may be taken out and put in again, or made to wait once more, by any member of the group: without these limits
    a word that was given once could be used on another day.
    """

    def __init__(self, address: Path, now: Callable[[], float]) -> None:
        """Listen there; `now` is monotonic. Raises: OSError."""
        self._now = now
        self._calls: dict[int, dict[tuple[int, str], Call]] = {}  # by person, then by order and words
        self._dealt_with: dict[tuple[int, str], float] = {}  # and when
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            # Before anybody can reach it: from the first datagram on, the kernel names each sender.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(str(address))
            address.chmod(0o660)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def answer(self) -> None:
        """Take in what has come, without waiting."""
        for _ in range(AT_A_TIME):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(LARGEST_CALL_BYTES, socket.CMSG_SPACE(CREDENTIALS.size))
            except BlockingIOError:
                return
            call = _understood(data, ancillary, self._now())
            if call and (call.order, call.digest) not in self._dealt_with:
                calls = self._calls.setdefault(call.uid, {})
                calls[call.order, call.digest] = call
                if len(calls) > CALLS_KEPT:
                    del calls[next(iter(calls))]

    def callers(self, order: Order) -> list[Call]:
        """Who called for this order in exactly these words."""
        key, since = _key_of(order), self._now() - CALL_COUNTS_FOR_S
        return [calls[key] for calls in self._calls.values() if key in calls and calls[key].at > since]

    def forget(self, order: Order) -> None:
        """It is dealt with: nobody's call for it counts any more."""
        now = self._now()
        self._dealt_with = {key: at for key, at in self._dealt_with.items() if now - at < DEALT_WITH_FOR_S}
        self._dealt_with[_key_of(order)] = now
        for calls in self._calls.values():
            for key in [key for key in calls if key[0] == order.id]:
                del calls[key]


def needs_voucher(name: str) -> bool:
    """Whether the kernel must name who gives an order of this name: an emergency, or one about whose key counts."""
    return name.partition(".")[2] in EMERGENCY_WORDS | KEY_WORDS


def about_keys(name: str) -> bool:
    """Whether only root and the hub's own user may give an order of this name."""
    return name.partition(".")[2] in KEY_WORDS


def ring(address: Path, order: int, digest: str) -> None:
    """Call the daemon for an order of ours. Lost when it does not listen, or hangs: ring again."""
    call = {"order": order, "digest": digest, "behind": _behind()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # a daemon that hangs must not hang us
        try:
            sock.sendto(json.dumps(call).encode(), str(address))
        except OSError:
            return


def digest_of(name: str, args: Mapping[str, str], why: str) -> str:
    """The hash of an order's words."""
    return hashlib.sha256(json.dumps([name, dict(args), why], sort_keys=True).encode()).hexdigest()


def may_order(name: str, uid: int, group: str) -> bool:
    """Whether this is root, the hub's own user, or, for emergencies, in the group, also as primary one. Blocks."""
    if uid in (0, os.geteuid()):
        return True
    if about_keys(name):
        return False
    try:
        person, wanted = pwd.getpwuid(uid), grp.getgrnam(group).gr_gid
        return wanted in os.getgrouplist(person.pw_name, person.pw_gid)
    except KeyError:  # a uid without a name, or no such group here: nobody is in it
        return False


def caller() -> str:
    """Who asks: the login name behind the caller's uid, and the one behind sudo."""
    return Call(order=0, digest="", uid=os.getuid(), behind=_behind()).who


def name_of(uid: int) -> str:
    """The login name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"


def _key_of(order: Order) -> tuple[int, str]:
    return order.id, digest_of(order.name, order.args, order.why)


def _behind() -> int | None:
    uid = os.environ.get("SUDO_UID", "")
    return int(uid) if uid.isascii() and uid.isdigit() else None


def _understood(data: bytes, ancillary: list[tuple[int, int, bytes]], at: float) -> Call | None:
    """None for what names no order: it wakes the daemon all the same."""
    kernel = [
        CREDENTIALS.unpack(content)
        for level, kind, content in ancillary
        if (level, kind, len(content)) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, CREDENTIALS.size)
    ]
    try:
        said = json.loads(data)
        order, digest, behind = said["order"], said["digest"], said.get("behind")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not kernel or type(order) is not int or not isinstance(digest, str) or type(behind) not in (int, type(None)):
        return None
    return Call(order=order, digest=digest, uid=kernel[0][1], at=at, behind=behind)
