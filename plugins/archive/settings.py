"""`[plugins.archive]`: where the archive stands and what it writes about the office."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hub.api import MediaKind, PluginSettings


class MediaFolders(BaseModel):
    """`[plugins.archive.media_folders]`: what the folders inside a month are called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: str = Field("Video", pattern=r"^[\w][\w -]{0,38}[\w]$", description="Folder of items with a video.")
    audio: str = Field("Radio", pattern=r"^[\w][\w -]{0,38}[\w]$", description="Folder of items with sound only.")
    image: str = Field("Foto", pattern=r"^[\w][\w -]{0,38}[\w]$", description="Folder of items with pictures only.")
    document: str = Field(
        "Dokumen", pattern=r"^[\w][\w -]{0,38}[\w]$", description="Folder of items with documents only."
    )

    def of(self, kind: MediaKind) -> str:
        """The folder of one kind of media."""
        return str(getattr(self, kind.value))


class ArchiveSettings(PluginSettings):
    """Settings of the archive; every default is usable as it is."""

    folder: Path = Field(
        Path("Arsip"),
        description="The archive: a folder under the people's root, or an absolute path; people only read it.",
    )
    organization: str = Field(
        "Dinas Komunikasi dan Informatika Provinsi Kalimantan Selatan",
        description="Source-Organization in each month's bag-info.txt.",
    )
    unit: str = Field(
        "Seksi Pengelolaan Informasi Publik dan Media",
        description="The unit that holds the information, written in each item's record and in the list.",
    )
    legal_basis: str = Field(
        "Keputusan Gubernur 188.44/0041/KUM/2020, langkah 12",
        description="What the monthly folder carries out, written in bag-info.txt.",
    )
    retention: str = Field(
        "belum ditetapkan",
        description="Retention as it is printed in the list, until a JRA is set; nothing is ever deleted by it.",
    )
    keep_free_mb: int = Field(
        500, ge=0, description="Filing waits while less than this many megabytes would stay free on the archive's disk."
    )
    refresh_every_s: float = Field(
        5.0, ge=0, le=3600, description="The month's list is brought up to date at most this often, in seconds."
    )
    retry_every_s: float = Field(
        60.0, gt=0, le=3600, description="How often filing that could not be done is tried again, in seconds."
    )
    media_folders: MediaFolders = Field(MediaFolders(), description="Names of the media folders inside a month.")

    def place(self, root: Path) -> Path:
        """The archive's folder, below `root` unless it is an absolute path."""
        return root / self.folder
