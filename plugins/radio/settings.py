"""What `[plugins.radio]` may say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from hub.api import AudioProfile, PluginSettings
from plugins.radio.durations import parse_duration


class RadioSettings(PluginSettings):
    station: str = Field(
        "abdi-persada", pattern=r"^[a-z0-9-]{1,40}$", description="Short name of the station, in logs and facts."
    )
    station_name: str = Field(
        "Radio Abdi Persada", min_length=1, max_length=80, description="The station's name as people read it."
    )
    socket: Path = Field(
        Path("/run/siarhub-radio/liquidsoap.sock"), description="The UNIX socket on which Liquidsoap takes commands."
    )
    media_folder: Path | None = Field(
        None, description="Where the sound lies that Liquidsoap plays; none = media in the plugin's state folder."
    )
    as_run: Path | None = Field(
        None,
        description="Where Liquidsoap writes what it played; none = as-run.jsonl in the plugin's state folder.",
    )
    script: Path | None = Field(
        None,
        description="The Liquidsoap script that `siarhub radio check` tries; none = the one that came with the hub.",
    )
    every: str = Field("30 min", description="How often an item airs within its window, such as '30 min' or '2 h'.")
    loudness_lufs: float = Field(-16.0, ge=-40, le=-6, description="Integrated loudness of what goes on air, LUFS.")
    true_peak_dbtp: float = Field(-1.5, ge=-12, le=0, description="Highest true peak of what goes on air, dBTP.")
    min_duration_s: float = Field(0.5, ge=0.1, description="Sound shorter than this is refused.")
    max_duration_s: float = Field(900.0, gt=0, description="Sound longer than this is refused.")
    late_s: float = Field(
        300.0, ge=1, description="A regular airing that could not begin this long after its time counts as missed."
    )
    max_attempts: int = Field(3, ge=1, le=20, description="How often one airing is tried before it counts as failed.")
    repeat_interrupted: bool = Field(
        True, description="Air an interrupted item again (true: at least once) or leave it (false: at most once)."
    )
    seconds_tolerance: float = Field(
        0.5, ge=0.1, le=5, description="How many seconds may lack on air for an item to count as aired."
    )
    command_timeout_s: float = Field(
        12.0, ge=1, description="How long to wait for Liquidsoap's answer; it checks a file before it answers."
    )

    @field_validator("every")
    @classmethod
    def _is_a_duration(cls, text: str) -> str:
        parse_duration(text)
        return text

    @property
    def repeat_every(self) -> timedelta:
        return parse_duration(self.every)

    @property
    def profile(self) -> AudioProfile:
        return AudioProfile(
            loudness_lufs=self.loudness_lufs,
            true_peak_dbtp=self.true_peak_dbtp,
            container="wav",
            min_duration_s=self.min_duration_s,
            max_duration_s=self.max_duration_s,
        )

    def media_in(self, state_dir: Path) -> Path:
        return self.media_folder or state_dir / "media"

    def as_run_in(self, state_dir: Path) -> Path:
        return self.as_run or state_dir / "as-run.jsonl"
