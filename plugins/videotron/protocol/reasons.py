"""Why something was refused, and what is wrong with a player: words that both sides and the manuals share."""

from __future__ import annotations

from enum import StrEnum


class Attack(StrEnum):
    """Why a receiver refused what came; a player counts them by these words in its state."""

    MALFORMED = "malformed"  # no document of this protocol
    TOO_LARGE = "too large"
    WRONG_TYPE = "wrong type"  # another kind of document than belongs on the topic
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown key"  # signed, by a key that does not count here: never known, or revoked
    BAD_SIGNATURE = "bad signature"
    TOO_FEW_SIGNATURES = "too few signatures"
    WRONG_SITE = "wrong site"  # of another hub
    WRONG_AUDIENCE = "wrong audience"  # for another player
    ROLLBACK = "rollback"  # older than what was accepted before
    EQUIVOCATION = "equivocation"  # another text under a number that was accepted before
    WRONG_KEYSET = "wrong keyset"  # made under another keyset than the one in force
    EXPIRED = "expired"
    REPLAYED = "replayed"  # a command that was carried out before
    WRONG_FILE = "wrong file"  # a block list of another file than the manifest names
    WRONG_BLOCK = "wrong block"  # a block whose hash is not in the list
    OVER_LIMIT = "over limit"  # asks for more than this player may hold


class Trouble(StrEnum):
    """What is wrong with a player or its screen; the hub has a remedy for each."""

    NO_MANIFEST = "no manifest"
    EXPIRED = "manifest expired"
    SILENCE = "nothing new for a day"
    KEYS_EXPIRED = "keyset expired"
    REJECTIONS = "refused what came"
    CLOCK_BEHIND = "clock behind"
    CLOCK_AHEAD = "clock ahead"
    MPV_DOWN = "mpv down"
    FROZEN = "picture frozen"
    NO_OUTPUT = "no output"
    FILM_BROKEN = "film broken"
    FILM_MISSING = "film missing"
    DISK_FULL = "disk full"
    DISK_ERROR = "disk error"
    MEMORY = "memory short"
    HOT = "too hot"
    POWER = "voltage too low"
    DROPPED_FRAMES = "dropped frames"
    WRONG_SIZE = "wrong screen size"
    PROOFS_LOST = "proofs lost"
    STATE_SPOILED = "state spoiled"
    OTHER = "other"
