"""`manage.py taskbridge VERB ...`: the command line of TaskBridge, in this project."""

from __future__ import annotations

import argparse
from typing import Any, ClassVar

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Hands everything from the verb on to `taskbridge`."""

    help = "The command line of TaskBridge, with the settings and tasks of this project: VERB --help tells more."
    requires_system_checks: ClassVar[list[str]] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar="VERB ...")

    def handle(self, *_: Any, words: list[str], **__: Any) -> None:
        from taskbridge.cli import main

        try:
            main(args=words or ["--help"], prog_name="manage.py taskbridge")
        except SystemExit as end:
            if end.code:
                raise
