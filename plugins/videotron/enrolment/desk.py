"""What `siarhub videotron enrol` and `revoke` do, in order; each can be repeated after a kill at any point.

The broker is told by its files and a reload, the hub by an order: it alone writes down whose key is whose.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from hub.api.cli import CommandContext
from hub.api.files import write_atomically
from plugins.videotron.accounts import revocation
from plugins.videotron.enrolment.broker_accounts import BrokerAccounts
from plugins.videotron.enrolment.enrolling import EnrolmentFailed, enrol_at_broker, refused_within
from plugins.videotron.enrolment.enrolments import ENROLLED, REVOKED, read_enrolments
from plugins.videotron.keys import keyring
from plugins.videotron.protocol import PLAYER_ID, encode
from plugins.videotron.protocol.enrolment import Ask, Credential, Enrolment, Meeting, Rendezvous, Size
from plugins.videotron.settings import VideotronSettings, keys_folder

SHUT_WITHIN_S = 30.0


class EnrolmentDesk:
    """One screen's enrolment, step by step. Raises: HubError, OSError."""

    def __init__(self, hub: CommandContext, screen: str, accounts: BrokerAccounts, *, replace: bool = False) -> None:
        """`replace`: another machine may lose the screen by this."""
        self._hub = hub
        self._replace = replace
        self._settings = cast(VideotronSettings, hub.settings("videotron", VideotronSettings))
        self._screen = screen
        self._accounts = accounts
        if not PLAYER_ID.match(screen):
            raise EnrolmentFailed(f"{screen!r} is no screen's id")
        if not accounts.folder.is_dir():
            raise EnrolmentFailed(f"{accounts.folder} is not there: name the broker's folder with --accounts")

    def enrol_by_code(self, meeting: Rendezvous, *, within_s: float) -> Ask:
        """The door is open while this runs, and shut again whatever happens."""
        self._known()
        self._credential("-")  # what cannot be answered must not be asked for
        password = self._accounts.let_in(meeting, for_s=within_s + 60)
        try:
            return asyncio.run(
                enrol_at_broker(
                    meeting,
                    password,
                    broker=self._settings.broker,
                    namespace=self._settings.namespace,
                    within_s=within_s,
                    decide=lambda ask: asyncio.to_thread(self._decide, ask.public()),
                )
            )
        finally:
            self._accounts.shut(meeting)

    def enrol_by_file(self, key: bytes, out: Path) -> None:
        self._known()
        self._credential("-")
        enrolment = Enrolment(key=base64.b64encode(key).decode(), credential=self._decide(key))
        write_atomically(out, encode(enrolment), mode=0o600)

    def revoke(self, why: str) -> None:
        password = self._accounts.folder / f"{self._screen}.password"
        if not password.exists() and not revocation(self._accounts.folder, self._screen).exists():
            self._known()
        was = password.read_text().strip() if password.exists() else ""
        self._accounts.revoke(self._screen, why)
        if was and not asyncio.run(refused_within(self._settings.broker, self._screen, was, SHUT_WITHIN_S)):
            raise EnrolmentFailed(
                f"the broker still lets {self._screen} in: restart it (systemctl restart siarhub-broker), then repeat"
            )
        self._order(REVOKED, {"player": self._screen}, why)

    def _decide(self, key: bytes) -> Credential:
        """The hub knows the key before the player can use its account. A kill in between: enrol again."""
        self._nobody_elses(key)
        self._order(ENROLLED, {"player": self._screen, "key": base64.b64encode(key).decode()}, "enrolment")
        return self._credential(self._accounts.give(self._screen))

    def _nobody_elses(self, key: bytes) -> None:
        rows = read_enrolments(self._hub.state_dir("videotron"))
        if other := [row for row in rows if row.player == self._screen and not row.revoked_at and row.key != key]:
            since = f"{other[0].since.astimezone(self._hub.zone):%Y-%m-%d %H:%M}"
            if not self._replace:
                raise EnrolmentFailed(
                    f"{self._screen} has a player already, since {since}: is it the right screen? Then repeat with"
                    " --replace; the machine that is there now loses the screen for good"
                )

    def _order(self, name: str, args: dict[str, str], why: str) -> None:
        outcome = self._hub.order(name, args, why)
        if not outcome.done:
            raise EnrolmentFailed(outcome.message)

    def _credential(self, password: str) -> Credential:
        folder = keys_folder(self._settings, self._hub.state_dir("videotron"))
        chain = keyring.read_chain(folder)
        screen = self._settings.screens[self._screen]
        return Credential(
            player=self._screen,
            password=password,
            site=keyring.keysets_of(chain, folder)[-1].site,
            keychain=base64.b64encode(chain).decode(),
            zone=screen.zone,
            screen=Size(width=screen.width, height=screen.height),
            broker=self._meeting_point(),
        )

    def _meeting_point(self) -> Meeting:
        broker = self._settings.broker
        host = broker.players_host or (broker.host if not _is_local(broker.host) else socket.getfqdn())
        if broker.players_ca_file is None and not _is_local(host):
            raise EnrolmentFailed(
                "players would send their passwords in plain text: make a certificate (config/broker tls) and name it"
                " in [plugins.videotron.broker] players_ca_file"
            )
        ca = broker.players_ca_file.read_text() if broker.players_ca_file else None
        return Meeting(host=host, port=broker.players_port, ca=ca)

    def _known(self) -> None:
        if self._screen not in self._settings.screens:
            known = ", ".join(sorted(self._settings.screens)) or "none"
            raise EnrolmentFailed(f"no screen {self._screen} in siarhub.toml; there are: {known}")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
