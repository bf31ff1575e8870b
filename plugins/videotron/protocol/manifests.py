"""The documents that decide what a screen may show: keysets, one manifest a player, overrides, commands."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, FailFast, Field, model_validator

from plugins.videotron.protocol.documents import Cid, Digest, Document, ItemId, PlayerId, Seconds, Site, Time
from plugins.videotron.protocol.wire import MAX_BLOCK_BYTES, MAX_BLOCKS, cid_of


def _public_key(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32 or base64.b64encode(key).decode() != text:  # one key is one text: none counts twice
        raise ValueError("not base64 of 32 bytes")
    return text


PublicKey = Annotated[str, Field(max_length=44), AfterValidator(_public_key)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Annotated[int, Field(ge=1, le=7)]  # ISO 8601: Monday is 1
Positive = Annotated[int, Field(ge=1, le=(1 << 53) - 1)]


class KeyRole(Document):
    """Who may sign: at least `threshold` of these Ed25519 keys (base64 of 32 bytes)."""

    threshold: Annotated[int, Field(ge=1, le=10)]
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=10), FailFast()]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len(set(self.keys)) != len(self.keys) or self.threshold > len(self.keys):
            raise ValueError("a threshold that these keys cannot reach, or a key twice")
        return self


class Keyset(Document):
    """Which keys count, from this version on. Signed by the roots of the version before and by its own.

    `epoch` grows when an online key may have been stolen: manifests, overrides and commands are counted anew in it.
    """

    TYPE: ClassVar[str] = "siarhub.keyset.v1"

    site: Site
    version: Positive
    epoch: Positive
    issued: Time
    expires: Time
    root: KeyRole
    online: KeyRole


class Keychain(Document):
    """All keysets from the first on, each the text of its envelope: who knows any of them can follow to the last."""

    TYPE: ClassVar[str] = "siarhub.keychain.v1"

    keysets: Annotated[
        tuple[Annotated[str, Field(max_length=20_000)], ...], Field(min_length=1, max_length=40), FailFast()
    ]


class File(Document):
    """A film that a player should hold."""

    cid: Cid
    sha256: Digest
    size: Annotated[int, Field(ge=1, le=MAX_BLOCKS * MAX_BLOCK_BYTES)]
    seconds: Seconds  # how long it runs
    fetch_after: Time | None = None  # not before this, for a link that costs; None: at once

    @model_validator(mode="after")
    def _named_by_its_hash(self) -> Self:
        if self.cid != cid_of(self.sha256):
            raise ValueError("a content id that is not its file's")
        return self


class Daypart(Document):
    """From `start` until just before `end`, in the screen's zone; `end` at or before `start`: it passes midnight."""

    start: TimeOfDay
    end: TimeOfDay


class ManifestItem(File):
    """One film of one item, and when it may be shown."""

    item: ItemId
    title: Annotated[str, Field(max_length=300)]
    start: Time
    end: Time  # the first instant at which it may not be shown any more
    days: Annotated[tuple[Weekday, ...], Field(max_length=7), FailFast()] = ()  # () = every day
    dayparts: Annotated[tuple[Daypart, ...], Field(max_length=24), FailFast()] = ()  # () = the whole day
    priority: Literal["urgent", "normal"] = "normal"
    share: Annotated[int, Field(ge=1, le=20)] = 1  # places in one round of the loop
    classification: Annotated[str, Field(max_length=40)] = ""
    approval: Annotated[str, Field(max_length=200)] = ""
    fresh_s: Positive  # after the manifest's `issued`: how long a player that hears nothing newer may show it


class Standby(File):
    """A film that is kept ready: shown by an override, or as the fallback, never by the schedule."""

    item: ItemId
    title: Annotated[str, Field(max_length=300)]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = ""  # of the template


class Screen(Document):
    width: Annotated[int, Field(ge=1, le=16384)]
    height: Annotated[int, Field(ge=1, le=16384)]
    zone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$", max_length=60)] = "Asia/Makassar"


class Manifest(Document):
    """All that one player should hold and may show. A higher (epoch, seq) replaces a lower one, never the reverse."""

    TYPE: ClassVar[str] = "siarhub.manifest.v1"

    site: Site
    aud: PlayerId
    keyset: Positive  # version in force when it was signed
    epoch: Positive
    seq: Positive
    issued: Time
    expires: Time  # from then on the fallback is shown
    screen: Screen
    fetch_kbps: Annotated[int, Field(ge=0, le=10_000_000)] = 0  # fetch films no faster, in kbit/s; 0: no limit
    items: Annotated[tuple[ManifestItem, ...], Field(max_length=1000), FailFast()]
    standby: Annotated[tuple[Standby, ...], Field(max_length=100), FailFast()] = ()
    fallback: Standby | None = None  # None: the player's own

    def files(self) -> tuple[File, ...]:
        """Every film that it names: items, standby, fallback."""
        return (*self.items, *self.standby, *((self.fallback,) if self.fallback else ()))


class Mode(StrEnum):
    """What an override does."""

    NONE = "none"  # the schedule again
    EMERGENCY = "emergency"  # these films and nothing else
    BLACKOUT = "blackout"  # nothing: the screen is black on order


class Shows(StrEnum):
    """What a player is showing."""

    ITEMS = "items"
    FALLBACK = "fallback"
    EMERGENCY = "emergency"
    BLACKOUT = "blackout"
    CODE = "code"  # its enrolment code
    NOTHING = "nothing"  # mpv is down or starting


class Override(Document):
    """A person's order above the schedule; latched: it stays over a reboot until `until` or a higher counter."""

    TYPE: ClassVar[str] = "siarhub.override.v1"

    site: Site
    aud: PlayerId
    keyset: Positive
    epoch: Positive
    counter: Positive
    issued: Time
    until: Time | None  # None: until a higher counter says otherwise
    mode: Mode
    films: Annotated[tuple[Standby, ...], Field(max_length=20), FailFast()] = ()  # of an emergency, in this order

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mode is Mode.EMERGENCY) != bool(self.films):
            raise ValueError("an emergency has films, and nothing else has")
        return self


class CommandName(StrEnum):
    SCREENSHOT = "screenshot"


class Command(Document):
    """Do something once. `counter` grows; what was carried out is never carried out again."""

    TYPE: ClassVar[str] = "siarhub.command.v1"

    site: Site
    aud: PlayerId
    epoch: Positive
    counter: Positive
    issued: Time
    expires: Time
    name: CommandName
