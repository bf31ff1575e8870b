from __future__ import annotations

import ast
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po

import hub.intake
from hub.api import Approval, DeliveryState, ItemState, MediaKind
from hub.intake.receipts import DeliveryLine, FirstPlay, Office, render_receipt
from hub.messages import catalogue
from hub.testing import NOON, make_asset, make_item, make_media

OFFICE = Office(language="id", catalogue=catalogue("id"), zone=ZoneInfo("Asia/Makassar"))
SPEAKERS = {"Refusal", "say", "catalogue", "_catalogue", "_later"}


def test_a_receipt_tells_the_whole_story_in_the_office_s_words() -> None:
    item = make_item(approval=Approval(number="188", date=date(2026, 11, 3), approver="Kadis"), screens=("gerbang-1",))

    text = render_receipt(
        item,
        OFFICE,
        deliveries=[
            DeliveryLine(destination="gerbang-1", state=DeliveryState.PLAYED, updated_at=NOON),
            DeliveryLine(destination="radio", state=DeliveryState.FAILED, reason="pemancar mati"),
        ],
        plays=[FirstPlay(destination="gerbang-1", at=NOON), FirstPlay(destination="radio", at=NOON, on_air=True)],
        filed="2026/2026-11 November",
    )

    for line in (
        "TANDA TERIMA IP-2026-11-0001",
        "Diterima: 22 November 2026 12.00 WITA",
        "Persetujuan: 188, 3 November 2026, Kadis",
        "- gerbang-1: terbukti tayang (22 November 2026 12.00 WITA)",
        "  pemancar mati",
        "- radio: pertama mengudara 22 November 2026 12.00 WITA",
        "Diarsipkan di: 2026/2026-11 November",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"clipped": True}, "Catatan: suara a.mp4 pecah karena direkam terlalu keras."),
        ({"loudness_lufs": -70.0, "true_peak_dbtp": -120.0}, "Catatan: a.mp4 memiliki jalur suara, tetapi tidak ada"),
    ],
)
def test_what_is_wrong_with_the_sound_is_told(facts: dict[str, Any], note: str) -> None:
    item = make_item(assets=(make_asset(name="a.mp4", media=make_media(MediaKind.VIDEO, audio_codec="aac", **facts)),))

    assert note in render_receipt(item, OFFICE)


def test_how_it_comes_round_is_told_in_words() -> None:
    text = render_receipt(make_item(days=(1, 2, 3, 4, 5, 7), dayparts="22:00-05:00", share=3), OFFICE)

    assert "Hari tayang: Senin-Jumat, Minggu" in text
    assert "Jam tayang: 22:00-05:00" in text
    assert "Porsi tayang: 3 kali dalam satu putaran layar" in text
    assert "Hari tayang" not in render_receipt(make_item(), OFFICE)


@pytest.mark.parametrize(
    ("template", "said"),
    [("banjir", "Templat: banjir. Hanya tayang atas perintah darurat."), ("cadangan", "Layar menayangkannya sendiri")],
)
def test_a_template_is_told_as_kept_ready_and_not_as_shown(template: str, said: str) -> None:
    text = render_receipt(make_item(template=template), OFFICE)

    assert said in text
    assert "Keadaan: disiapkan" in text
    assert "Keadaan: ditarik" in render_receipt(make_item(template=template, state=ItemState.WITHDRAWN), OFFICE)
    assert "Disiapkan sampai: 22 Desember 2026 12.00 WITA" in text
    assert "Tayang sampai" not in text


def test_a_withdrawn_item_says_why() -> None:
    text = render_receipt(make_item(state=ItemState.WITHDRAWN), OFFICE, withdrawn_because="salah tanggal")

    assert "Keadaan: ditarik" in text
    assert "salah tanggal" in text


def test_all_that_intake_says_is_in_the_catalogue() -> None:
    folder = Path(hub.intake.__file__).parent
    with (folder.parent / "locale" / "id.po").open("rb") as file:
        known = {message.id for message in read_po(file) if message.string}
    said = {text for path in folder.glob("*.py") for text in _said_in(path)}

    assert len(said) > 60
    assert said - {"{name}: {why}"} <= known
    assert {state.value for state in (*DeliveryState, *ItemState)} <= known


def _said_in(path: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args]
    spoken = [c.args[0] for c in calls if getattr(c.func, "id", getattr(c.func, "attr", "")) in SPEAKERS]
    branches = [part for arg in spoken for part in ([arg.body, arg.orelse] if isinstance(arg, ast.IfExp) else [arg])]
    return {part.value for part in branches if isinstance(part, ast.Constant) and isinstance(part.value, str)}
