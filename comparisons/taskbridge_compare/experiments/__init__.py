"""The questions that are put to every engine, one file each, in the order of the report."""

from taskbridge_compare.experiments.accounting import ACCOUNTING
from taskbridge_compare.experiments.child_kill import CHILD_KILL
from taskbridge_compare.experiments.connection_cut import CONNECTION_CUT
from taskbridge_compare.experiments.delay import DELAY
from taskbridge_compare.experiments.experiment import Asked, Experiment, Scene
from taskbridge_compare.experiments.expiry import EXPIRY
from taskbridge_compare.experiments.priority import PRIORITY
from taskbridge_compare.experiments.retry_curve import RETRY_CURVE
from taskbridge_compare.experiments.sigterm import SIGTERM
from taskbridge_compare.experiments.time_limit import TIME_LIMIT
from taskbridge_compare.experiments.tree_kill import TREE_KILL
from taskbridge_compare.experiments.unknown_task import UNKNOWN_TASK

__all__ = ["EXPERIMENTS", "Asked", "Experiment", "Scene"]

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        ACCOUNTING, TREE_KILL, CHILD_KILL, SIGTERM, CONNECTION_CUT, RETRY_CURVE, TIME_LIMIT, EXPIRY, PRIORITY, DELAY,
        UNKNOWN_TASK,
    )
}  # fmt: skip
