"""An application's own Celery app, on RabbitMQ."""

from celery import Celery

app = Celery("own", broker="amqp://127.0.0.1:1", set_as_current=False)
