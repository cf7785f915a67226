"""Runs cells: side by side, a bounded number at a time, each written when it is done and skipped when it lies there."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbridge.process import GuardedFolder
from taskbridge.services import Options
from taskbridge_compare.drivers import unavailable
from taskbridge_compare.gauntlet.cell import run_cell
from taskbridge_compare.gauntlet.expect import expected, finished
from taskbridge_compare.ledger import Interrupted
from taskbridge_compare.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from taskbridge_compare.drivers import Broker
    from taskbridge_compare.gauntlet.judge import Judgement
    from taskbridge_compare.gauntlet.plan import Cell

# A killed broker has to have kept what it confirmed; the same everywhere, so that the faults can be compared.
DURABLE: dict[Broker, Options] = {"redis": Options(persistent=True)}


@dataclass(slots=True, kw_only=True)
class Gauntlet:
    """`tell` gets a line for each thing that happens; `folder` keeps one file a cell."""

    cells: Sequence[Cell]
    folder: Path
    beside: int
    tell: Callable[[str], None]
    command: str = ""
    keep_logs: Path | None = None
    """Where the logs of a cell that is not green are copied to."""
    stopping: threading.Event = field(default_factory=threading.Event)
    judged: dict[str, Judgement] = field(default_factory=dict)

    def execute(self) -> None:
        """Run what is not there yet. Ctrl-C ends every process; what was finished stays."""
        with GuardedFolder(prefix="taskbridge-gauntlet-") as place:
            servers = Servers(place.path, DURABLE)
            pool = ThreadPoolExecutor(max_workers=self.beside)
            try:
                todo = self._unfinished()
                servers.start(cell.driver.broker for cell in todo if not cell.fault.own_server)
                left = {pool.submit(self._cell, cell, servers, place.path) for cell in todo}
                while left:
                    done, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            finally:
                self.stopping.set()
                pool.shutdown(wait=True, cancel_futures=True)
                servers.stop()

    def _unfinished(self) -> list[Cell]:
        """What has no result of this size yet; says what to expect."""
        todo = []
        for cell in self.cells:
            if (done := finished(cell, self.folder)) is None:
                todo.append(cell)
            else:
                self.judged[cell.name] = done
        seconds = expected(todo, self.folder, self.beside)
        there = len(self.cells) - len(todo)
        self.tell(
            f"{len(todo)} drains to do, {self.beside} at a time, about {seconds / 60:.0f} minutes"
            + (f"; {there} lie in {self.folder} already" if there else "")
        )
        return todo

    def _cell(self, cell: Cell, shared: Servers, place: Path) -> None:
        if self.stopping.is_set():
            return
        if reason := unavailable(cell.driver) or shared.missing.get(cell.driver.broker, ""):
            self.tell(f"  {cell.name}: not run: {reason}")
            return
        begin = time.monotonic()
        folder = place / cell.name
        folder.mkdir()
        servers = shared
        try:
            if cell.fault.own_server:
                servers = Servers(folder, DURABLE)
                servers.start([cell.driver.broker])
            judgement = run_cell(cell, servers, folder, self.folder, stopping=self.stopping, command=self.command)
        except Interrupted:
            return
        except Exception as error:  # noqa: BLE001 - one broken cell must not end the others, and it is told
            self.tell(f"? {cell.name}: broken: {type(error).__name__}: {error}")
            self._save_logs(cell, folder)
            return
        finally:
            if servers is not shared:
                servers.stop()
        self.judged[cell.name] = judgement
        sign = {"green": "+", "red": "!", "unknown": "?"}[judgement.colour]
        self.tell(f"{sign} {cell.name}: {judgement.text}, {time.monotonic() - begin:.0f} s")
        if judgement.colour != "green":
            self._save_logs(cell, folder)
        shutil.rmtree(folder, ignore_errors=True)

    def _save_logs(self, cell: Cell, folder: Path) -> None:
        if self.keep_logs is not None and (folder / "station").exists():
            shutil.copytree(folder / "station", self.keep_logs / cell.name, dirs_exist_ok=True)
