from __future__ import annotations

from hub.testing import PluginContract
from plugins.radio.plugin import RadioPlugin


class TestRadioContract(PluginContract):
    plugin_class = RadioPlugin
