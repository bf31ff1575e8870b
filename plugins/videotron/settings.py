"""`[plugins.videotron]`: the broker and the screens. A screen's id is its player's id."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hub.api import Classification, Fit, Item, Pages, PluginSettings, Priority, VideoProfile
from plugins.videotron.protocol import DEFAULT_NAMESPACE, MAX_BLOCK_BYTES, PlayerId
from plugins.videotron.transfer.windows import parse_windows

HUB_ACCOUNT = "siarhub"
MIN_DOWNLOAD_KBPS = 256


class BrokerSettings(BaseModel):
    """`[plugins.videotron.broker]`: the one MQTT 5 connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Name or address of the MQTT 5 broker.")
    port: int = Field(1883, ge=1, le=65535, description="Port of the broker; 8883 is usual with TLS.")
    username: str = Field(HUB_ACCOUNT, description="The hub's account at the broker; it must not be a screen's id.")
    password: str = Field(
        "", repr=False, description="The account's password; `password_file` keeps it out of this file."
    )
    password_file: Path | None = Field(None, description="File with the account's password, readable by the hub alone.")
    ca_file: Path | None = Field(None, description="Certificate authority of the broker (PEM); turns TLS on.")
    cert_file: Path | None = Field(None, description="The hub's own certificate (PEM), if the broker asks for one.")
    key_file: Path | None = Field(None, description="Key of the hub's own certificate (PEM).")
    keepalive_s: int = Field(30, ge=5, le=600, description="Seconds of silence after which the link is tested.")
    receive_maximum: int = Field(
        100, ge=1, le=65535, description="How many unacknowledged QoS 1 messages the broker may send to the hub."
    )
    in_flight: int = Field(8, ge=1, le=12, description="How many unacknowledged blocks the hub may have at the broker.")
    players_host: str = Field(
        "",
        max_length=253,
        description='Name or address at which players reach the broker; "": this machine\'s name.',
    )
    players_port: int = Field(8883, ge=1, le=65535, description="Port at which players reach the broker.")
    players_ca_file: Path | None = Field(
        None, description="Certificate authority (PEM) of that port: players get it when they are enrolled."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        if self.cert_file and not self.ca_file:
            raise ValueError("cert_file needs ca_file: without it there is no TLS")
        return self

    def secret(self) -> str:
        """The password. Blocks. Raises: OSError when `password_file` cannot be read."""
        if self.password_file:
            return self.password_file.read_text().strip()
        return self.password


class LinkKind(StrEnum):
    """What is between the broker and a player."""

    LAN = "lan"  # a local network, or as good
    SLOW = "slow"  # a mobile link, or one that is shared with others


class ScreenSettings(BaseModel):
    """`[plugins.videotron.screens.<id>]`: one screen and its player."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", max_length=80, description="What people call this screen.")
    width: int = Field(ge=16, le=8192, multiple_of=2, description="Width of the screen in pixels, an even number.")
    height: int = Field(ge=16, le=8192, multiple_of=2, description="Height of the screen in pixels, an even number.")
    fit: Fit = Field(
        Fit.FIT, description='"fit": whole picture with black bars; "fill": stretched; "crop": edges cut off.'
    )
    fps: int = Field(25, ge=1, le=60, description="Pictures a second.")
    max_bitrate_kbps: int = Field(6000, ge=100, le=100_000, description="Upper limit of the picture's bit rate.")
    with_sound: bool = Field(False, description="Keep the sound: only for a screen with loudspeakers.")
    still_seconds: float = Field(10.0, ge=1, le=600, description="How long an image or a page of a PDF is shown.")
    pages: Pages = Field(Pages.FIRST, description='Pages of a PDF to show: "first" or "all".')
    zone: str = Field(
        "Asia/Makassar", description="Time zone of its times of day: Asia/Jakarta, Asia/Makassar or Asia/Jayapura."
    )
    groups: tuple[PlayerId, ...] = Field((), description="Groups this screen belongs to, usable in `layar:` lines.")
    link: LinkKind = Field(
        LinkKind.LAN, description='"lan", or "slow" for a mobile link: little is on its way to it at a time.'
    )
    download_limit_kbps: int = Field(
        0, ge=0, le=10_000_000, description="How fast its player fetches films, in kbit/s, 256 or more; 0: no limit."
    )
    download_window: str = Field(
        "",
        max_length=200,
        description='When its player may fetch films that are not urgent, such as "22:00-05:00"; "": always.',
    )
    monthly_limit_mb: int = Field(
        0, ge=0, description="Health tells when more MB than this were sent to it in a month; 0: no limit."
    )

    @field_validator("download_window")
    @classmethod
    def _times_of_day(cls, text: str) -> str:
        parse_windows(text)
        return text

    @field_validator("download_limit_kbps")
    @classmethod
    def _not_too_slow(cls, kbps: int) -> int:
        if 0 < kbps < MIN_DOWNLOAD_KBPS:
            raise ValueError(f"{kbps} kbit/s is less than {MIN_DOWNLOAD_KBPS}, at which a block takes 8 s")
        return kbps

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone is named {name!r}; write Asia/Makassar, for instance") from None
        return name

    def profile(self) -> VideoProfile:
        """The rendition this screen needs."""
        return VideoProfile(
            width=self.width,
            height=self.height,
            fit=self.fit,
            fps=self.fps,
            max_bitrate_kbps=self.max_bitrate_kbps,
            with_sound=self.with_sound,
            still_s=self.still_seconds,
            pages=self.pages,
        )


class OfflineSettings(BaseModel):
    """`[plugins.videotron.offline]`: how long a player that hears nothing from the hub goes on showing what it has.

    A withdrawal cannot reach such a player: these hours are the bound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: int = Field(168, ge=1, le=720, description="For items of no other line here; the fallback comes then.")
    urgent_hours: int = Field(24, ge=1, le=720, description="For urgent items, and those of the class serta-merta.")

    def fresh_s(self, item: Item) -> int:
        """Seconds after a manifest's issue."""
        urgent = item.priority is Priority.URGENT or item.classification is Classification.IMMEDIATE
        return 3600 * (min(self.urgent_hours, self.hours) if urgent else self.hours)


class VideotronSettings(PluginSettings):
    broker: BrokerSettings = Field(BrokerSettings(), description="The connection to the MQTT broker.")
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}(/[a-z0-9-]{1,20}){0,2}$")] = Field(
        DEFAULT_NAMESPACE, description="First part of every topic; the players' must be the same."
    )
    keys: Path | None = Field(
        None,
        description="Folder of the keys that sign what screens show; unset: the state folder's plugins/videotron/keys.",
    )
    block_bytes: int = Field(
        262144, ge=1024, le=MAX_BLOCK_BYTES, description="Size of the blocks in which files travel, in bytes."
    )
    hold_off_s: float = Field(
        1.0, ge=0, le=60, description="How long to wait for other players that need the same file before sending."
    )
    window_bytes: int = Field(
        4 << 20, ge=65536, le=64 << 20, description="How many bytes may be on their way to the median player."
    )
    upload_limit_kbps: int = Field(
        0, ge=0, le=10_000_000, description="How fast the hub sends films to the broker, in kbit/s; 0: no limit."
    )
    reissue_h: float = Field(
        6.0, gt=0, le=168, description="How often manifests are signed anew, so that players know that they are fresh."
    )
    offline: OfflineSettings = Field(OfflineSettings(), description="What a player does that hears nothing any more.")
    silent_after_s: float = Field(
        90, ge=5, le=86400, description="A player that was not heard for so long counts as offline."
    )
    screens: dict[PlayerId, ScreenSettings] = Field(
        default_factory=dict, description="The screens by id: small letters, digits and hyphens, at most 40."
    )

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        for screen_id, screen in self.screens.items():
            for group in screen.groups:
                if group in self.screens:
                    raise ValueError(f"screens.{screen_id}: the group {group!r} has the name of a screen; rename it")
        if self.broker.username in self.screens:
            raise ValueError(f"broker.username {self.broker.username!r} is the id of a screen; rename one of them")
        return self


def keys_folder(settings: VideotronSettings, state_dir: Path) -> Path:
    """Where the hub's keys are: as set, else in the plugin's state folder."""
    return settings.keys or state_dir / "keys"
