"""The engine's own worker at its best: late acknowledgement where it has one, and every free setting that ours takes.

What its first steps show (`drivers`) acknowledges early on Celery, logs each job, and polls once a second; a ratio to
that would praise TaskBridge for settings.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from taskbridge_compare.bench.confirmed import of_equal_durability
from taskbridge_compare.drivers.beside_native import BesideNative
from taskbridge_compare.drivers.driver import Driver
from taskbridge_compare.drivers.native_celery import NativeCelery
from taskbridge_compare.drivers.native_django import NativeDjango
from taskbridge_compare.drivers.native_dramatiq import NativeDramatiq
from taskbridge_compare.drivers.native_huey import NativeHuey
from taskbridge_compare.drivers.native_rq import NativeRQ

if TYPE_CHECKING:
    from taskbridge_compare.drivers.driver import Application, Profile
    from taskbridge_compare.workload import Workload

_CELERY = """\
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)
"""


def late(native: Driver, bridged: Driver) -> Driver:
    """The driver to hold a worker of `bridged` against: as many processes and threads, publishing as safely."""
    return LateAcknowledging(native=of_equal_durability(native, bridged), engine="")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LateAcknowledging(BesideNative[Driver]):
    """`native` with those settings."""

    profile: Profile = "native"

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        made = self.native.application(workload, url, slots=slots)
        match self.native:
            case NativeCelery():
                made = _with(made, "app.py", "\n\n\n@app.task", f"\n{_CELERY}\n\n@app.task")
                return _started(made, "--without-gossip", "--without-mingle")
            case NativeDramatiq(broker="redis"):
                return dataclasses.replace(made, environment={"dramatiq_worker_timeout": "40"})
            case NativeDramatiq():
                return dataclasses.replace(made, environment={"dramatiq_queue_prefetch": "8"})
            case NativeRQ():
                return _started(made, "--quiet", without="--with-scheduler")
            case NativeHuey(broker=broker):
                poll = "0.03" if broker == "redis" else "0.01"
                return _started(made, "-k", "process", "-d", poll, "-m", "0.05", "-b", "1", "-c", "1", "-n", "-q")
            case NativeDjango(kind="rq"):
                return _started(made, "--verbosity", "0", without="--with-scheduler")
            case NativeDjango():
                made = _with(made, "settings.py", "'NAME':", "'CONN_MAX_AGE': 600, 'NAME':")
                return _started(made, "--interval", "0.025", "--no-startup-delay", "--no-reload", "--verbosity", "0")
        raise ValueError(f"No late-ack profile of {self.backend} is known.")


def _started(made: Application, *arguments: str, without: str = "") -> Application:
    command = [word for word in made.worker if word != without]
    return dataclasses.replace(made, worker=(*command, *arguments))


def _with(made: Application, file: str, old: str, new: str) -> Application:
    text = made.files[file]
    assert old in text, f"{old!r} is not in {file}"
    return dataclasses.replace(made, files={**made.files, file: text.replace(old, new, 1)})
