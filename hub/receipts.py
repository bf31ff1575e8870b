"""Keeps receipts true: beside each accepted original a text says what has become of it, and is brought up to date."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from hub.api import Channel, DeliveryChanged, Filed, ItemChanged, ItemNumber, ItemState, JournalEntry
from hub.api.files import write_atomically
from hub.intake.names import receipt_name
from hub.intake.receipts import DeliveryLine, FirstPlay, Office, render_receipt
from hub.ledger import deliveries, facts, items
from hub.ledger.database import Database
from hub.messages import Catalogue

_TELLING = ItemChanged | DeliveryChanged | Filed
_FULL = (errno.ENOSPC, errno.EDQUOT)
log = structlog.get_logger("receipts")


class ReceiptWriter:
    """Writes `<full name>.tanda-terima.txt`; an observer of the journal like any other."""

    def __init__(self, database: Database, catalogue: Catalogue, zone: ZoneInfo, language: str) -> None:
        self._database = database
        self._office = Office(language=language, catalogue=catalogue, zone=zone)

    async def text(self, number: ItemNumber) -> str:
        """The receipt as of now."""
        return await self._database.read(self._render, number)

    async def observe(self, entries: Sequence[JournalEntry]) -> None:
        """Bring up to date the receipts of the items that these facts are about, each once."""
        await self.bring_up_to_date({entry.fact.item for entry in entries if isinstance(entry.fact, _TELLING)})

    async def bring_up_to_date(self, numbers: Iterable[ItemNumber]) -> None:
        for number in sorted(numbers):
            receipt = await self._database.read(self._receipt, number)
            if receipt is not None:
                await self._write(*receipt)

    async def _write(self, target: Path, text: str) -> None:
        try:
            await asyncio.to_thread(_write, target, text)
        except OSError as error:
            if error.errno in _FULL:
                raise  # tried again when there is space
            # One folder that somebody has closed must not keep all other receipts old.
            log.warning("receipt_not_written", path=str(target), error=error.strerror)

    def _receipt(self, db: sqlite3.Connection, number: ItemNumber) -> tuple[Path, str] | None:
        """Where the original stands, and its receipt; None while nobody knows where it stands."""
        target = items.target_of(db, number)
        return None if target is None else (Path(target), self._render(db, number))

    def _render(self, db: sqlite3.Connection, number: ItemNumber) -> str:
        item = items.get(db, number)
        if item is None:
            return ""
        rows = deliveries.of_item(db, number)
        radio = {row.delivery.destination for row in rows if row.plugin == Channel.RADIO}
        filed = facts.last_of(db, number, Filed)
        return render_receipt(
            item,
            self._office,
            deliveries=[
                DeliveryLine(
                    destination=row.delivery.destination, state=row.state, reason=row.reason, updated_at=row.updated_at
                )
                for row in rows
            ],
            plays=[
                FirstPlay(destination=total.destination, at=total.first_at, on_air=total.destination in radio)
                for total in facts.totals(db, number)
            ],
            filed=filed.fact.path if filed and isinstance(filed.fact, Filed) else None,
            withdrawn_because=items.reason_of(db, item) if item.state is ItemState.WITHDRAWN else "",
        )


def _write(target: Path, text: str) -> None:
    """Beside the original; where somebody has moved it away, there is no receipt to keep."""
    receipt = target.with_name(receipt_name(target.name))
    if target.exists() and not _says(receipt, text):
        write_atomically(receipt, text, mode=0o664)


def _says(receipt: Path, text: str) -> bool:
    """Whether it stands there already; a link or a pipe that somebody has put in its place does not count."""
    return receipt.is_file() and not receipt.is_symlink() and receipt.read_bytes() == text.encode()
