"""Which entries of the watched folder belong together. Pure: names in, bundles out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from hub.intake.names import display_name, is_ignored, is_partial, same_name_key, stem_of
from hub.messages import Refusal

SIDECAR_ENDINGS = (".txt", ".json")


class BundleKind(StrEnum):
    MEDIA = "media"  # one media file, perhaps with its sidecar
    FOLDER = "folder"  # one item of several files
    TEXT = "text"  # a lone text: a withdrawal note, or a sidecar whose media is not there


class Entry(NamedTuple):  # thousands of them are compared in every round
    name: str  # as the system gives it
    is_folder: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is accepted or refused together. Its anchor is moved last: while it stands there, the bundle is not done."""

    kind: BundleKind
    anchor: str
    others: tuple[str, ...] = ()  # the sidecar; in a clash, all but the anchor
    sidecar: str | None = None
    awaited: bool = False  # an upload with this stem is going on
    problem: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContent:
    media: tuple[str, ...]
    sidecar: str | None
    uploads: tuple[str, ...]  # temporary names: somebody may still be copying
    problem: Refusal | None = None


def group(entries: Sequence[Entry]) -> list[Bundle]:
    """The bundles in a listing of the watched folder; ignored names are in none."""
    targets = [stem_of(entry.name) for entry in entries if not entry.is_folder and is_partial(entry.name)]
    uploads = {key for target in targets for key in (same_name_key(target), _stem(target))}
    wanted = [entry for entry in entries if not is_ignored(entry.name)]
    folders = [Bundle(kind=BundleKind.FOLDER, anchor=entry.name) for entry in wanted if entry.is_folder]
    return folders + _group_files(sorted(entry.name for entry in wanted if not entry.is_folder), uploads)


def folder_content(entries: Sequence[Entry], *, max_files: int) -> FolderContent:
    """The files of a dropped folder, its `info.txt` or `info.json` apart."""
    wanted = sorted(entry.name for entry in entries if not is_ignored(entry.name))
    sidecars = [name for name in wanted if same_name_key(name) in ("info.txt", "info.json")]
    return FolderContent(
        media=tuple(name for name in wanted if name not in sidecars),
        sidecar=sidecars[0] if sidecars else None,
        uploads=tuple(entry.name for entry in entries if is_partial(entry.name)),
        problem=_folder_problem(entries, wanted, sidecars, max_files),
    )


def _group_files(names: Sequence[str], uploads: set[str]) -> list[Bundle]:
    texts = [name for name in names if _is_text(name)]
    media = [name for name in names if not _is_text(name)]
    by_full_name = {same_name_key(name): name for name in media} if texts else {}
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in media if texts else ():
        by_stem[_stem(name)].append(name)
    owners: dict[str, list[str]] = {text: _owners(text, by_full_name, by_stem) for text in texts}
    clashes = _clashes(owners)
    clashing = {name for bundle in clashes for name in (bundle.anchor, *bundle.others)}
    sidecars = {found[0]: text for text, found in owners.items() if found and text not in clashing}
    return [
        *clashes,
        *(_media_bundle(name, sidecars.get(name)) for name in media if name not in clashing),
        *(_text_bundle(text, uploads) for text, found in owners.items() if not found),
    ]


def _owners(text: str, by_full_name: dict[str, str], by_stem: dict[str, list[str]]) -> list[str]:
    """The media files that a text may describe: of that full name, else of that stem."""
    stem = _stem(text)
    return [by_full_name[stem]] if stem in by_full_name else by_stem.get(stem, [])


def _clashes(owners: dict[str, list[str]]) -> list[Bundle]:
    """One sidecar for several media, several sidecars for one: nobody can say what is meant."""
    texts_of: dict[str, list[str]] = defaultdict(list)
    for text, found in owners.items():
        for name in found:
            texts_of[name].append(text)
    seen: set[str] = set()
    bundles = []
    for name in texts_of:
        if name in seen:
            continue
        media, texts = _connected(name, owners, texts_of)
        seen |= media
        if len(media) > 1 or len(texts) > 1:
            bundles.append(_clash(sorted(media), sorted(texts)))
    return bundles


def _connected(name: str, owners: dict[str, list[str]], texts_of: dict[str, list[str]]) -> tuple[set[str], set[str]]:
    media: set[str] = set()
    texts: set[str] = set()
    todo = [name]
    while todo:
        media.add(current := todo.pop())
        for text in texts_of[current]:
            texts.add(text)
            todo += [other for other in owners[text] if other not in media]
    return media, texts


def _clash(media: list[str], texts: list[str]) -> Bundle:
    names = ", ".join(display_name(name) for name in (*media, *texts))
    if len(media) > 1:
        problem = Refusal(
            "These files share one sidecar, so it is not clear which it describes: {names}. Put them into one folder "
            "with the text as info.txt (one item), or give each its own text, named for example video.mp4.txt.",
            names=names,
        )
    else:
        problem = Refusal("There are several sidecars for one file: {names}. Please keep one of them.", names=names)
    return Bundle(kind=BundleKind.MEDIA, anchor=media[0], others=(*texts, *media[1:]), problem=problem)


def _media_bundle(name: str, sidecar: str | None) -> Bundle:
    others = (sidecar,) if sidecar else ()
    return Bundle(kind=BundleKind.MEDIA, anchor=name, others=others, sidecar=sidecar)


def _text_bundle(text: str, uploads: set[str]) -> Bundle:
    return Bundle(kind=BundleKind.TEXT, anchor=text, awaited=_stem(text) in uploads)


def _folder_problem(
    entries: Sequence[Entry], wanted: Sequence[str], sidecars: Sequence[str], max_files: int
) -> Refusal | None:
    inner = [entry.name for entry in entries if entry.is_folder and not is_ignored(entry.name)]
    if inner:
        return Refusal(
            'The folder has another folder in it ("{name}"). A folder is one item: please put the files directly into '
            "it.",
            name=display_name(inner[0]),
        )
    if len(sidecars) > 1:
        return Refusal("The folder has more than one info text: {names}. Please keep one.", names=", ".join(sidecars))
    if len(wanted) > max_files + len(sidecars):
        return Refusal("The folder has more than {limit} files. Please split it into several items.", limit=max_files)
    return None


def _is_text(name: str) -> bool:
    return name.casefold().endswith(SIDECAR_ENDINGS)


def _stem(name: str) -> str:
    return same_name_key(stem_of(name))
