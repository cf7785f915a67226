"""What happens to a delivery last, before a process of the pool may run it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery.worker.request import Request

logger = logging.getLogger("taskbridge.celery")

CRASHES = "taskbridge_crashes"
"""The header that counts the executions which began and ended with the death of their worker."""


class _Leased:
    _message: Any
    _request_dict: dict[str, Any]
    id: str
    name: str
    _is_checked = False

    def revoked(self) -> bool:
        """Celery asks this last before it hands the job to a process."""
        if self._is_checked or self._is_ours():
            self._is_checked = True
            is_revoked: bool = super().revoked()  # type: ignore[misc]  # of Celery's request
            return is_revoked
        logger.warning("%s[%s] is not begun here: its lease was lost, and another worker has it.", self.name, self.id)
        # Gives the credit back; the broker holds nothing under this tag any more.
        self.acknowledge()  # type: ignore[attr-defined]  # of Celery's request
        return True

    def _is_ours(self) -> bool:
        leases = getattr(self._message.channel, "leases", None)
        if leases is None:
            return True
        tag = self._message.delivery_tag
        if not (self._message.delivery_info or {}).get("redelivered"):
            is_ours: bool = leases.is_ours(tag)
            return is_ours
        # A healthy job pays nothing: only who begins what was given out before writes that it begins again.
        payload = self._message._raw  # noqa: SLF001 - the same text goes back to Redis
        headers = payload["headers"]
        headers[CRASHES] = self._request_dict[CRASHES] = _count(headers) + 1
        began: bool = leases.began(tag, payload)
        return began


def _count(headers: dict[str, Any]) -> int:
    count = headers.get(CRASHES)
    return count if type(count) is int and count > 0 else 0


def leased(base: type[Request], /) -> type[Request]:
    """The request class for deliveries with a lease."""
    return type("LeasedRequest", (_Leased, base), {})
