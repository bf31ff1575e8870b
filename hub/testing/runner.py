"""Runs the contract without pytest: on a server there is none. A check that never ends is named with its place."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from inspect import signature
from pathlib import Path
from typing import Any
from unittest import SkipTest

from hub.plugin_host.loader import find_at, load_class
from hub.plugin_host.replies import described
from hub.testing.contract import PluginContract
from hub.testing.trial import ContractBroken

CHECK_WITHIN_S = 120.0


class Verdict(StrEnum):
    OK = "ok"
    SKIPPED = "skipped"  # could not be tried; the reason says why
    FAILED = "failed"
    HUNG = "hung"  # never came back: its thread still runs, nothing after it was tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one check."""

    rule: str
    verdict: Verdict
    reason: str = ""


def load_plugin_at(path: Path) -> Any:
    """The plugin class in a file or folder, imported as the hub imports it."""
    return load_class(find_at(path))


def run_checks(contract: type[PluginContract], folder: Path) -> Iterator[Result]:
    """Try every rule in turn, each in a folder of its own."""
    for name in _names(contract):
        place = folder / name
        place.mkdir()
        check = getattr(contract(), name)
        result = run_check(check.__doc__ or name, lambda check=check, place=place: _call(check, place))  # type: ignore[misc]
        yield result
        if result.verdict is Verdict.HUNG:
            return


def run_check(rule: str, check: Callable[[], object], within_s: float = CHECK_WITHIN_S) -> Result:
    """Try one rule in a thread, so that a plugin that blocks for ever can be named and left behind."""
    results: list[tuple[Verdict, str]] = []
    thread = threading.Thread(target=lambda: results.append(_judge(check)), name=rule, daemon=True)
    thread.start()
    thread.join(within_s)
    if not results:
        frame = sys._current_frames().get(thread.ident or 0)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"
        return Result(rule=rule, verdict=Verdict.HUNG, reason=f"still busy after {within_s:g} s, at {place}")
    verdict, reason = results[0]
    return Result(rule=rule, verdict=verdict, reason=reason)


def _names(contract: type[PluginContract]) -> list[str]:
    classes = [one for one in reversed(contract.__mro__) if issubclass(one, PluginContract)]
    return list(dict.fromkeys(name for one in classes for name in vars(one) if name.startswith("test_")))


def _call(check: Callable[..., object], folder: Path) -> None:
    check(folder) if signature(check).parameters else check()


def _judge(check: Callable[[], object]) -> tuple[Verdict, str]:
    try:
        check()
    except SkipTest as reason:
        return Verdict.SKIPPED, str(reason)
    except ContractBroken as error:
        return Verdict.FAILED, str(error)
    except BaseException as error:  # noqa: BLE001 - the isolation boundary: the plugin on trial runs here
        return Verdict.FAILED, f"{described(error)}{_place(error)}"
    return Verdict.OK, ""


def _place(error: BaseException) -> str:
    """The last line outside the hub that the exception came through: the author's own."""
    ours = str(Path(__file__).parents[1])
    lines = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(ours)]
    own = [one for one in lines if "lib/python" not in one.filename]
    return f" (at {own[-1].filename}:{own[-1].lineno})" if own else ""
