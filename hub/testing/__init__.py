"""For plugin authors: makers of values, a hub that keeps in memory what a plugin records, and the contract tests.

from hub.testing import FakeHub, PluginContract, make_context, make_item

class TestMine(PluginContract):
    plugin_class = MyPlugin
    settings = {"folder": "/tmp/screens"}
"""

from hub.testing.contract import PluginContract
from hub.testing.fakes import (
    NOON,
    FakeClock,
    FakeHub,
    make_asset,
    make_context,
    make_current,
    make_item,
    make_media,
    make_rendition,
)
from hub.testing.runner import Result, Verdict, load_plugin_at, run_checks
from hub.testing.trial import Trial

__all__ = [
    "NOON",
    "FakeClock",
    "FakeHub",
    "PluginContract",
    "Result",
    "Trial",
    "Verdict",
    "load_plugin_at",
    "make_asset",
    "make_context",
    "make_current",
    "make_item",
    "make_media",
    "make_rendition",
    "run_checks",
]
