"""One task API on Celery, Dramatiq, RQ, Huey and Django tasks."""
