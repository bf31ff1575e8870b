"""A profile as text and as a short stable name: what the ledger keeps, and what makes two wishes the same wish."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import Any

from hub.api.models import AudioProfile, Fit, Pages, Profile, Sha256, ThumbnailProfile, VideoProfile

_KINDS: dict[str, type[VideoProfile | AudioProfile | ThumbnailProfile]] = {
    "video": VideoProfile,
    "audio": AudioProfile,
    "thumbnail": ThumbnailProfile,
}
_NAMES = {profile_class: name for name, profile_class in _KINDS.items()}
_ENUMS: dict[str, type[Fit] | type[Pages]] = {"fit": Fit, "pages": Pages}


def in_words(profile: Profile) -> str:
    """The profile in a few words, for people: `1280x720 H.264`, `mp3 at -16 LUFS`."""
    if isinstance(profile, AudioProfile):
        return f"{profile.container} at {profile.loudness_lufs:g} LUFS"
    kind = "H.264" if isinstance(profile, VideoProfile) else "JPEG"
    return f"{profile.width}x{profile.height} {kind}"


def profile_to_json(profile: Profile) -> str:
    """The profile as canonical JSON: keys sorted, no spaces, numbers of float fields always as floats."""
    values = {field.name: _plain(field.type, getattr(profile, field.name)) for field in fields(profile)}
    return json.dumps(
        {"kind": _NAMES[type(profile)], **values}, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )


def profile_from_json(text: str) -> Profile:
    """The profile that `profile_to_json` wrote; fields that a newer version added get their defaults.

    Raises: ValueError for anything else.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        profile_class = _KINDS[values.pop("kind")]
        for name in _ENUMS.keys() & values.keys():
            values[name] = _ENUMS[name](values[name])
        return profile_class(**values)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a profile: {text[:200]!r} ({error})") from error


def profile_digest(profile: Profile) -> Sha256:
    """SHA-256 of the canonical JSON: equal profiles have equal digests, on every machine and after a restart."""
    return Sha256(hashlib.sha256(profile_to_json(profile).encode()).hexdigest())


def _plain(declared: object, value: Any) -> Any:
    # 10 and 10.0 are equal profiles, so they must be equal text too.
    return float(value) if declared in ("float", float) else value
