"""`siarhub check --json`, begun as a user: argv is the settings file and the user's number."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - nobody may not read the interpreter's files everywhere
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from hub import settings
from hub.cli.check import check
from hub.cli.context import Context
from hub.cli.offline import plugins_offline

if __name__ == "__main__":
    context, user = Context(), int(sys.argv[2])
    context.config = Path(sys.argv[1])
    assert context.all_settings
    with plugins_offline(settings.Settings()):
        pass  # imports the bundled plugins and all that they need
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    check(["--json"], obj=context)
