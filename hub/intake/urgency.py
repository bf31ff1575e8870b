"""What is taken in before all that came earlier: urgent drops, and notes that withdraw an item."""

from __future__ import annotations

import os
from pathlib import Path

from hub.intake.bundle import Bundle, BundleKind
from hub.intake.evidence import opened
from hub.intake.settle import Settled
from hub.intake.sidecar import says_urgent
from hub.intake.sidecar_text import MAX_BYTES
from hub.messages import Refusal


def is_urgent(inbox: Path, bundle: Bundle, sidecar: Settled | None) -> bool:
    """A glance at the sidecar; it is read with care when its turn has come. Blocks."""
    if bundle.kind is BundleKind.TEXT:
        return True  # a withdrawal, or soon put off: nothing is copied for it
    if sidecar is None:
        return False
    try:
        with opened(inbox, sidecar.parts) as fd:
            return says_urgent(os.read(fd, MAX_BYTES + 1), is_json=sidecar.parts[-1].casefold().endswith(".json"))
    except (OSError, Refusal):
        return False  # whatever is wrong with it is told in its turn
