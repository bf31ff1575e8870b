"""The hub's keys as they are now: loaded at the start, looked at again while it runs, and what they sign of the hub."""

from __future__ import annotations

import asyncio

from hub.api import HubError, PluginContext
from plugins.videotron.complaints import Complaints
from plugins.videotron.keys.keyfiles import KeysMissing
from plugins.videotron.keys.keyring import Keyring, load
from plugins.videotron.protocol import Document, HubState, encode_signed
from plugins.videotron.settings import VideotronSettings, keys_folder


class KeysInForce:
    """`keyring` is None until `load` was called."""

    def __init__(self, context: PluginContext[VideotronSettings], *, run: str, complaints: Complaints) -> None:
        """`run`: 16 hexadecimal digits, new at each start of the hub."""
        self._context = context
        self._run = run
        self._complaints = complaints
        self.keyring: Keyring | None = None

    @property
    def now(self) -> Keyring:
        """Raises: KeysMissing before they were loaded."""
        if self.keyring is None:
            raise KeysMissing("the keys are not loaded yet")
        return self.keyring

    async def load(self) -> None:
        """Take them up, if that was not done yet. Raises: HubError, OSError."""
        if self.keyring is None:
            self.keyring = await asyncio.to_thread(self._read)

    async def look(self) -> None:
        """Take up new keys; with ones that cannot be used, the old ones go on, and health says so."""
        try:
            keyring = await asyncio.to_thread(self._read)
        except (HubError, OSError) as error:
            self._complaints.add("keys", str(error))
            return
        if keyring.chain != self.now.chain:
            version, epoch = keyring.keyset.version, keyring.keyset.epoch
            self._context.log.info("keys_were_changed", keyset=version, epoch=epoch)
            self.keyring = keyring

    def sign(self, document: Document) -> bytes:
        return encode_signed(document, self.now.online)

    def hub_state(self, *, online: bool) -> bytes:
        """The signed `HubState` of this moment."""
        return self.sign(HubState(site=self.now.site, online=online, run=self._run, now=self._context.clock.now()))

    def _read(self) -> Keyring:
        return load(keys_folder(self._context.settings, self._context.state_dir), now=self._context.clock.now())
