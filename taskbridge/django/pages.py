"""The admin pages themselves. They read through the store's protocol, so that a store in Redis is shown too."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from msgspec import UNSET

from taskbridge.django.narrowing import READ, Filters
from taskbridge.django.redriving import redrive_letters
from taskbridge.errors import ConfigurationError, StoreUnavailable
from taskbridge.outbox import open_outbox
from taskbridge.outbox.databases import shown, urls
from taskbridge.router import router
from taskbridge.schedules import known_schedules
from taskbridge.store import DetailStatus, Selection
from taskbridge.store.columns import moment
from taskbridge.worker import import_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.admin import ModelAdmin

    from taskbridge.outbox.table import Row
    from taskbridge.store import Record, Store

    Page = Callable[[HttpRequest], tuple[str, Mapping[str, Any]] | HttpResponse]

SHOWN: Final = 100
"""Jobs, letters and rows on one page; a few more where the store gives them so."""
BATCH: Final = 500
"""Jobs that are read at once where few are to be shown."""
STATES: Final = ("waits", "refused, tried again", "given up")
"""Of a row in the outbox."""
_FOLDER: Final = "admin/taskbridge/desk"
_ARGUMENTS: Final = "taskbridge.view_arguments"


def guarded(page: Page, desk: ModelAdmin, /) -> Callable[[HttpRequest], HttpResponse]:
    """The page as a view for those who may see it, with what every admin page needs."""

    @functools.wraps(page)
    def view(request: HttpRequest) -> HttpResponse:
        if not desk.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD") and page is not dead_letters:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        try:
            answer = page(request)
        except (StoreUnavailable, ConfigurationError) as error:
            answer = "page.html", {"title": "Jobs", "problem": str(error)}
        if isinstance(answer, HttpResponse):
            return answer
        template, found = answer
        context = {
            **desk.admin_site.each_context(request),
            "opts": desk.opts,
            "aliases": sorted(router.settings.backends),
            "alias": _alias(request),
            "may_redrive": request.user.has_perm("taskbridge.redrive"),
            "may_see_arguments": request.user.has_perm(_ARGUMENTS),
            **found,
        }
        return TemplateResponse(request, f"{_FOLDER}/{template}", context)

    return view


def jobs(request: HttpRequest) -> tuple[str, Mapping[str, Any]] | HttpResponse:
    """The records of one store, page by page."""
    if wanted := request.GET.get("id", "").strip():
        return _to("job", request, id=wanted)
    filters = Filters(
        request, task=(), queue_name=(), detail_status=[*DetailStatus], backend=sorted(router.settings.backends)
    )
    store, after, read = _store(request), request.GET.get("after", ""), 0
    shown: list[Record] = []
    while True:
        page = store.page(limit=BATCH if filters else SHOWN, after=after)
        shown += [record for record in page.records if filters.fit(record)]
        after, read = page.after, read + len(page.records)
        if not after or len(shown) >= SHOWN or read >= READ or not filters:
            break
    return "jobs.html", {"title": "Jobs", "filters": filters, "records": shown, "after": after, "read": read}


def job(request: HttpRequest) -> tuple[str, Mapping[str, Any]]:
    """One record."""
    record = _store(request).read(request.GET.get("id", ""))
    if record is None:
        raise Http404("Nothing is recorded under this id: results are off, it has expired, or it is another backend's.")
    value = None if record.value is UNSET else msgspec.json.encode(record.value).decode()
    return "job.html", {"title": f"Job {record.id}", "record": record, "value": value}


def dead_letters(request: HttpRequest) -> tuple[str, Mapping[str, Any]] | HttpResponse:
    """The dead letters of one store; a POST enqueues those that are marked again."""
    store = _store(request)
    if request.method == "POST":
        if not request.user.has_perm("taskbridge.redrive"):
            raise PermissionDenied
        for level, words in redrive_letters(request.POST.getlist("letter"), store, user=request.user):
            messages.add_message(request, level, words)
        return _to("dead", request)
    state: Literal["dead", "redriven"] = "redriven" if request.GET.get("state") == "redriven" else "dead"
    filters = Filters(request, id=(), task=(), queue_name=(), reason=(), backend=sorted(router.settings.backends))
    limit = READ if filters else SHOWN + 1
    read = list(islice(store.letters(Selection(state=state, since=_since(request))), limit))
    fitting = [letter for letter in read if filters.fit(letter)]
    shown = fitting[:SHOWN]
    # Those that died in the same microsecond come twice rather than never.
    last = shown[-1] if len(fitting) > SHOWN else read[-1] if len(read) == limit else None
    return "dead.html", {
        "title": "Dead letters",
        "filters": filters,
        "letters": shown,
        "since": None if last is None else last.buried_at.isoformat(),
        "read": len(read),
        "state": state,
    }


def _since(request: HttpRequest) -> datetime | None:
    try:
        return datetime.fromisoformat(request.GET.get("since", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def dead_letter(request: HttpRequest) -> tuple[str, Mapping[str, Any]]:
    """One dead letter, with its history."""
    letter = next(_store(request).letters(Selection(ids=(request.GET.get("id", ""),), state=None)), None)
    if letter is None:
        raise Http404("There is no such dead letter: it was discarded, or its time has passed.")
    message = letter.message
    call = None if message is None else msgspec.json.encode([message.args, message.kwargs]).decode()
    return "letter.html", {"title": f"Dead letter {letter.id}", "letter": letter, "call": call}


def outbox(request: HttpRequest) -> tuple[str, Mapping[str, Any]]:
    """What waits in the outboxes of the application's databases, and what was given up; further pages are of one."""
    filters = Filters(request, id=(), task=(), queue_name=(), state=STATES, backend=())
    tables = list(enumerate(urls(router.settings)))
    wanted, after = _number(request, "of", -1), _number(request, "after", 0)
    databases = []
    for number, url in [tables[wanted]] if 0 <= wanted < len(tables) else tables:
        table = open_outbox(url)
        exists = table.exists()
        limit = READ if filters else SHOWN + 1
        read = table.rows(limit, after=after if number == wanted else 0) if exists else []
        fitting = [row for row in read if filters.fit(row, state=_state(row))]
        last = fitting[SHOWN - 1] if len(fitting) > SHOWN else read[-1] if len(read) == limit else None
        databases.append(
            {
                "name": shown(url),
                "number": number,
                "exists": exists,
                "counts": table.counts() if exists else [],
                "rows": [
                    {"row": row, "written_at": moment(row.written_at), "state": _state(row)} for row in fitting[:SHOWN]
                ],
                "after": None if last is None else last.position,
                "read": len(read),
            }
        )
    return "outbox.html", {"title": "Outbox", "filters": filters, "databases": databases}


