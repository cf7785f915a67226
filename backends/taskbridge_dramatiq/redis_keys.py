"""The names under which Dramatiq's queues, and our leases on them, lie in Redis."""

from __future__ import annotations

from dataclasses import dataclass

from dramatiq.common import q_name


@dataclass(frozen=True, slots=True)
class Keys:
    """Where one queue, or the queue of its delayed messages, lies in Redis."""

    namespace: str
    queue_name: str
    canonical: str
    list: str
    messages: str
    dead: str
    leases: str
    crashes: str

    @classmethod
    def of(cls, namespace: str, queue_name: str, /) -> Keys:
        canonical = q_name(queue_name)
        return cls(
            namespace,
            queue_name,
            canonical,
            f"{namespace}:{queue_name}",
            f"{namespace}:{queue_name}.msgs",
            f"{namespace}:{canonical}.XQ",
            f"{namespace}:__taskbridge__.leases.{queue_name}",
            f"{namespace}:__taskbridge__.crashes.{queue_name}",
        )

    def acks(self, worker: str, /) -> str:
        """What a worker holds of it."""
        return f"{self.namespace}:__acks__.{worker}.{self.queue_name}"
