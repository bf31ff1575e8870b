"""What is to be on the screen: the loop, what stands in when nothing of it can be shown, or black on order."""

from __future__ import annotations

import asyncio

from plugins.videotron.player.clips import Clip

AHEAD = 3  # so many clips mpv has waiting: it goes on by itself when some are broken, or when this process is slow


class Program:
    """Shared by one mpv and the next; `changed` is set whenever what is shown may have to change."""

    def __init__(self) -> None:
        self.loop: tuple[Clip, ...] = ()
        self.spare: Clip | None = None
        self.dark = False
        self.last: Clip | None = None  # where the loop goes on
        self._failed: set[Clip] = set()  # not tried again, while others can be shown, until the loop changes
        self.changed = asyncio.Event()

    @property
    def empty(self) -> bool:
        return self.dark or not self.loop

    def show(self, loop: tuple[Clip, ...]) -> None:
        is_new = loop != self.loop or self.dark
        self.loop, self.dark = loop, False
        if is_new:
            self._failed.clear()
            self.changed.set()

    def darken(self) -> None:
        if not self.dark:
            self.dark = True
            self.changed.set()

    def allows(self, clip: Clip) -> bool:
        """Whether this may be on the screen now: in its turn, or in place of what cannot be shown."""
        return not self.empty and (clip in self.loop or clip == self.spare)

    def begun(self, clip: Clip) -> Clip:
        """The loop goes on after this clip; returns it as the loop has it now, by the newest manifest."""
        if clip not in self.loop:
            return clip
        self.last = self.loop[self.loop.index(clip)]
        return self.last

    def failed(self, clip: Clip) -> None:
        """It could not be shown: it must not stand in the way of the others."""
        self._failed.add(clip)

    def waiting(self) -> list[Clip]:
        """What mpv is to have waiting, in this order; the spare at its end is reached only when all before it fail."""
        if self.empty:
            return []
        keys = [clip.key for clip in self.loop]
        first = keys.index(self.last.key) + 1 if self.last and self.last.key in keys else 0
        turn = self.loop[first:] + self.loop[:first]
        clips = [clip for clip in turn if clip not in self._failed] or list(turn)
        return [*clips[:AHEAD], *([self.spare] if self.spare and self.spare not in self.loop else [])]
