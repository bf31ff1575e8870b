from __future__ import annotations

from hub.intake.bundle import Bundle, BundleKind, Entry, folder_content, group


def files(*names: str) -> list[Entry]:
    return [Entry(name=name, is_folder=False) for name in names]


def bundles(*names: str) -> dict[str, Bundle]:
    return {bundle.anchor: bundle for bundle in group(files(*names))}


def test_a_sidecar_belongs_to_the_media_of_its_stem_or_of_its_full_name() -> None:
    found = bundles("a.mp4", "A.TXT", "b.mp4", "b.mp4.json", "c.mp4")

    assert found["a.mp4"].sidecar == "A.TXT"
    assert found["b.mp4"].sidecar == "b.mp4.json"
    assert found["c.mp4"].sidecar is None
    assert len(found) == 3


def test_names_that_look_the_same_belong_together() -> None:
    assert bundles("cafe\u0301.mp4", "café.txt")["cafe\u0301.mp4"].sidecar == "café.txt"


def test_two_media_with_one_sidecar_are_refused_together() -> None:
    (bundle,) = group(files("a.mp4", "a.mp3", "a.txt"))

    assert bundle.problem is not None
    assert {bundle.anchor, *bundle.others} == {"a.mp4", "a.mp3", "a.txt"}


def test_two_media_with_a_sidecar_each_are_two_items() -> None:
    found = bundles("a.mp4", "a.mp3", "a.mp4.txt", "a.mp3.txt")

    assert {name: bundle.sidecar for name, bundle in found.items()} == {"a.mp4": "a.mp4.txt", "a.mp3": "a.mp3.txt"}


def test_two_sidecars_for_one_media_are_refused() -> None:
    (bundle,) = group(files("a.mp4", "a.txt", "a.json"))

    assert bundle.problem is not None


def test_a_lone_text_is_its_own_bundle_and_knows_of_a_running_upload() -> None:
    found = bundles("tarik.txt", "b.txt", "b.mp4.part", "a.mp4.alasan.txt")

    assert {name: (b.kind, b.awaited) for name, b in found.items()} == {
        "tarik.txt": (BundleKind.TEXT, False),
        "b.txt": (BundleKind.TEXT, True),
    }


def test_a_folder_has_its_sidecar_apart() -> None:
    content = folder_content(files("a.mp4", "b.mp3", "INFO.txt", "Thumbs.db", "c.mp4.part"), max_files=2)

    assert content.media == ("a.mp4", "b.mp3")
    assert content.sidecar == "INFO.txt"
    assert content.uploads == ("c.mp4.part",)
    assert content.problem is None


def test_a_folder_with_too_many_files_a_folder_or_two_infos_is_refused() -> None:
    assert folder_content(files("a", "b", "c"), max_files=2).problem
    assert folder_content([Entry(name="x", is_folder=True)], max_files=2).problem
    assert folder_content(files("info.txt", "info.json"), max_files=2).problem
