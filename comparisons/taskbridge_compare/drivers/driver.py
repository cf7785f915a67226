"""What an experiment knows of an engine: an application written into a folder, and a few facts."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge_compare.workload import Workload

Profile = Literal["native", "taskbridge", "planted"]
Broker = Literal["redis", "amqp", "sqlite", "postgres"]
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One application in its own folder: module `app`, with the engine's own command line for its worker."""

    files: Mapping[str, str]
    worker: tuple[str, ...]
    setup: tuple[tuple[str, ...], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: Literal["SIGTERM", "SIGINT"] = "SIGTERM"

    @property
    def printed(self) -> str:
        """The application as a reader of the report sees it: its own files and its worker's command."""
        texts = [f"# {name}\n{text.strip()}\n" for name, text in self.files.items()]
        settings = "".join(f"$ export {name}={value}\n" for name, value in self.environment.items())
        return "\n\n".join([*texts, f"# worker\n{settings}$ {' '.join(shown(self.worker))}\n"])


def shown(argv: Sequence[str]) -> list[str]:
    """A command as a reader would type it: no path of this machine's interpreter."""
    bin_folder = str(Path(sys.executable).parent)
    words = ["python" if word == sys.executable else word.removeprefix(bin_folder + "/") for word in argv]
    return words[1:] if words[:2] == ["python", "taskbridge"] else words


class Driver(Protocol):
    """One engine on one broker in one profile. It never names a workload or an experiment."""

    @property
    def backend(self) -> str:
        """The row, for instance `celery+redis`."""

    @property
    def profile(self) -> Profile:
        """The column."""

    @property
    def broker(self) -> Broker:
        """The server it needs."""

    @property
    def distributions(self) -> tuple[str, ...]:
        """The packages whose versions belong to every result."""

    @property
    def bounds(self) -> Mapping[str, str]:
        """Where a job may lie (part of a place's name) -> when the engine's documents say that it moves on."""

    @property
    def no_time_limit(self) -> str:
        """Why a time limit cannot even be asked for; empty if it can."""

    @property
    def durability(self) -> str:
        """What stands on disk, and what was confirmed, when an enqueue returns."""

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        """The application on the broker at `url`; `slots` jobs at a time, or the engine's own default."""


def write(application: Application, workload: Workload, folder: Path, *, native: bool) -> None:
    """Lay the application out: its files, the probe, the producer, and for a native one the stand-in."""
    for name, text in application.files.items():
        (folder / name).write_text(text)
    for name in ("probe.py", "producer.py"):
        shutil.copyfile(_HERE.parent / name, folder / name)
    if native:
        shutil.copyfile(_HERE / "standin.py", folder / "taskbridge.py")
    shutil.copyfile(workload.folder / f"{workload.module}.py", folder / f"{workload.module}.py")
