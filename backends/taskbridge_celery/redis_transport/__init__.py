"""A transport of our own for Celery's workers on Redis: what a worker takes is registered in the same step.

Producers only ask `contract` whether workers can use it.
"""
