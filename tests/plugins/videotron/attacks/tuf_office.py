"""The same office, as a TUF repository in memory, and python-tuf's client as the player."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Key, Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater

from plugins.videotron.protocol import Keyset, Manifest, SigningKey

logging.getLogger("tuf").setLevel(logging.ERROR)
ONLINE_ROLES = ("timestamp", "snapshot", "targets")
Files = Mapping[str, bytes]  # by name: "timestamp", "snapshot", "targets"


def signer(key: SigningKey) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(key.secret))


def root_of(keyset: Keyset, roots: list[SigningKey], online: SigningKey, *signers: SigningKey) -> bytes:
    """The keyset as root metadata: our online key signs for the three online roles."""
    keys: dict[str, Key] = {}
    root = Root(version=keyset.version, expires=_whole(keyset.expires), keys=keys, consistent_snapshot=False)
    for key in roots:
        root.add_key(signer(key).public_key, Root.type)
    root.roles[Root.type].threshold = keyset.root.threshold
    for role in ONLINE_ROLES:
        root.add_key(signer(online).public_key, role)
    return _signed(root, *signers)


def files_of(manifest: Manifest, *signers: SigningKey) -> dict[str, bytes]:
    """The manifest as timestamp, snapshot and targets of its version, all signed by the online key."""
    expires = _whole(manifest.expires)
    targets = Targets(version=manifest.seq, expires=expires)
    for film in manifest.files():
        targets.targets[film.cid] = TargetFile(film.size, {"sha256": film.sha256}, film.cid)
    snapshot = Snapshot(version=manifest.seq, expires=expires)
    snapshot.meta["targets.json"].version = manifest.seq
    timestamp = Timestamp(version=manifest.seq, expires=expires)
    timestamp.snapshot_meta.version = manifest.seq
    made: dict[str, Signed] = {"timestamp": timestamp, "snapshot": snapshot, "targets": targets}
    return {name: _signed(document, *signers) for name, document in made.items()}


@dataclass
class TufScreen(FetcherInterface):
    """A player that runs python-tuf's whole client workflow on what the broker brings it."""

    folder: Path
    first_root: bytes
    now: datetime
    roots: dict[int, bytes] = field(default_factory=dict)  # what the broker brings
    files: Files = field(default_factory=dict)
    shown: frozenset[str] | None = None  # hashes of the films in what was accepted last

    def take(self, roots: Mapping[int, bytes], files: Files) -> bool:
        """Whether a refresh with these files succeeds."""
        self.roots, self.files = dict(roots), files
        client = Updater(str(self.folder), "mem://hub/", fetcher=self, bootstrap=self.first_root)
        client._trusted_set.reference_time = self.now  # python-tuf's tests patch datetime for this
        with suppress(RepositoryError, DownloadError):
            client.refresh()
            self.shown = frozenset(target.hashes["sha256"] for target in client._trusted_set.targets.targets.values())
            return True
        return False

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix("mem://hub/").removesuffix(".json")
        version, _, role = name.rpartition(".")
        found = self.roots.get(int(version)) if role == "root" else self.files.get(name)
        if found is None:
            raise DownloadHTTPError(f"no {name}", 404)
        return iter([found])


def _whole(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _signed(document: Signed, *signers: SigningKey) -> bytes:
    metadata = Metadata(document)
    for key in signers:
        metadata.sign(signer(key), append=True)
    return metadata.to_bytes()
