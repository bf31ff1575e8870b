"""Finds plugins, installed or dropped in the plugin folder, and brings each up or says why it stays down."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn, Protocol

from pydantic import ValidationError

from hub.api import HubError, PluginContext, PluginSettings
from hub.plugin_host.guard import HookTimeout, time_limit
from hub.plugin_host.host import PluginContractError, PluginHost
from hub.plugin_host.replies import clean, described

GROUP = "siarhub.plugins"
BUNDLED = ("videotron", "radio", "archive")
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
LOAD_WITHIN_S = 30.0  # to be imported, and again to be built


class PluginState(StrEnum):
    RUNNING = "running"
    DISABLED = "disabled"  # by the operator, in siarhub.toml
    BROKEN = "broken"  # could not be imported or built, or breaks the hook contract
    MISCONFIGURED = "misconfigured"  # its settings do not validate
    UNFIT = "unfit"  # its environment lacks something


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """One plugin that was found, and what became of it."""

    name: str
    state: PluginState
    origin: str  # "installed", or the file it was loaded from
    reason: str = ""


class PluginClass(Protocol):
    Settings: type[PluginSettings]

    def __call__(self, context: PluginContext[Any], /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plugin before it is imported: importing it may fail, and that is its own affair."""

    name: str
    origin: str
    load: Callable[[], Any]


ContextFor = Callable[[str, PluginSettings, Path], PluginContext[Any]]


def find_plugins(folder: Path | None) -> list[Found]:
    """Installed plugins (the entry points of group `siarhub.plugins`) and those in the folder, bundled ones first.

    What stands in the folder but cannot be a plugin (its name, no `__init__.py`) is found too: loading it says why not.
    """
    found = {
        entry.name: Found(name=entry.name, origin="installed", load=entry.load) for entry in entry_points(group=GROUP)
    }
    for one in _dropped(folder) if folder else ():
        if one.name in found:
            path = Path(one.origin)
            reason = f"there is a plugin {one.name} already ({found[one.name].origin}): rename {path}"
            one = _misplaced(path, reason, name=f"{path.parent.name}/{path.name}")
        found[one.name] = one
    order = {name: place for place, name in enumerate(BUNDLED)}
    return sorted(found.values(), key=lambda one: (order.get(one.name, len(order)), one.name))


def find_at(path: Path) -> Found:
    """The plugin in this file or folder, wherever it stands."""
    path = path.absolute()
    source = path / "__init__.py" if path.is_dir() else path
    name = path.name if path.is_dir() else path.stem
    if not NAME.fullmatch(name) or (path.is_file() and path.suffix != ".py"):
        return _misplaced(path, f"{path.name!r} is no plugin's name: use a-z, 0-9 and _, beginning with a letter")
    if not source.is_file():
        return _misplaced(path, f"{source} is missing" if path.is_dir() else f"{path}: no such file or folder")
    return Found(name=name, origin=str(path), load=partial(_import, name, source))


def load_class(found: Found) -> PluginClass:
    """Import the plugin. Raises: PluginContractError, HookTimeout, or whatever its module raises."""
    with time_limit("the import", LOAD_WITHIN_S):
        plugin_class: PluginClass = found.load()
    settings = getattr(plugin_class, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, PluginSettings)):
        raise PluginContractError("needs a class `Settings` derived from hub.api.PluginSettings")
    return plugin_class


def load_plugin(host: PluginHost, found: Found, table: Mapping[str, Any], context_for: ContextFor) -> PluginRecord:
    """Bring one plugin up in the host. Never raises: what goes wrong is in the record, and the host lacks it then."""
    state, reason = _bring_up(host, found, table, context_for)
    if state is not PluginState.RUNNING:
        host.unregister(found.name)
    return PluginRecord(name=found.name, state=state, origin=found.origin, reason=reason)


