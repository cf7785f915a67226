"""TaskBridge's profile on Django tasks: the same application, in a project whose TASKS has the native backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.beside_native import BesideNative
from taskbridge_compare.drivers.driver import Application
from taskbridge_compare.drivers.native_django import NativeDjango
from taskbridge_compare.drivers.taskbridge import tasks, worker

if TYPE_CHECKING:
    from taskbridge_compare.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBridgeDjango(BesideNative[NativeDjango]):
    """The settings of the native project, and a URL that names its alias."""

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        native = self.native.application(workload, url, slots=slots)
        return Application(
            files={**native.files, "app.py": tasks(workload)},
            worker=worker(slots or 1),
            setup=native.setup,
            environment={
                "DJANGO_SETTINGS_MODULE": "settings",
                "TASKBRIDGE_URL": f"{self.engine}+{self.native.kind}://default",
            },
        )
