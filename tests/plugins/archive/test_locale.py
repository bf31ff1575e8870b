from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hub.messages import catalogue

SOURCES = Path(__file__).parents[3] / "plugins" / "archive"


def messages() -> set[str]:
    calls = [
        node for path in SOURCES.glob("*.py") for node in ast.walk(ast.parse(path.read_text())) if _translates(node)
    ]
    return {call.args[0].value for call in calls}  # type: ignore[attr-defined]


def _translates(node: ast.AST) -> bool:
    name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
    return name in {"tell", "translate"}


@pytest.mark.parametrize("message", sorted(messages()))
def test_the_office_reads_every_message_in_its_language(message: str) -> None:
    blanks = dict.fromkeys(("name", "count", "reason", "path", "items", "months"), "x")

    assert catalogue("id", SOURCES)(message, **blanks) != message.format(**blanks)