def examine(found: Found, table: Mapping[str, Any]) -> tuple[PluginState, str]:
    """What a plugin would become as far as that can be seen without constructing it, and why."""

    def look() -> tuple[PluginState, str]:
        _validated(found, table)
        return PluginState.RUNNING, ""

    return _contained(look)


def _bring_up(
    host: PluginHost, found: Found, table: Mapping[str, Any], context_for: ContextFor
) -> tuple[PluginState, str]:
    def construct() -> tuple[PluginState, str]:
        plugin_class, settings = _validated(found, table)
        module = Path(sys.modules[plugin_class.__module__].__file__ or ".")
        with time_limit("its construction", LOAD_WITHIN_S):
            host.register(plugin_class(context_for(found.name, settings, module)), found.name)
        problems = host.check_environment(found.name)
        return (PluginState.UNFIT, "; ".join(problems)) if problems else (PluginState.RUNNING, "")

    return _contained(construct)


class _Stays(Exception):
    """The plugin does not come up: its state and the reason."""


def _validated(found: Found, table: Mapping[str, Any]) -> tuple[PluginClass, PluginSettings]:
    if table.get("enabled") is False:  # not even imported
        raise _Stays(PluginState.DISABLED, "")
    plugin_class = load_class(found)
    try:
        settings = plugin_class.Settings.model_validate(dict(table))
    except ValidationError as error:
        reason = clean("; ".join(explain(error, f"plugins.{found.name}")))
        raise _Stays(PluginState.MISCONFIGURED, reason) from error
    if not settings.enabled:
        raise _Stays(PluginState.DISABLED, "")
    return plugin_class, settings


def _contained(work: Callable[[], tuple[PluginState, str]]) -> tuple[PluginState, str]:
    try:
        return work()
    except KeyboardInterrupt:
        raise
    except _Stays as verdict:
        state, reason = verdict.args
        return state, reason
    except (PluginContractError, HubError, HookTimeout) as error:
        return PluginState.BROKEN, described(error).partition(": ")[2]
    except BaseException as error:  # noqa: BLE001 - the isolation boundary: third-party code runs here
        return PluginState.BROKEN, described(error)


def explain(error: ValidationError, where: str) -> list[str]:
    """Each mistake as `table.key: what is wrong`."""
    return [f"{'.'.join((where, *map(str, one['loc'])))}: {one['msg']}" for one in error.errors()]


def _dropped(folder: Path) -> Iterator[Found]:
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        yield _misplaced(folder, f"the plugin folder {folder} cannot be read: {error.strerror}")
        return
    for path in paths:
        if path.name.startswith((".", "_")):
            continue
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py"))):
            yield find_at(path)


def _misplaced(path: Path, reason: str, *, name: str = "") -> Found:
    def refuse() -> NoReturn:
        raise PluginContractError(reason)

    return Found(name=clean(name or path.name), origin=str(path), load=refuse)


def _import(name: str, source: Path) -> Any:
    module_name = f"siarhub_plugin_{name}"
    spec = importlib.util.spec_from_file_location(
        module_name, source, submodule_search_locations=[str(source.parent)] if source.name == "__init__.py" else None
    )
    if spec is None or spec.loader is None:
        raise PluginContractError(f"{source}: not a Python module")
    _forget(module_name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(module_name)
        raise
    classes = [value for value in vars(module).values() if _is_plugin_class(value, module_name)]
    if len(classes) != 1:
        raise PluginContractError(f"{source}: needs exactly one class with `Settings`, has {len(classes)}")
    return classes[0]


def _forget(module_name: str) -> None:
    for known in [key for key in sys.modules if key == module_name or key.startswith(f"{module_name}.")]:
        del sys.modules[known]


def _is_plugin_class(value: object, module_name: str) -> bool:
    """A class of the plugin's own (a folder may keep it in a module of its own), not one that it imported."""
    return (
        isinstance(value, type)
        and hasattr(value, "Settings")
        and (value.__module__ == module_name or value.__module__.startswith(f"{module_name}."))
    )