def _number(request: HttpRequest, name: str, missing: int) -> int:
    """What a query says where it is a position or a place in a list; `missing` for anything else."""
    said = request.GET.get(name, "")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < len(str(2**63)) else missing


def _state(row: Row) -> str:
    waits, refused, given_up = STATES
    return given_up if row.dead_at is not None else refused if row.attempts else waits


def schedules(request: HttpRequest) -> tuple[str, Mapping[str, Any]]:
    """The periodic tasks, and how far each has come."""
    import_tasks(())
    filters = Filters(request, task=(), state=("active", "paused", "never seen by a scheduler"), backend=())
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for schedule in sorted(known_schedules(), key=lambda schedule: schedule.name):
        alias = schedule.task.options.backend
        store = router.store(alias)
        standing = None if store is None else store.standings([schedule.name]).get(schedule.name)
        is_paused = standing is not None and standing.is_paused
        rows.append(
            {
                "name": schedule.name,
                "task": schedule.task.name,
                "timetable": str(schedule.timetable),
                "alias": alias,
                "standing": standing,
                "state": "paused" if is_paused else "active" if standing is not None else "never seen by a scheduler",
                "next": None if is_paused else schedule.timetable.after(now),
            }
        )
    rows = [row for row in rows if filters.fit(None, task=row["task"], state=row["state"], backend=row["alias"])]
    return "schedules.html", {"title": "Periodic tasks", "filters": filters, "rows": rows}


def _alias(request: HttpRequest) -> str:
    return str(request.GET.get("backend") or "default")


def _store(request: HttpRequest) -> Store:
    alias = _alias(request)
    store = router.store(alias)
    if store is None:
        raise ConfigurationError(f"The backend {alias!r} has no store: name one in its URL, ?store=redis://...")
    return store


def _to(page: str, request: HttpRequest, **query: str) -> HttpResponse:
    found = reverse(f"admin:taskbridge_desk_{page}", current_app=getattr(request, "current_app", None))
    return redirect(f"{found}?{urlencode({'backend': _alias(request), **query})}")
