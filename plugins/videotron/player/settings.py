"""The player's TOML file, read into frozen models; every error is reported at once, with its key."""

from __future__ import annotations

import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.api.errors import HubError
from plugins.videotron.player import enrolment
from plugins.videotron.protocol import WireError

STATE_DIR = Path("/var/lib/siarhub-player")
NOBODY = "not-enrolled"
TLS_PORT = 8883

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Even = Annotated[int, Field(ge=0, le=16384, multiple_of=2)]  # films have their colours at half the resolution
EvenSize = Annotated[int, Field(ge=2, le=16384, multiple_of=2)]
Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,3}$")]
LAN_IN_FLIGHT = 8


class BadConfig(HubError):
    """The configuration cannot be used; `problems` says why, one sentence each, with the key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotEnrolled(HubError):
    """The file names no player, and there is no enrolment yet: `settings` are those to be enrolled with."""

    def __init__(self, settings: PlayerSettings) -> None:
        super().__init__("this player is not enrolled yet: its screen shows the code")
        self.settings = settings


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsSettings(_Table):
    ca_file: Path | None = Field(
        None, description="Certificate of the authority that signed the broker's; none: the system's."
    )
    cert_file: Path | None = Field(None, description="This player's own certificate, when the broker asks for one.")
    key_file: Path | None = Field(None, description="The key of this player's certificate.")


class BrokerSettings(_Table):
    host: str = Field("127.0.0.1", description="Name or address of the MQTT broker.")
    port: int = Field(1883, ge=1, le=65535, description="Port of the broker: 1883 plain, 8883 with TLS.")
    username: str = Field("", description="User name at the broker; none: the player's id.")
    password: str = Field("", description="Password at the broker; password_file keeps it out of this file.")
    password_file: Path | None = Field(None, description="File that holds the password alone; nobody else may read it.")
    tls: TlsSettings | None = Field(None, description="TLS to the broker; without this table the connection is plain.")
    namespace: Namespace = Field("led/v1", description="First part of every topic; the same as at the hub.")
    keepalive_s: int = Field(60, ge=5, le=600, description="How often the connection is proved alive.")
    session_expiry_s: int = Field(
        60, ge=0, le=3600, description="How long the broker holds what was sent during a cut."
    )
    link: Literal["lan", "slow"] = Field(
        "lan", description="slow: a mobile or shared link, on which an order must not wait behind a film."
    )
    receive_maximum: int = Field(
        0, ge=0, le=20, description="Blocks in flight. 0: by the link, 8 for lan; slow: 1, or 2 if mosquitto >= 2.0.13."
    )

    @property
    def in_flight(self) -> int:
        """Blocks that the broker may send before the first of them is acknowledged."""
        return self.receive_maximum or (LAN_IN_FLIGHT if self.link == "lan" else 1)

    @model_validator(mode="after")
    def _one_password(self) -> BrokerSettings:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        return self


class StripSettings(_Table):
    """One piece of a screen that is longer than the output: cut out of the film here, shown on the output there."""

    x: Even = Field(0, description="Where the strip begins in the film, from the left; even, as all of these.")
    y: Even = Field(0, description="Where the strip begins in the film, from the top.")
    width: EvenSize = Field(description="Width of the strip.")
    height: EvenSize = Field(description="Height of the strip.")
    to_x: Even = Field(0, description="Where the strip lies on the output, from screen.x.")
    to_y: Even = Field(0, description="Where the strip lies on the output, from screen.y.")


class ScreenSettings(_Table):
    width: int = Field(description="Width of the screen in pixels, as the hub's roster has it.", ge=16, le=16384)
    height: int = Field(description="Height of the screen in pixels.", ge=16, le=16384)
    x: int = Field(0, ge=0, le=32768, description="Where the picture begins on the output, from the left, in pixels.")
    y: int = Field(0, ge=0, le=32768, description="Where the picture begins on the output, from the top, in pixels.")
    fullscreen: bool = Field(True, description="Take the whole output; the picture lies 1:1 at x and y in it.")
    strips: tuple[StripSettings, ...] = Field(
        (), max_length=64, description="For a controller that folds a long screen: its pieces; none: in one piece."
    )

    @model_validator(mode="after")
    def _strips_fit(self) -> ScreenSettings:
        for number, strip in enumerate(self.strips, start=1):
            if strip.x + strip.width > self.width or strip.y + strip.height > self.height:
                raise ValueError(f"strip {number} reaches beyond the film of {self.width}x{self.height}")
            for other in self.strips[: number - 1]:
                if _meet(strip, other):
                    raise ValueError(f"strip {number} lies over another one on the output")
        return self


class MpvSettings(_Table):
    program: str = Field("mpv", description="The mpv to run.")
    vo: Literal["gpu", "drm", "x11", "xv", "sdl", "null"] = Field(
        "gpu", description="Output: gpu (with or without a desktop), drm, x11, or null for a machine without a screen."
    )
    gpu_context: str = Field(
        "", pattern=r"^[a-z0-9-]*$", description="Context of vo gpu, such as drm; none: mpv finds it."
    )
    drm_connector: str = Field("", pattern=r"^[A-Za-z0-9.-]*$", description="Connector of vo drm, such as HDMI-A-1.")
    drm_mode: str = Field("", pattern=r"^[A-Za-z0-9@.x-]*$", description="Mode of vo drm, such as 1920x1080@50.")
    hwdec: str = Field("no", pattern=r"^[a-z0-9-]+$", description="Hardware decoding, such as auto-safe, or no.")
    sound: bool = Field(False, description="Play the sound of the clips.")
    stalled_after_s: float = Field(
        10, ge=1, le=15, description="mpv is restarted when the picture stood still this long."
    )
    recycle_above_mb: int = Field(
        700, ge=1, description="mpv is replaced at the end of a clip when it holds more memory than this."
    )
    recycle_after_h: float = Field(
        24, gt=0, le=720, description="mpv is replaced at the end of a clip when it has run this long."
    )


class LimitSettings(_Table):
    max_file_mb: int = Field(4096, ge=1, description="A larger file is refused, whatever the hub says.")
    max_total_mb: int = Field(32768, ge=1, description="All files together; what does not fit is refused.")
    keep_free_mb: int = Field(200, ge=0, description="Room left free on the disk; fetching stops before it is used.")
    max_proofs: int = Field(
        100_000, ge=100, description="Plays kept while the hub is away; then the newest are lost, and told."
    )


class ShotSettings(_Table):
    every_min: float = Field(
        30,
        ge=0,
        le=10080,
        description="Minutes between pictures of the screen for the hub; 0: only on its order.",
    )


class LogSettings(_Table):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    style: Literal["auto", "json", "console"] = Field(
        "auto", description="json: a line each; auto: console on a terminal."
    )


class PlayerSettings(_Table):
    player: Name = Field(
        description="The id of this player, as the hub's roster has it; left out: it is enrolled by its code."
    )
    state_dir: Path = Field(STATE_DIR, description="Where films, play list and proofs are kept.")
    trust: Path | None = Field(
        None, description="The hub's keychain.json, for a player that was not enrolled by its code."
    )
    fallback: Path | None = Field(
        None, description="An MP4 to show when nothing else may be; none: a calm gradient is made."
    )
    broker: BrokerSettings = Field(default_factory=lambda: BrokerSettings(), description="The MQTT broker.")
    screen: ScreenSettings = Field(description="The screen.")
    mpv: MpvSettings = Field(default_factory=lambda: MpvSettings(), description="How mpv shows it.")
    limits: LimitSettings = Field(
        default_factory=lambda: LimitSettings(), description="What the hub may ask of this machine."
    )
    shots: ShotSettings = Field(default_factory=lambda: ShotSettings(), description="Pictures of the screen.")
    log: LogSettings = Field(default_factory=lambda: LogSettings(), description="The log.")

    @model_validator(mode="after")
    def _strips_are_cut_in_memory(self) -> PlayerSettings:
        if self.screen.strips and self.mpv.hwdec != "no" and not self.mpv.hwdec.endswith("-copy"):
            raise ValueError(f"screen.strips need mpv.hwdec = 'no' or one that ends in -copy, not '{self.mpv.hwdec}'")
        return self


def load(path: Path) -> PlayerSettings:
    """The settings in this file; relative paths in it start at its folder.

    One that names no player is completed by the enrolment in its state folder. Blocks.
    Raises: BadConfig with every problem; NotEnrolled when there is no enrolment.
    """
    raw = _toml(path)
    if "player" in raw or not _tables(raw):
        return _validated(raw, path)
    folder = path.resolve().parent / str(raw.get("state_dir", STATE_DIR))
    try:
        found = enrolment.load(folder)
        if found is not None:
            enrolment.fill_in(raw, found, folder)
            return _validated(raw, path)
    except (OSError, WireError) as error:
        raise BadConfig([f"state_dir: the enrolment in {folder} cannot be read ({error}); use sudo"]) from error
    raise NotEnrolled(_validated(_not_enrolled(raw), path))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig([f"{path}: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig([f"{path}: not TOML: {error}"]) from error


def _validated(raw: dict[str, Any], path: Path) -> PlayerSettings:
    try:
        settings = PlayerSettings.model_validate(raw)
    except ValidationError as error:
        raise BadConfig([_sentence(path, dict(e)) for e in error.errors()]) from error
    return _anchored(settings, path.resolve().parent)


def _not_enrolled(raw: dict[str, Any]) -> dict[str, Any]:
    """Its own id and size come with the enrolment; until then the code is shown on the whole output."""
    screen = raw.get("screen", {})
    if "width" not in screen or "height" not in screen:
        screen = {"x": screen.get("x", 0), "y": screen.get("y", 0), "width": 1920, "height": 1080}
    broker = dict(raw.get("broker", {}))
    if not is_local(str(broker.get("host", "127.0.0.1"))):
        broker.setdefault("port", TLS_PORT)
    return raw | {"player": NOBODY, "screen": screen, "broker": broker}


def _tables(raw: dict[str, Any]) -> bool:
    """Whether what the enrolment completes are tables, as they must be."""
    broker = raw.get("broker", {})
    found = (broker, raw.get("screen", {}), broker.get("tls", {}) if isinstance(broker, dict) else {})
    return all(isinstance(one, dict) for one in found)


def password_of(broker: BrokerSettings) -> str | None:
    """The password, from wherever it is kept; None when there is none.

    Raises: BadConfig when the file cannot be read, or others may read it.
    """
    if broker.password_file is None:
        return broker.password or None
    try:
        if broker.password_file.stat().st_mode & 0o077:
            raise BadConfig([f"broker.password_file: others may read it; chmod 600 {broker.password_file}"])
        return broker.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig([f"broker.password_file: {error}"]) from error


def _meet(one: StripSettings, other: StripSettings) -> bool:
    apart = one.to_x + one.width <= other.to_x or other.to_x + other.width <= one.to_x
    return not (apart or one.to_y + one.height <= other.to_y or other.to_y + other.height <= one.to_y)


def is_local(host: str) -> bool:
    """Whether this broker is on this machine, where a plain connection is nobody's business."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sentence(path: Path, error: dict[str, object]) -> str:
    location = error["loc"]
    key = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    return f"{path}: {key or 'file'}: {error['msg']}"


def _anchored(settings: PlayerSettings, folder: Path) -> PlayerSettings:
    tls = settings.broker.tls
    if tls is not None:
        tls = tls.model_copy(update={k: folder / v for k, v in dict(tls).items() if v is not None})
    password = settings.broker.password_file
    broker = settings.broker.model_copy(update={"tls": tls, "password_file": password and folder / password})
    fallback = settings.fallback and folder / settings.fallback
    trust = settings.trust and folder / settings.trust
    return settings.model_copy(
        update={"state_dir": folder / settings.state_dir, "broker": broker, "fallback": fallback, "trust": trust}
    )
