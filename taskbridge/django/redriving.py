"""Dead letters are enqueued again by somebody who may, which leaves a trace in Django's admin log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from taskbridge.django.models import Desk
from taskbridge.errors import EnqueueError, RedriveRefused, TaskBridgeError
from taskbridge.redrive import redrive
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge.store import Store

REPR_LIMIT = 200
"""Characters that Django's log has for the name of a thing."""


def redrive_letters(ids: Sequence[str], store: Store, /, *, user: Any) -> Iterator[tuple[int, str]]:
    """Enqueue the letters again; the level and words of a message to the user for each."""
    import_tasks(())
    if not ids:
        yield messages.WARNING, "No letter was marked."
    for letter_id in ids:
        try:
            redrive(letter_id, store)
        except RedriveRefused as refusal:
            yield messages.WARNING, str(refusal)
        except EnqueueError as error:
            yield messages.ERROR, f"Not enqueued again: {letter_id}. {error}"
        except TaskBridgeError as error:
            yield messages.ERROR, f"{letter_id}: {error}"
        else:
            _note(letter_id, user)
            yield messages.SUCCESS, f"Enqueued again: {letter_id}."


def _note(letter_id: str, user: Any) -> None:
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(Desk),
        object_id=letter_id,
        object_repr=f"dead letter {letter_id}"[:REPR_LIMIT],
        action_flag=CHANGE,
        change_message="Enqueued again.",
    )
