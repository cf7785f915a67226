"""The command line: one file a verb, loaded when it is typed."""

from taskbridge.cli.main import main

__all__ = ["main"]
