"""The players for a technician's terminal: a line a screen, what is wrong below it, and what to do about that.

What players said is text from outside: it is shown without control characters, and never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from plugins.videotron.player.troubles import spoken

Row = Mapping[str, Any]

STYLES = {"ok": "green", "catching up": "cyan", "trouble": "yellow", "dark on order": "cyan"}
SHOWS = {
    "fallback": "its fallback",
    "emergency": "EMERGENCY",
    "blackout": "nothing, on order",
    "code": "its enrolment code",
    "nothing": "nothing",
}
HOW_WIDE, SINCE_WIDE, FILES_WIDE = 13, 11, 11


def overview(rows: Sequence[Row], *, console: Console, zone: ZoneInfo, now: datetime) -> RenderableType:
    """All players, one below the other."""
    names = max((len(row["player"]) for row in rows), default=0)
    wide = (min(max(names, 6), 24), HOW_WIDE, 0, SINCE_WIDE, FILES_WIDE)
    left = console.width - sum(wide) - 4
    wide = (*wide[:2], max(left, 12), *wide[3:])
    parts: list[RenderableType] = [_line(("SCREEN", "", "SHOWS", "SINCE", "FILES"), wide, "bold")]
    for row in rows:
        parts.append(_line(_cells(row, zone, now), wide, "", how=_style(row)))
        parts += [_advice(problem) for problem in row["problems"]]
    return Group(*parts)


def portrait(row: Row, *, zone: ZoneInfo, now: datetime) -> RenderableType:
    """All that is known of one player."""
    parts: list[RenderableType] = [Text(_headline(row), style="bold")]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(row, zone, now):
        if value:
            facts.add_row(Text(f"  {name}"), Text(plain(value)))
    parts.append(facts)
    parts += [_advice(problem) for problem in row["problems"]]
    for one in row["rejections"]:
        said = f"refused {one['count']} x {one['attack']}, last {_when(one['last'], zone, now)}: {one['text']}"
        parts.append(_advice({"code": said, "text": "", "remedy": one["remedy"]}))
    return Group(*parts)


def how(row: Row) -> str:
    """One word, or two, for the state of a screen."""
    alarm = (row.get("shot") or {}).get("alarm")
    if alarm:
        return str(alarm).upper()
    if not row["online"]:
        return "OFFLINE" if row["last_seen"] else "NEVER HEARD"
    if row["problems"]:
        return "trouble"
    if (row["epoch_followed"], row["seq_followed"]) != (row["epoch"], row["seq"]) or row["held"] < row["wanted"]:
        return "catching up"
    return "dark on order" if row["shows"] == "blackout" else "ok"


def plain(text: object) -> str:
    """Text from outside, for a terminal: one line without control characters."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def _cells(row: Row, zone: ZoneInfo, now: datetime) -> tuple[str, ...]:
    files = f"{row['held']} of {row['wanted']}"
    if (receiving := row.get("receiving")) and receiving[1]:
        files += f" {100 * receiving[0] // receiving[1]}%"
    since = row["shows_since"] if row["online"] else row["last_seen"]
    return row["player"], how(row), _shows(row), _when(since, zone, now), files


def _shows(row: Row) -> str:
    shown = row["playing"]
    kind = SHOWS.get(row["shows"] or "", "")
    if shown:
        text = f"{shown['item']} {shown.get('title') or ''}".strip()
        text = f"{kind}: {text}" if kind else text
    else:
        text = kind or plain(row["shows"] or "")
    return text if row["online"] or not text else f"last: {text}"


def _style(row: Row) -> str:
    return STYLES.get(how(row), "bold red")


def _line(cells: Sequence[str], wide: Sequence[int], style: str, *, how: str = "") -> Text:
    line = Text(no_wrap=True, overflow="ellipsis", style=style)
    for place, (cell, width) in enumerate(zip(cells, wide, strict=True)):
        part = Text(plain(cell), style=how if place == 1 else "")
        part.truncate(width, overflow="ellipsis", pad=place < len(cells) - 1)
        line.append_text(part)
        line.append(" " if place < len(cells) - 1 else "")
    return line


def _advice(problem: Mapping[str, str]) -> RenderableType:
    said = f"{problem['code']}: {problem['text']}" if problem["text"] else problem["code"]
    text = Text.assemble((plain(said), "yellow"), "\n", ("→ " + plain(problem["remedy"]), "dim"))
    return Padding(text, (0, 0, 0, 4))


