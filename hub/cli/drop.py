"""What the hub would make of a file or folder if it were dropped: its draft, or the reason of its refusal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hub.api import Asset, Channel, Draft, MediaKind
from hub.api.files import sha256_of
from hub.intake.approval import Refused, judge_approval
from hub.intake.bundle import Entry, folder_content, group
from hub.intake.desk import ClaimedFile, Submission
from hub.intake.draft import make_draft
from hub.intake.evidence import refuse_odd_kinds
from hub.intake.names import display_name
from hub.intake.settings import ApprovalLevel
from hub.intake.sidecar import Sidecar, parse_sidecar
from hub.intake.sidecar_text import MAX_BYTES
from hub.media.loudness import check_audio
from hub.media.probe import probe
from hub.messages import Catalogue, Refusal
from hub.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """`notes` say what a person must still add before it is accepted."""

    draft: Draft
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    files: tuple[Path, ...]
    sidecar: Sidecar | None = None
    folder: bool = False
    clash: Refusal | None = None


async def look_at(path: Path, settings: Settings, say: Catalogue) -> Drop:
    """Look at a file with its sidecar, or a folder, as the intake does; nothing is moved, kept or written.

    Raises: Refusal, OSError, HubError.
    """
    found = await asyncio.to_thread(_find, path, settings)
    made = [await _asset(file, path, settings, say) for file in found.files]
    assets = list({asset.sha256: asset for asset in made}.values())
    draft = make_draft(
        _submission(path, assets, found.sidecar, folder=found.folder),
        assets,
        level=ApprovalLevel.NONE,
        default_days=settings.intake.default_days,
        now=datetime.now(UTC),
        zone=settings.hub.zone,
    )
    draft = await _heard(draft, settings) if Channel.RADIO in draft.channels else draft
    why_not = (found.clash, _unapproved(found.sidecar, settings))
    return Drop(draft=draft, notes=tuple(refusal.say(say) for refusal in why_not if refusal))


def _find(path: Path, settings: Settings) -> _Found:
    return _in_folder(path, settings) if path.is_dir() else _beside(path, settings)


def _in_folder(folder: Path, settings: Settings) -> _Found:
    content = folder_content(_listing(folder), max_files=settings.intake.max_files_per_folder)
    if content.problem:
        raise content.problem
    if not content.media:
        raise Refusal("The folder has no media file. Please put the files into it.")
    sidecar = _read(folder / content.sidecar, settings) if content.sidecar else None
    return _Found(files=tuple(folder / name for name in content.media), sidecar=sidecar, folder=True)


def _beside(file: Path, settings: Settings) -> _Found:
    """The file, with the sidecar that stands beside it and means it."""
    try:
        bundles = group([Entry(name=file.name, is_folder=False), *_listing(file.parent, but=file.name)])
    except OSError:  # the folder may be closed to us though the file is not
        bundles = []
    bundle = next((one for one in bundles if file.name in (one.anchor, *one.others)), None)
    if bundle is None or bundle.sidecar == file.name:
        return _Found(files=(file,))
    means_it = bundle.anchor == file.name
    sidecar = _read(file.parent / bundle.sidecar, settings) if bundle.sidecar and means_it else None
    return _Found(files=(file,), sidecar=sidecar, clash=bundle.problem)


def _listing(folder: Path, *, but: str = "") -> list[Entry]:
    with os.scandir(folder) as entries:
        return [Entry(name=e.name, is_folder=e.is_dir(follow_symlinks=False)) for e in entries if e.name != but]


def _read(path: Path, settings: Settings) -> Sidecar:
    refuse_odd_kinds(path.stat())
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    return parse_sidecar(data, is_json=path.suffix.casefold() == ".json", zone=settings.hub.zone)


async def _asset(file: Path, dropped: Path, settings: Settings, say: Catalogue) -> Asset:
    name, real = display_name(file.name), await asyncio.to_thread(file.resolve)
    try:
        refuse_odd_kinds(await asyncio.to_thread(real.stat))  # a pipe would keep us for ever
        media = await probe(real, settings=settings.media)
    except Refusal as refusal:
        if file == dropped:
            raise
        raise Refusal("{file}: {reason}", file=name, reason=refusal.say(say)) from refusal
    return Asset(sha256=await asyncio.to_thread(sha256_of, real), path=real, original_name=name, media=media)


def _submission(path: Path, assets: Sequence[Asset], sidecar: Sidecar | None, *, folder: bool) -> Submission:
    files = tuple(
        ClaimedFile(
            sha256=one.sha256, vault_path=one.path, original_name=one.original_name, size_bytes=one.media.size_bytes
        )
        for one in assets
    )
    return Submission(name=display_name(path.name), files=files, sidecar=sidecar, folder=folder)


async def _heard(draft: Draft, settings: Settings) -> Draft:
    """What would be aired is measured, as the desk does before it accepts."""
    voiced = [asset for asset in draft.assets if asset.media.has_sound]
    spoken = next((asset for asset in voiced if asset.media.kind is MediaKind.AUDIO), voiced[0])
    measured = await check_audio(spoken.path, settings=settings.media, track=spoken.media.audio_track)
    media = replace(spoken.media, loudness_lufs=measured.integrated_lufs, true_peak_dbtp=measured.true_peak_dbtp)
    assets = tuple(replace(asset, media=media) if asset is spoken else asset for asset in draft.assets)
    return replace(draft, assets=assets)


def _unapproved(sidecar: Sidecar | None, settings: Settings) -> Refusal | None:
    today = datetime.now(settings.hub.zone).date()
    verdict = judge_approval(sidecar, settings.approval.level, today=today)
    return verdict.why if isinstance(verdict, Refused) else None
