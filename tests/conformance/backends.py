"""The backends of ours, as URLs with a place for a private server."""

SERVED = {
    "memory": "memory://",
    "huey+sqlite": "huey+sqlite:///./queue.db",
    "huey+redis": "huey+{redis_url}?priority=yes",
    "rq+redis": "rq+{redis_url}",
    "celery+redis": "celery+{redis_url}",
    "celery+amqp": "celery+{amqp_url}?priority=10&store={redis_url}",
    "dramatiq+redis": "dramatiq+{redis_url}",
    "dramatiq+amqp": "dramatiq+{amqp_url}?priority=10&store={redis_url}",
}

URLS = [url.format(redis_url="redis://127.0.0.1:1/0", amqp_url="amqp://127.0.0.1:1/") for url in SERVED.values()]
"""The same where no server answers: enough to bind tasks, which needs no I/O."""
