"""Django's documentation of tasks and of `BaseTaskBackend`, promise by promise, against the backend of the settings.

Run in a process that is a Django project, by `test_promises.py`. The order is that of Django's reference, a file each:
the decorator, Task, TaskContext, TaskResult and TaskError, BaseTaskBackend and its feature flags, settings and
exceptions; then the topic guide: JSON and transactions; then the signals. What TaskBridge adds stands apart.
"""
