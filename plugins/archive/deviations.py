"""The month's list of deviations from the SOP: what was ordered for the screens or the air without the usual approval.

Read from the month's own events, so that it can be made again at any time.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from plugins.archive.months import Month
from plugins.archive.report import safe_cell

COLUMNS = ("No", "Waktu", "Perintah", "Diperintah oleh", "Alasan", "Dilaksanakan", "Hasil", "Nomor urut peristiwa")
WORDS = {"emergency": "siaran darurat", "blackout": "layar dipadamkan", "clear": "kembali ke jadwal"}


def deviations_name(month: Month) -> str:
    """The name of the list in `berjalan/`."""
    return f"Daftar Penyimpangan {month}.csv"


def deviations_csv(events: Path) -> bytes:
    """The emergency orders in a month's events, carried out or refused, as CSV; b"" when there were none. Blocks."""
    rows = [row for line in _lines(events) if (row := _row(line))]
    if not rows:
        return b""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows, start=1):
        writer.writerow([safe_cell(cell) for cell in (str(number), *row)])
    return buffer.getvalue().encode("utf-8-sig")


def _lines(events: Path) -> list[dict[str, Any]]:
    found = []
    for line in events.read_bytes().splitlines() if events.is_file() else []:
        if b'"OrderGiven"' not in line:
            continue
        try:
            found.append(json.loads(line))
        except ValueError:  # a line that a disk has spoiled: the others count
            continue
    return found


def _row(line: dict[str, Any]) -> tuple[str, ...] | None:
    order = line.get("isi", {})
    plugin, _, word = str(order.get("name", "")).partition(".")
    if line.get("peristiwa") != "OrderGiven" or word not in WORDS:
        return None
    return (
        str(line.get("waktu", "")),
        f"{WORDS[word]} ({plugin})",
        str(order.get("who", "")),
        str(order.get("why", "")),
        "ya" if order.get("done") else "tidak",
        str(order.get("outcome", "")),
        str(line.get("seq", "")),
    )
