"""Admin pages: jobs, dead letters and the outbox, to be looked at; and one thing that may be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.urls import path

from taskbridge.django import pages
from taskbridge.django.models import Desk

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.urls import URLPattern


@admin.register(Desk)
class DeskAdmin(admin.ModelAdmin):
    """No rows of Django's: each page reads the stores of the backends, whatever they are kept in."""

    def get_urls(self) -> list[URLPattern]:
        """The pages, instead of those of a table. Only who may see the desk is shown any."""
        return [
            path(route, self.admin_site.admin_view(pages.guarded(page, self)), name=f"taskbridge_desk_{name}")
            for route, page, name in (
                ("", pages.jobs, "changelist"),
                ("job/", pages.job, "job"),
                ("dead/", pages.dead_letters, "dead"),
                ("dead/letter/", pages.dead_letter, "letter"),
                ("outbox/", pages.outbox, "outbox"),
                ("periodic/", pages.schedules, "schedules"),
            )
        ]

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody: jobs are enqueued by code."""
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:  # noqa: ARG002 - as above
        """Nobody: what is recorded is what has happened."""
        return False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:  # noqa: ARG002 - as above
        """Nobody: records and letters have a time after which they are forgotten."""
        return False
