"""What players say: judged by topic, signature and order, then given to whom it concerns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from hub.api import Clock, Log
from plugins.videotron.broker import Disconnected, Link, Message
from plugins.videotron.complaints import Complaints
from plugins.videotron.proofs.keeper import ProofKeeper
from plugins.videotron.protocol import (
    Attack,
    PlayerState,
    Refused,
    ReportFlag,
    Topics,
    WireError,
    decode_report,
    decode_signed,
    key_id,
)
from plugins.videotron.screens.roster import Roster
from plugins.videotron.screenshots.shots import Shots
from plugins.videotron.transfer.sender import Sender

KeyOf = Callable[[str], bytes | None]


class Intray:
    def __init__(
        self,
        *,
        topics: Topics,
        roster: Roster,
        sender: Sender,
        complaints: Complaints,
        key_of: KeyOf,
        shots: Shots,
        wanted: Mapping[str, Collection[str]],
        heard: Callable[[str, PlayerState], None],
        clock: Clock,
        log: Log,
    ) -> None:
        """`key_of` gives an enrolled player's public key; `wanted` the contents in its manifest; `heard` is told of
        every state that may be believed."""
        self._topics = topics
        self._roster = roster
        self._sender = sender
        self._complaints = complaints
        self._key_of = key_of
        self._shots = shots
        self._wanted = wanted
        self._heard = heard
        self._clock = clock
        self._log = log

    async def receive(self, link: Link, proofs: ProofKeeper) -> None:
        """Take what comes for one session. Raises: Disconnected at its end."""
        async for message in link.messages():
            try:
                self._take(message, proofs)
            except WireError as error:
                self._complaints.add(self._sender_of(message.topic), f"{error.attack}: {error}")
        raise Disconnected("the broker sends no more")

    def _take(self, message: Message, proofs: ProofKeeper) -> None:
        kind, cid, player = self._topics.parse(message.topic)
        if player not in self._roster:
            self._complaints.add(player, "no such screen is configured")
        elif kind == "report":
            self._take_report(cid, player, message.payload)
        elif kind == "state" and message.payload:
            self._take_state(player, message)
        elif kind == "proof":
            proofs.take(player, message.payload, self._keys_of(player))
        elif kind == "shot":
            self._shots.take(player, message.payload, self._keys_of(player))

    def _sender_of(self, topic: str) -> str:
        """The player, as the broker's ACL vouches for it, and what it sent; few names, whatever topics it makes up."""
        try:
            kind, _, player = self._topics.parse(topic)
        except WireError:
            return topic.split("/")[-1][:80]
        return f"{player} {kind}"

    def _take_report(self, cid: str, player: str, payload: bytes) -> None:
        """A report is the player's request and nothing more: nothing is called delivered by it."""
        self._keys_of(player)  # a machine that was revoked gets nothing sent
        report = decode_report(payload)
        if not self._sender.knows(cid):
            raise WireError(f"a report about {cid}, which nobody was given lately")
        if cid not in self._wanted.get(player, ()):  # withdrawn from this player meanwhile
            return
        if report.blocks != self._sender.blocks_of(cid):
            raise WireError(f"a report about {report.blocks} blocks of {cid}")
        self._sender.report(cid, player, report)
        if ReportFlag.DONE in report.flags and report.have == (1 << report.blocks) - 1:
            self._log.info("content_was_fetched", player=player, cid=cid)

    def _take_state(self, player: str, message: Message) -> None:
        keys = self._keys_of(player)
        state = decode_signed(PlayerState, message.payload, keys)
        if state.player != player:
            raise Refused(Attack.WRONG_AUDIENCE, f"it calls itself {state.player}")
        if self._roster.on_state(player, state, retained=message.retained, key=next(iter(keys))):
            self._heard(player, state)

    def _keys_of(self, player: str) -> dict[str, bytes]:
        key = self._key_of(player)
        if key is None:
            raise Refused(Attack.UNKNOWN_KEY, "this player is not enrolled (siarhub videotron enrol)")
        return {key_id(key): key}
