"""The command line: `siarhub ...`. Exit codes: 0 done, 1 the answer is no, 2 wrong usage."""

from hub.cli.main import main

__all__ = ["main"]
