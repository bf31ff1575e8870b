from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.intake.names import (
    archive_name,
    display_name,
    free_names,
    is_ignored,
    is_numbered_from,
    is_partial,
    reason_name,
    receipt_name,
)

any_name = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda b: b"/" not in b and b"\0" not in b and b not in (b".", b".."))
    .map(os.fsdecode)
)


@settings(max_examples=200, deadline=None)
@given(any_name)
def test_every_name_is_safe_to_show_and_to_keep(name: str) -> None:
    for safe in (display_name(name), archive_name(name)):
        assert safe.encode()
        assert safe.isprintable() or " " in safe
        assert safe not in ("", ".", "..")
    assert len(archive_name(name).encode()) <= 120
    assert not set(archive_name(name)) & set('%\\<>:"/|?*')
    for suffixed in (receipt_name(name), reason_name(name)):
        assert len(os.fsencode(suffixed)) <= 255
        assert is_ignored(suffixed)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a%b:c.mp4", "abc.mp4"),
        ("CON.mp4", "_CON.mp4"),
        (" x. ", "x"),
        ("cafe\u0301.mp4", "café.mp4"),
        ("a\u2028b\x85c\n.mp4", "abc.mp4"),
        ("...", "_"),
        ("x" * 200 + ".mp4", "x" * 116 + ".mp4"),
    ],
)
def test_the_archive_name_is_legal_everywhere(name: str, kept: str) -> None:
    assert archive_name(name) == kept


def test_a_display_name_hides_what_misleads_and_shows_broken_bytes() -> None:
    assert display_name("\u202egpj.exe\n2.mp4") == "gpj.exe 2.mp4"
    assert display_name(os.fsdecode(b"rusak\xff.mp4")) == "rusak\\xff.mp4"
    assert display_name("\u202e") == "(unnamed)"


@pytest.mark.parametrize(
    "name",
    [
        "a.part",
        "A.PART",
        "a.filepart",
        "a.tmp",
        "a.crdownload",
        "~$a.docx",
        ".DS_Store",
        "._a",
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        ".syncthing.a.tmp",
        "@eaDir",
        ".x",
        "a.mp4.tanda-terima.txt",
        "a.mp4.alasan.txt",
        "BACA-SAYA.txt",
        "baca-saya.txt",
        "contoh-info.txt",
    ],
)
def test_nobodys_drops_are_ignored(name: str) -> None:
    assert is_ignored(name)


def test_ordinary_names_are_not_ignored_and_uploads_are_told_apart() -> None:
    assert not any(map(is_ignored, ["a.mp4", "partai.mp4", "info.txt", "~a.mp4", "alasan.txt"]))
    assert is_partial("a.mp4.part")
    assert not is_partial(".DS_Store")


def test_two_long_names_get_two_receipts() -> None:
    names = ["a" * 250 + "1.mp4"[:5], "a" * 250 + "2.mp4"[:5]]

    assert receipt_name(names[0]) != receipt_name(names[1])


def test_a_taken_name_gets_a_number_and_its_sidecar_the_same() -> None:
    taken = {"a.mp4", "a (2).txt"}.__contains__

    assert free_names(["a.txt", "a.mp4"], taken) == ["a (3).txt", "a (3).mp4"]
    assert free_names(["a.mp4.txt", "a.mp4"], taken) == ["a (2).mp4.txt", "a (2).mp4"]
    assert is_numbered_from("a (3).mp4", "a.mp4")
    assert not is_numbered_from("b (3).mp4", "a.mp4")
    assert len(os.fsencode(free_names(["é" * 125 + ".mp4"], lambda n: "(" not in n)[0])) <= 255
