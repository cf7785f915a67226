"""The application writes down which of Django's signals it has received."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """An application with tasks."""

    name = "tests.django_backend.shop"

    def ready(self) -> None:
        from taskbridge.django import framework
        from tests.django_backend.shop import signals

        for name in ("task_enqueued", "task_started", "task_finished"):
            getattr(framework, name).connect(getattr(signals, name))
