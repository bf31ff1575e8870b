"""The intake's part of siarhub.toml: `[intake]`, `[approval]`, `[folders]`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

GIB = 1 << 30


class ApprovalLevel(StrEnum):
    NONE = "none"  # dropped = approved
    RECORD = "record"  # the sidecar names approval number, date and approver


class SameBytes(StrEnum):
    REFUSE = "refuse"  # answered with the first item's number
    REPEAT = "repeat"  # "siarkan ulang": a new item that refers to the first


class FolderTimes(BaseModel):
    """`[folders.also."NAME"]`: what differs there from `[intake]`; a key that is left out is as there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quiet_for_s: float | None = Field(None, ge=0, description="As [intake] quiet_for_s.")
    quiet_without_lease_s: float | None = Field(None, gt=0, description="As [intake] quiet_without_lease_s.")
    incomplete_wait_s: float | None = Field(None, ge=0, description="As [intake] incomplete_wait_s.")
    folder_quiet_s: float | None = Field(None, gt=0, description="As [intake] folder_quiet_s.")
    sidecar_wait_s: float | None = Field(None, ge=0, description="As [intake] sidecar_wait_s.")
    poll_every_s: float | None = Field(None, gt=0, description="As [intake] poll_every_s.")


class FolderNames(BaseModel):
    """`[folders]`: what people's folders are called under the root."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approved: str = Field("Disetujui", description="Watched: approved content is dropped here.")
    accepted: str = Field("Diterima", description="Accepted originals with their receipts, a folder a month.")
    refused: str = Field("Ditolak", description="Refused files, each with the reason beside it.")

    also: dict[str, FolderTimes] = Field(
        default_factory=dict, description="A further watched folder under the root; a network mount may stand there."
    )

    @property
    def watched(self) -> dict[str, FolderTimes]:
        """All watched folders by name, the first one first."""
        return {self.approved: FolderTimes(), **self.also}

    @field_validator("approved", "accepted", "refused")
    @classmethod
    def _one_plain_name(cls, name: str) -> str:
        if not name.strip() or name.startswith(".") or "/" in name or "\0" in name:
            raise ValueError("must be one plain folder name, without '/' and without a leading dot")
        return name

    @field_validator("also")
    @classmethod
    def _plain_names(cls, also: dict[str, FolderTimes]) -> dict[str, FolderTimes]:
        for name in also:
            cls._one_plain_name(name)
        return also

    @model_validator(mode="after")
    def _all_different(self) -> Self:
        names = [name.casefold() for name in (self.approved, self.accepted, self.refused, *self.also)]
        if len(set(names)) < len(names):
            raise ValueError("every folder needs a name of its own")
        return self


class ApprovalSettings(BaseModel):
    """`[approval]`: what proof of approval a dropped file needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: ApprovalLevel = Field(
        ApprovalLevel.RECORD,
        description='"record": the sidecar names approval number, date and approver; "none": dropped means approved.',
    )


class IntakeSettings(BaseModel):
    """`[intake]`: when a dropped file is complete, and what is too much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quiet_for_s: float = Field(
        1.0, ge=0, description="A file is complete when nobody writes it and it was unchanged so long."
    )
    quiet_without_lease_s: float = Field(
        10.0,
        gt=0,
        description="The same where that cannot be seen: on network mounts, and of media that look the same half and "
        "whole (FLAC, TS).",
    )
    incomplete_wait_s: float = Field(
        120.0,
        ge=0,
        description="How long a file whose end is missing may stay unchanged before it is looked at as it is.",
    )
    folder_quiet_s: float = Field(
        3.0, gt=0, description="A dropped folder is complete when all in it was unchanged so long."
    )
    sidecar_wait_s: float = Field(30.0, ge=0, description="How long a media file and its sidecar wait for each other.")
    empty_folder_wait_s: float = Field(300.0, ge=0, description="How long an empty folder may wait for its files.")
    rescan_every_s: float = Field(300.0, gt=0, description="The watched folder is looked through at least so often.")
    canary_every_s: float = Field(
        60.0, gt=0, description="How often the hub drops a hidden file itself, to see whether drops are noticed."
    )
    poll_every_s: float = Field(
        5.0, gt=0, description="The same where the kernel announces no changes (network mounts)."
    )
    retry_after_s: float = Field(60.0, gt=0, description="When to try again what could not be read or moved.")
    min_free_bytes: int = Field(GIB, ge=0, description="Intake pauses while a disk has less free space than this.")
    same_bytes: SameBytes = Field(
        SameBytes.REFUSE,
        description='The same file again without a new sidecar: "refuse" names the first item, '
        '"repeat" makes a new one.',
    )
    max_file_bytes: int = Field(8 * GIB, gt=0, description="A larger file is refused.")
    max_files_per_folder: int = Field(50, gt=0, description="A dropped folder with more files is refused.")
    at_once: int = Field(
        2,
        ge=1,
        le=16,
        description="How many dropped files of one folder are handled at the same time; one more when it is urgent.",
    )
    default_days: int = Field(30, ge=1, description="How long an item is shown when its sidecar names no end.")
