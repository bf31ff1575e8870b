from __future__ import annotations

import unicodedata

import pytest

from plugins.archive.bag import Bag
from plugins.archive.months import Month
from plugins.archive.names import safe_file_name, safe_name, same_key, unique_name
from plugins.archive.payload import PayloadFile
from plugins.archive.settings import ArchiveSettings
from plugins.archive.texts import tag_files

NASTY = {
    "-i.mp4": "-i.mp4",
    "%d.jpg": "d.jpg",
    "a%0Ab.txt": "a 0Ab.txt",
    " lead.mp4": "lead.mp4",
    "trail .mp4 ": "trail.mp4",
    "dots...": "dots",
    ".hidden": "hidden",
    "new\nline\r.mp4": "new line.mp4",
    "tab\tbell\x07.mp4": "tab bell.mp4",
    "u2028\u2028x.mp4": "u2028 x.mp4",
    "nel\x85x\x0b\x1cy.mp4": "nel x y.mp4",
    "nbsp\u00a0.mp4": "nbsp.mp4",
    "rtl\u202egpj.exe": "rtlgpj.exe",
    "../../etc/passwd": "etc passwd",
    "C:\\Windows\\x.mp4": "C Windows x.mp4",
    'a<b>c:"d|e?f*.mp4': "a b c d e f.mp4",
    "CON.mp4": "_CON.mp4",
    "lpt1": "_lpt1",
    "\ud800bad.mp4": "bad.mp4",
    "???": "tanpa nama",
    "": "tanpa nama",
    "Jum\u2019at \U0001f600 \u0639\u0631\u0628\u064a.mp4": "Jum\u2019at \U0001f600 \u0639\u0631\u0628\u064a.mp4",
    unicodedata.normalize("NFD", "é.mp4"): "é.mp4",
}


@pytest.mark.parametrize(("original", "safe"), NASTY.items(), ids=[ascii(name) for name in NASTY])
def test_a_nasty_name_becomes_a_safe_one(original: str, safe: str) -> None:
    assert safe_file_name(original) == safe


@pytest.mark.parametrize("char", ["a", "é", "漢", "😀"])
def test_a_long_name_keeps_its_suffix_within_the_limit(char: str) -> None:
    name = safe_file_name(char * 300 + ".mp4", max_bytes=60)

    assert name.endswith(".mp4")
    assert 50 < len(name.encode()) <= 60


def test_names_equal_but_for_case_or_composition_are_told_apart() -> None:
    taken = {same_key("rekam.json")}

    names = [unique_name(safe_file_name(n), taken) for n in ("Rekam.JSON", "É.mp4", "e\u0301.mp4", "STRASSE", "straße")]

    assert names == ["Rekam (2).JSON", "É.mp4", "é (2).mp4", "STRASSE", "straße (2)"]
    assert len({same_key(name) for name in names}) == 5


def test_a_title_that_is_only_rubbish_still_gives_a_name() -> None:
    assert safe_name("\x00\x01/\\") == "tanpa nama"


def test_every_nasty_name_can_be_filed_and_verified(tmp_path, check_bag) -> None:
    bag = Bag(tmp_path)
    taken: set[str] = set()
    files = [
        PayloadFile(name=unique_name(safe_file_name(name), taken), source=name.encode(errors="replace"))
        for name in NASTY
    ]
    bag.append("data", files, tag_files(ArchiveSettings(), Month(2026, 11), "2026-11-22"))

    assert len(bag.manifest()) == len(NASTY)
    check_bag(tmp_path)


async def test_items_with_nasty_names_are_filed_with_their_original_names_in_the_record(
    archive, check_bag, played, month_folder
) -> None:
    item = archive.add_item(names=tuple(NASTY), title="../..\nJudul %0A " + "panjang " * 40)

    await archive.plugin.hub_facts(entries=archive.tell(played()))

    check_bag(month_folder)
    (record,) = month_folder.glob("data/Video/*/rekam.json")
    assert all(len(str(path.relative_to(archive.root))) <= 200 for path in month_folder.rglob("*"))
    assert record.read_text().count('"nama_asli"') == len(item.assets)
