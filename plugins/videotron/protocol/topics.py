"""Topic names, and what a topic says of its message."""

from __future__ import annotations

from dataclasses import dataclass

from plugins.videotron.protocol.wire import CID, DEFAULT_NAMESPACE, PLAYER_ID, WireError


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names under one namespace. Content and player ids go in as they are, so they must be well-formed."""

    namespace: str = DEFAULT_NAMESPACE

    @property
    def hub(self) -> str:
        """Hub to all, retained, QoS 1: `HubState`."""
        return f"{self.namespace}/hub"

    def block_list(self, cid: str) -> str:
        """Hub to players, retained, QoS 1: `BlockList`; empty when nobody needs it any more."""
        return f"{self.namespace}/c/{cid}/m"

    def group(self, cid: str) -> str:
        """Hub to all that need this content, QoS 1: block frames."""
        return f"{self.namespace}/c/{cid}/b"

    def unicast(self, player: str) -> str:
        """Hub to one player, QoS 1: block frames of any content that it needs; the tag says which."""
        return f"{self.namespace}/p/{player}/b"

    @property
    def keys(self) -> str:
        """Hub to all, retained, QoS 1: `Keychain`."""
        return f"{self.namespace}/keys"

    def control(self, player: str) -> str:
        """Hub to one player, QoS 0: `ProofAck`, `Command`; other types are for later versions and ignored."""
        return f"{self.namespace}/p/{player}/c"

    def manifest(self, player: str) -> str:
        """Hub to one player, retained, QoS 0 and again until it is followed: `Manifest`."""
        return f"{self.namespace}/p/{player}/want"

    def override(self, player: str) -> str:
        """Hub to one player, retained, QoS 0 and again until it is in force: `Override`."""
        return f"{self.namespace}/p/{player}/now"

    def report(self, cid: str, player: str) -> str:
        """Player to hub, QoS 0 (DONE: QoS 1): report frames."""
        return f"{self.namespace}/r/{cid}/{player}"

    def state(self, player: str) -> str:
        """Player to hub, retained, QoS 1, also its will: `PlayerState`."""
        return f"{self.namespace}/s/{player}/state"

    def proof(self, player: str) -> str:
        """Player to hub, QoS 1: `ProofOfPlay`."""
        return f"{self.namespace}/s/{player}/proof"

    def shot(self, player: str) -> str:
        """Player to hub, QoS 1: `Shot`."""
        return f"{self.namespace}/s/{player}/shot"

    def parse(self, topic: str) -> tuple[str, str, str]:
        """What a message is about: ("report", cid, player), ("state" | "proof" | "shot", "", player),
        ("block_list" | "group", cid, ""), ("unicast" | "control" | "manifest" | "override", "", player),
        ("hub" | "keys", "", "").

        Raises: WireError for any other topic.
        """
        rest = topic.removeprefix(f"{self.namespace}/")
        match rest.split("/") if rest != topic else []:
            case [("hub" | "keys") as kind]:
                return kind, "", ""
            case ["r", cid, player] if CID.match(cid) and PLAYER_ID.match(player):
                return "report", cid, player
            case ["s", player, ("state" | "proof" | "shot") as kind] if PLAYER_ID.match(player):
                return kind, "", player
            case ["c", cid, ("m" | "b") as kind] if CID.match(cid):
                return {"m": "block_list", "b": "group"}[kind], cid, ""
            case ["p", player, ("b" | "c" | "want" | "now") as kind] if PLAYER_ID.match(player):
                return {"b": "unicast", "c": "control", "want": "manifest", "now": "override"}[kind], "", player
        raise WireError(f"no topic of this protocol: {topic[:120]!r}")
