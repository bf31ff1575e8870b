import ast
import re
from pathlib import Path

import pytest

import hub.media
from hub.messages import catalogue

PLACE = re.compile(r"\{(\w+)\}")


def messages() -> set[str]:
    """Every catalogue entry in hub.media: what a Refusal is made of, and the constants of planner and failures."""
    found = set()
    for path in Path(hub.media.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            value = None
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                value = node.args[0]
            elif isinstance(node, ast.Assign) and path.stem in ("planner", "failures"):
                value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.endswith("."):
                found.add(value.value)
    return found


@pytest.mark.parametrize("message", sorted(messages()))
def test_every_message_of_the_media_part_exists_in_indonesian_with_the_same_places(message):
    values = {name: f"<{name}>" for name in PLACE.findall(message)}

    said = catalogue("id")(message, **values)

    assert said != message.format(**values)
    assert {f"<{name}>" for name in values} == set(re.findall(r"<\w+>", said))
