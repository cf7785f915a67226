"""A worker that imports this forgets, as Celery's own does, what it has written to a process that has not begun it."""

from celery.worker.consumer import Consumer as CeleryConsumer

from taskbridge_celery.consumer import Consumer

Consumer.on_close = CeleryConsumer.on_close  # type: ignore[method-assign]  # the bug
