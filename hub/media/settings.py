"""The `[media]` table of siarhub.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MediaSettings(BaseModel):
    """Limits on what is taken from outside, and on what the tools may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_file_mib: int = Field(8192, ge=1, description="A dropped file larger than this is refused.")
    max_duration_s: float = Field(3600.0, gt=0, description="A video or sound longer than this is refused.")
    max_pixels: int = Field(33_177_600, ge=1024, description="A video of more pixels than this (8K UHD) is refused.")
    max_still_pixels: int = Field(
        120_000_000, ge=1024, description="A still picture of more pixels than this (a phone's largest) is refused."
    )
    max_fps: float = Field(240.0, gt=0, description="A video of more frames per second than this is refused.")
    max_streams: int = Field(16, ge=1, description="A file of more streams (picture, sound, subtitles) is refused.")
    max_pages: int = Field(50, ge=1, description="A PDF or TIFF of more pages than this is refused.")
    probe_within_s: float = Field(
        60.0,
        gt=0,
        description="Looking at one file may take this long at most, counted while the processor works for it.",
    )
    transcode_within_s: float = Field(7200.0, gt=0, description="One run of ffmpeg may take this long at most.")
    stall_after_s: float = Field(60.0, gt=0, description="A run of ffmpeg without progress for this long is ended.")
    memory_mib: int = Field(3072, ge=512, description="Address space that one tool may use.")
    max_output_mib: int = Field(4096, ge=1, description="One file made by a tool may be this large at most.")
    keep_free_mib: int = Field(
        512, ge=0, description="Nothing is transcoded when it would leave less disk space than this."
    )
    keep_renditions_days: int = Field(
        30,
        ge=0,
        description="What was made for a screen or the radio is kept so long after the last item that needed it ended, "
        "for a repetition at no cost; it goes earlier when the disk is short.",
    )
    threads: int = Field(
        0, ge=0, description="Threads of one run of ffmpeg; 0 = every core, or its share while others wait."
    )
    nice: int = Field(
        10,
        ge=0,
        le=19,
        description="How far the tools stand back for other programs (nice level); an urgent item's do not.",
    )
    idle_io: bool = Field(
        True, description="Let the tools use the disk only when nobody else does (ionice idle class)."
    )
    verify_every_frame: bool = Field(
        False,
        description="Decode every picture of what was made; false: all packets are read, and all keyframes decoded.",
    )
    remux_compliant: bool = Field(
        True,
        description="Pass H.264 and sound that already fit exactly through, checked, without encoding them again.",
    )
