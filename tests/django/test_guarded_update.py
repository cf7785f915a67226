"""The one UPDATE that is not written by Django's ORM each time: it does what the ORM's would."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.django.conftest import Project

UPDATED = """
from taskbridge_django_tasks import guarded_update, rows
from taskbridge_django_tasks.settlement import _success, failure

def claim(worker):
    application.add.enqueue(1, 2)
    row = DBTaskResult.objects.ready().first()
    row.claim(worker)
    return DBTaskResult.objects.get(pk=row.pk)

told = []
for changes in (_success({"a": [1, None]}), _success(None), failure(ValueError("no")), _success([2])):
    for _ in range(2):
        row = claim("me")
        other = DBTaskResult.objects.get(pk=row.pk)
        other.worker_ids = ["another"]
        told.append(rows.write(other, **changes))
        told.append(rows.write(row, **changes))
        stored = DBTaskResult.objects.get(pk=row.pk)
        told.append(all(getattr(stored, name) == value for name, value in changes.items()))
kept = len([text for text in guarded_update._texts.values() if text])
guarded_update._texts.update(dict.fromkeys(guarded_update._texts))
row = claim("me")
by_orm = rows.write(row, **_success(1)), DBTaskResult.objects.get(pk=row.pk).return_value
print(json.dumps([told, kept, len(guarded_update._texts), by_orm]))
"""


def test_a_kept_statement_changes_a_row_as_django_would_and_only_in_the_hands_of_its_worker(project: Project) -> None:
    told, kept, texts, by_orm = project.enqueue(UPDATED)
    assert told == [False, True, True] * 8
    assert (kept, texts) == (2, 2), "Django writes these statements otherwise: nothing is saved"
    assert by_orm == [True, 1]
