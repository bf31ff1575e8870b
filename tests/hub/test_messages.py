"""What office staff read exists in Indonesian, with the same blanks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.messages import Refusal, catalogue

HUB = Path(__file__).parents[2] / "hub"
SPEAKERS = {"Refusal", "say", "_say", "catalogue", "_catalogue", "_later", "tell"}
BLANK = re.compile(r"\{(\w+)(:[^}]*)?\}")


def spoken() -> dict[str, str]:
    """Every text that hub code hands to a catalogue -> where."""
    found = {}
    for path in sorted(set(HUB.rglob("*.py")) - set((HUB / "demo").glob("*.py"))):  # the demo speaks to technicians
        for text, line in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            found[text] = f"{path.relative_to(HUB.parent)}:{line}"
    return found


def _texts(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in SPEAKERS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and _has_words(first.value):
                yield first.value, node.lineno


def _has_words(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]", BLANK.sub("", text))) and " " in text


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def test_the_search_finds_what_the_hub_says() -> None:
    assert len(spoken()) > 50


@pytest.mark.parametrize("message", sorted(spoken()))
def test_every_message_of_the_hub_exists_in_indonesian_with_the_same_blanks(message: str) -> None:
    blanks = dict(BLANK.findall(message))
    values = {name: 1234.5 + number if format else f"<{name}>" for number, (name, format) in enumerate(blanks.items())}

    said = catalogue("id")(message, **values)

    assert said != message.format(**values), spoken()[message]
    for name, format in blanks.items():
        assert f"{{0{format}}}".format(values[name]) in said, spoken()[message]


def test_a_message_without_a_translation_stays_english() -> None:
    assert catalogue("id")("Nobody wrote {this}.", this="it") == "Nobody wrote it."


def test_a_language_without_a_catalogue_is_english(tmp_path: Path) -> None:
    assert catalogue("en")("There is no item {number}.", number=7) == "There is no item 7."
    assert catalogue("id", tmp_path)("plain") == "plain"


def test_values_from_outside_are_never_taken_for_blanks() -> None:
    refusal = Refusal("{file}: {reason}", file="{0} {evil}", reason="%s")

    assert refusal.say(catalogue("id")) == "{0} {evil}: %s"
    assert str(refusal) == "{0} {evil}: %s"