def _headline(row: Row) -> str:
    name = f" ({row['name']})" if row["name"] else ""
    return plain(f"{row['player']}{name}  {row['width']}x{row['height']}  {how(row)}")


def _facts(row: Row, zone: ZoneInfo, now: datetime) -> Iterator[tuple[str, str]]:
    machine = row["machine"] or {}
    yield "last heard", _when(row["last_seen"], zone, now) or "never"
    yield "shows", _shows(row)
    yield "since", _when(row["shows_since"], zone, now)
    yield "position", f"{row['playing']['position']:.0f} s" if row["playing"] else ""
    yield "files", f"holds {row['held']} of {row['wanted']}"
    yield "goes on alone until", _when(row["goes_on_until"], zone, now)
    yield "manifest", _versus(f"{row['epoch_followed']}/{row['seq_followed']}", f"{row['epoch']}/{row['seq']}", row)
    yield "keyset", _versus(row["keyset_followed"], row["keyset"] or row["keyset_followed"], row)
    yield "order above the schedule", _versus(row["override_followed"], row["override"], row) if row["override"] else ""
    yield "last command done", str(row["command_done"] or "")
    yield "clock", _clock(row, zone, now)
    yield "received", _received(row)
    yield "plays not told yet", str(row["proofs_waiting"] or "")
    yield "disk", f"{_bytes(row['free_bytes'])} free" if row["free_bytes"] is not None else ""
    yield "disk errors", str(machine.get("disk_errors") or "")
    yield "memory", _memory(machine)
    yield "temperature", f"{machine['temperature_c']:.0f} °C" if machine.get("temperature_c") is not None else ""
    yield "held back by heat or voltage", "yes" if machine.get("throttled") else ""
    yield "up for", f"{machine['uptime_s'] // 3600} h" if machine.get("uptime_s") is not None else ""
    yield "output", machine.get("output") or ""
    yield "decoder", machine.get("decoder") or ("software" if machine else "")
    yield "dropped frames", str(machine.get("dropped_frames", ""))
    yield "mpv", row["mpv"] or ""
    yield "software", row["software"] or ""
    yield from _shot(row, zone, now)


def _shot(row: Row, zone: ZoneInfo, now: datetime) -> Iterator[tuple[str, str]]:
    shot = row.get("shot") or {}
    if shot:
        yield "last screenshot", f"{_when(shot['at'], zone, now)}: {shot['verdict']}"
        yield "its picture", shot["picture"]
        yield "approved picture", shot["approved"]


def _versus(followed: object, issued: object, row: Row) -> str:
    if row["epoch_followed"] is None:
        return ""
    return f"{followed}" if str(followed) == str(issued) else f"{followed}, the hub's is {issued}"


def _clock(row: Row, zone: ZoneInfo, now: datetime) -> str:
    offset = row["clock_offset_s"]
    if row["clock"] is None or offset is None:
        return ""
    off = f"{spoken(timedelta(seconds=offset))} {'ahead' if offset > 0 else 'behind'}"
    way = "right" if abs(offset) < 2 else off
    return f"{_when(row['clock'], zone, now)}, {way}"


def _received(row: Row) -> str:
    if not row["received_bytes"]:
        return ""
    return f"{_bytes(row['received_bytes'])} since it started, {_bytes(row['received_bytes_per_s'] or 0)}/s now"


def _bytes(count: int) -> str:
    return f"{count >> 20} MB" if count >= 10 << 20 else f"{count / (1 << 10):.0f} kB"


def _memory(machine: Mapping[str, Any]) -> str:
    free, own = machine.get("memory_mb"), machine.get("mpv_memory_mb")
    parts = [f"{free} MB free" if free is not None else "", f"mpv holds {own} MB" if own is not None else ""]
    return ", ".join(part for part in parts if part)


def _when(moment: str | None, zone: ZoneInfo, now: datetime) -> str:
    """In the people's time: the hour today, else with the day."""
    if not moment:
        return ""
    local = datetime.fromisoformat(moment).astimezone(zone)
    return f"{local:%H:%M:%S}" if local.date() == now.astimezone(zone).date() else f"{local:%d-%m %H:%M}"
