"""What the admin pages are to show: run in the project. Prints the id of the dead letter that can be enqueued again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.contrib.auth.models import Permission, User  # noqa: E402 - after the set-up

from taskbridge.message import Message  # noqa: E402 - as above
from taskbridge.outbox import open_outbox, row  # noqa: E402 - as above
from taskbridge.outbox.transaction import on  # noqa: E402 - as above
from taskbridge.router import router  # noqa: E402 - as above
from taskbridge.store import DeadLetter, Failed, NewRecord, Succeeded, TaskError, Transition  # noqa: E402 - as above
from tests.django_admin.hostile import HOSTILE  # noqa: E402 - as above

NOW = datetime.now(UTC)


def users() -> None:
    """A superuser, one who may look, one of the staff who may nothing, and a customer."""
    User.objects.create_superuser("boss", password="secret")
    looker = User.objects.create_user("looker", password="secret", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_desk"))
    User.objects.create_user("staff", password="secret", is_staff=True)
    User.objects.create_user("customer", password="secret")


def jobs() -> str:
    """A job of each kind, all with hostile names; the id of the dead letter."""
    store = router.store()
    assert store is not None
    arguments = json.dumps([[HOSTILE], {"key": HOSTILE}])
    error = TaskError(attempt=1, at=NOW, exception_class_path=HOSTILE, message=HOSTILE, traceback=HOSTILE)
    endings: list[Transition] = [Succeeded(attempt=1, at=NOW, value=HOSTILE), Failed(error=error)]
    for number, ending in enumerate(endings):
        new = NewRecord(
            id=f"{number}{HOSTILE}", task=HOSTILE, queue_name=HOSTILE, backend="default", arguments=arguments
        )
        store.queued([new])
        store.record(new, ending)
    message = Message("letter-1", "tests.django_backend.shop.tasks.echo", [HOSTILE], {})
    for letter_id, known in (("letter-1", message), (f"raw-{HOSTILE}", None)):
        store.bury(
            DeadLetter(
                id=letter_id,
                task=message.task if known else HOSTILE,
                queue_name="default" if known else HOSTILE,
                backend="default",
                reason="exhausted" if known else HOSTILE,
                buried_at=NOW,
                error=error,
                message=known,
                payload=None if known else HOSTILE.encode(),
                expires_at=NOW + timedelta(days=1),
            )
        )
    outbox = open_outbox("django://default")
    assert outbox.exists()
    waiting = Message(f"waiting {HOSTILE}", HOSTILE, [], {}, queue_name=HOSTILE)
    row.write(on(None), [waiting], [None], backend=HOSTILE, task=HOSTILE, ordering_key=HOSTILE)
    return message.id


users()
print(json.dumps({"letter": jobs()}))
