"""An engine with planted bugs: whoever believes the other columns should see this one go red."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.driver import Application, Broker, Profile
from taskbridge_compare.drivers.native_huey import NativeHuey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge_compare.workload import Workload

_BUGS = '''\


class PlantedStorage(SqliteHuey):
    """Drops one job in ten, doubles one in ten, ignores expiry, inverts priority."""

    sent = 0

    def enqueue(self, task):
        PlantedStorage.sent += 1
        task.expires = task.expires_resolved = None
        if task.priority:
            task.priority = -task.priority
        if self.sent % 10 == 4:
            return self._result_handle(task)
        if self.sent % 10 == 8:
            super().enqueue(task)
        return super().enqueue(task)

    def _result_handle(self, task):
        from huey.api import Result

        return Result(self, task)


huey = PlantedStorage('''


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Huey on an SQLite file, with bugs in its enqueue. Only run when it is asked for."""

    backend: str = "planted"
    broker: Broker = "sqlite"
    profile: Profile = "planted"
    no_time_limit: str = ""
    distributions: tuple[str, ...] = ("huey",)
    durability: str = "none that anybody should trust: the bugs are planted"
    bounds: Mapping[str, str] = field(default_factory=dict)

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        honest = NativeHuey(broker="sqlite").application(workload, url, slots=slots)
        text = honest.files["app.py"].replace("\n\nhuey = SqliteHuey(", _BUGS, 1)
        return Application(files={"app.py": text}, worker=honest.worker)
