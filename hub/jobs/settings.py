"""The `[jobs]` table of siarhub.toml."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field


class JobSettings(BaseModel):
    """How much is done at once, and how often a failure is tried again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transcodes: int = Field(
        0,
        ge=0,
        le=64,
        description="Transcodes at the same time; 0 = half as many as there are cores, but at least two. One more runs "
        "for an urgent item.",
    )
    per_plugin: int = Field(
        4, ge=1, le=64, description="Calls of one plugin at the same time; one more for an urgent item."
    )
    gather_s: float = Field(
        2.0,
        ge=0,
        description="How long a transcode waits for all plans, so that one decode serves every screen; that of an "
        "urgent item at most 0.2 s.",
    )
    bug_attempts: int = Field(5, ge=1, description="A call that fails by a bug is given up after so many attempts.")
    first_retry_s: float = Field(5.0, gt=0, description="The pause before the first retry; it doubles each time.")
    longest_retry_s: float = Field(600.0, gt=0, description="No pause between two attempts is longer than this.")

    @property
    def transcodes_at_once(self) -> int:
        # Two even on two cores: while one output is verified on one core, the next is encoded on the other.
        return self.transcodes or max(2, len(os.sched_getaffinity(0)) // 2)
