"""`siarhub.toml` as frozen values; every mistake in it is reported at once, with its key and line.

Each part of the hub defines its own table beside its code; this module puts them together. `python -m hub.settings`
prints the file with every key, its default and its comment: that is `config/siarhub.toml`.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hub.api.errors import HubError
from hub.intake.settings import ApprovalSettings, FolderNames, IntakeSettings
from hub.jobs.settings import JobSettings
from hub.media.settings import MediaSettings
from hub.vouching import OrderSettings

DEFAULT_PATH = Path("/etc/siarhub/siarhub.toml")
ENVIRONMENT = "SIARHUB_CONFIG"


class SettingsError(HubError):
    """The settings cannot be used; each mistake stands on a line of its own."""


class Language(StrEnum):
    INDONESIAN = "id"
    ENGLISH = "en"


class LogStyle(StrEnum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubSettings(_Table):
    """Where things are, and how the hub speaks."""

    state_dir: Path = Field(Path("/var/lib/siarhub"), description="The hub's own state; nobody's folder. Back it up.")
    root: Path = Field(Path("/srv/siarhub"), description="People's folders stand under it, on one file system.")
    plugin_dir: Path = Field(
        Path("/etc/siarhub/plugins"), description="A plugin dropped here (a .py file or a folder) is loaded at start."
    )
    time_zone: str = Field("Asia/Makassar", description="The people's time zone: months, dates and windows (WITA).")
    language: Language = Field(Language.INDONESIAN, description="Of receipts, reasons and lists: id or en.")
    log_style: LogStyle = Field(LogStyle.AUTO, description="auto = colour on a terminal, JSON lines otherwise.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no such time zone; the office's is Asia/Makassar ({error})") from error
        return name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Settings(_Table):
    """All tables of siarhub.toml; a plugin's own is validated when it is loaded, so a mistake keeps one plugin down."""

    hub: HubSettings = Field(default_factory=HubSettings)
    folders: FolderNames = Field(default_factory=FolderNames)
    intake: IntakeSettings = Field(default_factory=IntakeSettings)
    approval: ApprovalSettings = Field(default_factory=ApprovalSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    jobs: JobSettings = Field(default_factory=JobSettings)
    orders: OrderSettings = Field(default_factory=OrderSettings)
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict)


def find(path: Path | None = None) -> Path:
    """The settings file: the one given, or SIARHUB_CONFIG, or /etc/siarhub/siarhub.toml."""
    return path or Path(os.environ.get(ENVIRONMENT) or DEFAULT_PATH)


def load(path: Path) -> Settings:
    """Read the settings file. Raises: SettingsError with every mistake, each with its key and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark first
        return Settings.model_validate(tomllib.loads(text))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give --config FILE or set {ENVIRONMENT}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError("\n".join(f"{path}:{line}" for line in explain(error, text))) from error


def explain(error: ValidationError, text: str) -> Iterator[str]:
    """Each mistake as `line: table.key: what is wrong`."""
    for one in error.errors():
        keys = [str(part) for part in one["loc"]]
        yield f"{line_of(text, keys)}: {'.'.join(keys)}: {one['msg']}"


def line_of(text: str, keys: list[str]) -> int:
    """The line where a key stands, or its table, or 1 when neither is written out."""
    table, found = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^]]+?)\s*]", line):
            table = header[1].replace('"', "")
            if ".".join(keys).startswith(table):
                found = number
        elif (name := re.match(r'\s*"?([\w.-]+)"?\s*=', line)) and ".".join(filter(None, (table, name[1]))) == ".".join(
            keys
        ):
            return number
    return found


def render_default(plugins: Mapping[str, type[BaseModel]] | None = None) -> str:
    """`config/siarhub.toml`: every key with its default and its comment, a plugin's table for each model given."""
    lines = ["# Settings of Siar Hub: every key with its default. Delete what you do not change.", ""]
    for name, field in Settings.model_fields.items():
        if name != "plugins":
            lines += _render_table(name, field.annotation)
    for name, model in (plugins or {}).items():
        lines += _render_table(f"plugins.{name}", model)
    return "\n".join(lines).rstrip() + "\n"


def _render_table(name: str, model: Any) -> Iterator[str]:
    yield f"[{name}]"
    nested, examples = [], []
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            nested.append((key, field.annotation))
            continue
        if entry := _model_of_entries(field.annotation):
            examples.append((key, entry, field.description))
            continue
        yield f"# {field.description}"
        yield _render_key(key, field)
    yield ""
    for key, inner in nested:
        yield from _render_table(f"{name}.{key}", inner)
    for key, entry, description in examples:
        yield f"# {description} One table each:"
        yield from (f"# {line}".rstrip() for line in _render_table(f"{name}.{key}.example", entry))


def _model_of_entries(annotation: Any) -> type[BaseModel] | None:
    """The model of the values of a `dict[..., Model]`."""
    values = get_args(annotation)[1:] if get_origin(annotation) is dict else ()
    return next((one for one in values if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _render_key(key: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default is PydanticUndefined:
        return f"# {key} ="
    if isinstance(default, dict):
        return f"# {key} = {{}}" if not default else f"{key} = {json.dumps(default)}"
    if isinstance(default, tuple | list | frozenset):
        return f"{key} = {json.dumps([str(value) for value in default])}"
    if isinstance(default, bool | int | float):
        return f"{key} = {json.dumps(default)}"
    return f"{key} = {json.dumps(str(default), ensure_ascii=False)}"


def _print_default() -> None:
    from hub.plugin_host.loader import BUNDLED, find_plugins, load_class

    models = {found.name: load_class(found).Settings for found in find_plugins(None) if found.name in BUNDLED}
    print(render_default(models), end="")  # noqa: T201 - this module run as a program prints the file


if __name__ == "__main__":
    _print_default()
