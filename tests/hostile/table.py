"""The table of outcomes: how many, why, the slowest and the largest, and every bug by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.hostile.outcome import Outcome, Result

MOST = 5


def passed(results: Sequence[Result]) -> bool:
    return bool(results) and not any(one.outcome.is_bug for one in results)


def as_json(results: Sequence[Result], seconds: float) -> dict[str, object]:
    """The table for machines; docs/operations.md names its keys."""
    outcomes = Counter(one.outcome.value for one in results)
    reasons = Counter((one.outcome.value, one.template) for one in results)
    return {
        "files": len(results),
        "seconds": round(seconds, 1),
        "passed": passed(results),
        "outcomes": dict(outcomes.most_common()),
        "reasons": [{"outcome": what, "reason": why, "files": count} for (what, why), count in reasons.most_common()],
        "slowest": [one.as_json for one in _most(results, "seconds")],
        "largest": [one.as_json for one in _most(results, "memory_mib")],
        "bugs": [one.as_json for one in results if one.outcome.is_bug],
    }


def as_text(results: Sequence[Result], seconds: float) -> str:
    return "\n".join(_lines(results, seconds))


def _lines(results: Sequence[Result], seconds: float) -> Iterator[str]:
    yield f"{'files':>7}  outcome"
    reasons = Counter((one.outcome, one.template) for one in results)
    for outcome in Outcome:
        count = sum(one.outcome is outcome for one in results)
        if not count and not (outcome.is_bug or outcome is Outcome.MADE):
            continue
        yield f"{count:7}  {outcome.value}{'  <- a bug' if outcome.is_bug and count else ''}"
        for (of, why), number in reasons.most_common():
            if of is outcome and why:
                yield f"{number:15}  {why[:130]}"
    yield f"{len(results):7}  in {seconds:.0f} s"
    for title, key, unit in (("slowest", "seconds", "s"), ("largest", "memory_mib", "MiB of memory")):
        yield f"The {title}:"
        for one in _most(results, key):
            yield f"{getattr(one, key):>10} {unit}  {printable(Path(one.path).name)}  ({one.outcome.value})"
    bugs = [one for one in results if one.outcome.is_bug]
    if bugs:
        yield "Bugs:"
    for one in bugs:
        yield f"  {one.outcome.value}: {printable(one.path)}: {printable(one.reason)}"


def _most(results: Sequence[Result], key: str) -> list[Result]:
    return sorted(results, key=lambda one: -getattr(one, key))[:MOST]


def printable(text: str) -> str:
    """A name from outside, without anything that a terminal obeys."""
    return "".join(char if char.isprintable() else "?" for char in text.encode(errors="replace").decode())
