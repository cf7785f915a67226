"""django-tasks-rq as TaskBridge's backend. A process has one Django project: each part runs in one of its own."""
