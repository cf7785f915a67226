"""What to start, before it is started."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One native command line.

    Secrets go into `environment` and never into `argv`, which every user of the machine can read.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to our own environment; a value here wins. Never shown in a repr."""
    directory: Path | None = None
    """The working directory; ours, if None."""
    stop_signal: signal.Signals = signal.SIGTERM
    """What asks this program to finish its work and leave. Huey's consumer wants SIGINT; SIGTERM drops its tasks."""
    label: str = ""
    """A short name for messages; the program's file name, if empty."""

    def __post_init__(self) -> None:
        if not self.argv:
            raise ValueError("a Command needs an argv of at least one word: the program")

    @property
    def name(self) -> str:
        """The label, or the program's file name."""
        return self.label or Path(self.argv[0]).name

    def full_environment(self) -> dict[str, str]:
        """Our own environment with this command's on top."""
        return {**os.environ, **self.environment}
