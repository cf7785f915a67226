"""Around one attempt: what the runner does, and how a worker process begins."""

from taskbridge.worker.at_most_once import AtMostOnce
from taskbridge.worker.attempt import Attempt, Environment, Middleware
from taskbridge.worker.boot import Booted, boot, import_tasks, served_queues, worker_environment
from taskbridge.worker.cancellations import CANCEL_COST, Cancellations
from taskbridge.worker.dead_letters import DeadLetters
from taskbridge.worker.deadline import Deadline
from taskbridge.worker.effectively_once import KEY_COST, EffectivelyOnce
from taskbridge.worker.expiry import Expiry
from taskbridge.worker.results import Results
from taskbridge.worker.retries import Retries
from taskbridge.worker.runner import ORDER, Runner
from taskbridge.worker.termination import TERMINATE_COST, Termination

__all__ = [
    "CANCEL_COST",
    "KEY_COST",
    "ORDER",
    "TERMINATE_COST",
    "AtMostOnce",
    "Attempt",
    "Booted",
    "Cancellations",
    "DeadLetters",
    "Deadline",
    "EffectivelyOnce",
    "Environment",
    "Expiry",
    "Middleware",
    "Results",
    "Retries",
    "Runner",
    "Termination",
    "boot",
    "import_tasks",
    "served_queues",
    "worker_environment",
]
