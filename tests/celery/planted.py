"""A worker that imports this acknowledges early, as Celery does by default: the tests of crashes must see it."""

from taskbridge_celery.tasks import Native

Native.acks_late = False
