"""A plugin author can rely on the manual: every hook is explained in it, and used by a test."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hub.api import hookspecs

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "plugins.md"
HOOKS = sorted(name for name, value in vars(hookspecs).items() if name.startswith("hub_") and inspect.isfunction(value))


@cache
def implemented_in_tests() -> frozenset[str]:
    return frozenset(name for path in (ROOT / "tests").rglob("*.py") for name in hooks_of_classes(path.read_text()))


def hooks_of_classes(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield from (one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def test_there_are_hooks() -> None:
    assert "hub_deliver" in HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_has_a_docstring_that_is_its_manual(hook: str) -> None:
    assert len(inspect.getdoc(getattr(hookspecs, hook)) or "") > 40


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_is_explained_to_plugin_authors_with_its_arguments(hook: str) -> None:
    assert MANUAL.exists(), f"{MANUAL.relative_to(ROOT)} is not there yet"

    signature = re.search(rf"\b{hook}\(([^)]*)\)", MANUAL.read_text())

    assert signature, f"{hook}(...) does not stand in {MANUAL.relative_to(ROOT)}"
    missing = [name for name in inspect.signature(getattr(hookspecs, hook)).parameters if name not in signature[1]]
    assert not missing, f"docs/plugins.md: {hook} lacks {missing}"


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_is_implemented_in_some_test(hook: str) -> None:
    assert hook in implemented_in_tests(), f"no class under tests/ implements {hook}"
