"""One cell, from an empty broker to a judged file."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskbridge_compare.faults.proxy import CuttingProxy
from taskbridge_compare.gauntlet import record
from taskbridge_compare.gauntlet.drill import Drill
from taskbridge_compare.gauntlet.plan import SLOTS
from taskbridge_compare.gauntlet.promise import NOTHING_ASKED, Promise, promise
from taskbridge_compare.results import machine, now, versions
from taskbridge_compare.station import Station
from taskbridge_compare.workload import SHIPPED, load

if TYPE_CHECKING:
    import threading

    from taskbridge_compare.gauntlet.judge import Judgement
    from taskbridge_compare.gauntlet.plan import Cell
    from taskbridge_compare.servers import Servers


def run_cell(
    cell: Cell, servers: Servers, folder: Path, results: Path, *, stopping: threading.Event | None, command: str
) -> Judgement:
    """Run a cell in `folder` and write it into `results`.

    Raises StationError if the application does not work, and Interrupted when `stopping` is set.
    """
    begin = time.monotonic()
    url = servers.fresh_url(cell.driver.broker)
    way = cell.fault.through_proxy
    proxy, proxied = through_proxy(url) if way is not None else (None, url)
    station = None
    try:
        station = Station(
            cell.driver,
            load(SHIPPED),
            folder=folder / "station",
            url=proxied if way == "producer" else url,
            worker_url={"producer": url, "worker": proxied}.get(way or ""),
            slots=SLOTS,
            stopping=stopping,
        )
        drill = Drill(station=station, servers=servers, size=cell.size, broker_url=url, proxy=proxy)
        cell.fault.drive(drill)
        asked = drill.drain()
        header = {
            "backend": cell.driver.backend,
            "profile": cell.driver.profile,
            "fault": cell.fault.name,
            "repeat": cell.repeat,
            "size": cell.size.plain(),
            "asked": asked,
            "promise": _promise(cell, station).plain(),
            "seconds": round(time.monotonic() - begin, 1),
            "finished": now(),
            "command": command,
            "machine": machine(),
            "revision": _revision(),
            "versions": versions(cell.driver.distributions),
            "brokers": servers.described(),
            "durability": cell.driver.durability,
        }
        return record.write(cell.path(results), header, station.ledger.events())
    finally:
        if station is not None:
            station.close()
        if proxy is not None:
            proxy.close()


def _revision() -> str:
    """The commit that this code is of; empty if it lies in no checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, timeout=30, check=False).stdout.strip()


def _promise(cell: Cell, station: Station) -> Promise:
    if cell.driver.profile != "taskbridge":
        return NOTHING_ASKED
    return promise(station.place.environment, station.place.folder)


def through_proxy(url: str) -> tuple[CuttingProxy, str]:
    """A proxy before the server at this URL, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.port is not None
    proxy = CuttingProxy(parts.hostname or "127.0.0.1", parts.port)
    credentials, at, _ = parts.netloc.rpartition("@")
    return proxy, parts._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}").geturl()
