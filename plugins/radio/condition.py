"""What the playout knows of itself, kept in memory for the health report."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hub.api import Health, HealthState, Translate

_UNREAD_FOR_S = 10.0


@dataclass(slots=True, kw_only=True)
class Condition:
    running: bool = False
    link_error: str = "not connected yet"
    boot: str = ""
    boot_seen_at: float = 0.0  # wall clock, as in the as-run lines
    output_up: bool = False
    clash: str = ""  # another boot id that still writes
    overdue: str = ""  # token that should have ended
    silent: bool = False
    bad_lines: int = 0
    lines_said: int = 0  # by the executor
    lines_read: int = 0  # by us, of the same boot
    unread_since: float | None = None  # monotonic
    last_line_at: float | None = None  # monotonic
    vanished: int = 0
    troubles: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    def saw_boot(self, boot: str, wall_s: float) -> bool:
        """True when this is another run of the executor than the last one seen."""
        if boot == self.boot:
            return False
        self.boot, self.boot_seen_at, self.clash, self.lines_read, self.unread_since = boot, wall_s, "", 0, None
        return True

    def compare_lines(self, monotonic_s: float) -> None:
        """Notice that the executor writes its as-run file where we do not read, or can not write it."""
        if self.lines_read >= self.lines_said:
            self.unread_since = None
        elif self.unread_since is None:
            self.unread_since = monotonic_s

    def health(self, translate: Translate, monotonic_s: float) -> Health:
        details = {"boot": self.boot, "vanished": str(self.vanished), "bad_as_run_lines": str(self.bad_lines)}
        if self.last_line_at is not None:
            details["as_run_age_s"] = f"{monotonic_s - self.last_line_at:.0f}"
        if self.troubles:
            details["last_trouble"] = self.troubles[-1]
        state, summary = self._verdict(translate, monotonic_s)
        return Health(state=state, summary=summary, details=details)

    def _verdict(self, translate: Translate, monotonic_s: float) -> tuple[HealthState, str]:
        if not self.running:
            return HealthState.DOWN, translate("The radio playout is not running.")
        if self.link_error:
            return HealthState.DOWN, translate("Liquidsoap does not answer: {error}.", error=self.link_error)
        if self.clash:
            return HealthState.DOWN, translate(
                "Two Liquidsoaps are running: end the one with boot id {boot}.", boot=self.clash
            )
        if not self.output_up:
            return HealthState.DOWN, translate("The radio output is down: nothing can be heard.")
        if self.unread_since is not None and monotonic_s - self.unread_since > _UNREAD_FOR_S:
            return HealthState.DEGRADED, translate(
                "Liquidsoap's as-run file does not grow: check its path and the disk."
            )
        if self.overdue:
            return HealthState.DEGRADED, translate("{airing} should have ended by now.", airing=self.overdue)
        if self.silent:
            return HealthState.DEGRADED, translate("Silence on air for more than 8 seconds.")
        return HealthState.OK, translate("On the radio: ready.")
