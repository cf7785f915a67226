"""Native publishing to RabbitMQ with confirms: what TaskBridge is held against, since it never publishes without."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from taskbridge_compare.drivers.native_celery import NativeCelery
from taskbridge_compare.drivers.native_dramatiq import NativeDramatiq

if TYPE_CHECKING:
    from taskbridge_compare.drivers.driver import Application, Driver
    from taskbridge_compare.workload import Workload

_DURABILITY = "persistent message to a durable queue, publish confirmed"


def of_equal_durability(native: Driver, bridged: Driver) -> Driver:
    """The native driver to compare with."""
    if native.durability == bridged.durability:
        return native
    for kind, confirmed in ((NativeCelery, ConfirmedCelery), (NativeDramatiq, ConfirmedDramatiq)):
        if isinstance(native, kind):
            return confirmed(broker=native.broker)
    raise ValueError(f"Nothing is as durable as {bridged.backend} through TaskBridge: {bridged.durability}.")


class ConfirmedCelery(NativeCelery):
    """Celery with `confirm_publish`."""

    @property
    def durability(self) -> str:
        return _DURABILITY

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        made = super().application(workload, url, slots=slots)
        create = f'Celery("app", broker={url!r})\n'
        return _changed(made, create, f'{create}app.conf.broker_transport_options = {{"confirm_publish": True}}\n')


class ConfirmedDramatiq(NativeDramatiq):
    """Dramatiq with `confirm_delivery`, and queues of the shape that TaskBridge is asked for here."""

    @property
    def durability(self) -> str:
        return _DURABILITY

    def application(self, workload: Workload, url: str, *, slots: int | None) -> Application:
        made = super().application(workload, url, slots=slots)
        return _changed(made, f"(url={url!r})", f"(url={url!r}, confirm_delivery=True, max_priority=10)")


def _changed(made: Application, old: str, new: str) -> Application:
    text = made.files["app.py"]
    assert text.count(old) == 1, f"{old!r} is not in the application exactly once"
    return dataclasses.replace(made, files={**made.files, "app.py": text.replace(old, new)})
