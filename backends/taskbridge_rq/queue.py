"""RQ's queue, whose schedule takes part in the transaction that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rq
from rq.job import JobStatus
from rq.registry import ScheduledJobRegistry

if TYPE_CHECKING:
    from datetime import datetime

    from redis.client import Pipeline
    from rq.job import Job


class Queue(rq.Queue):
    """`rq worker --queue-class taskbridge_rq.queue.Queue`."""

    def schedule_job(self, job: Job, at: datetime, pipeline: Pipeline | None = None, unique: bool = False) -> Job:
        """As RQ does it, but all of it in `pipeline`: a retry is scheduled if and only if its attempt is settled.

        RQ's registry ignores the pipeline (https://github.com/rq/rq, `ScheduledJobRegistry.schedule` of 2.12).
        """
        if pipeline is None or unique:
            return super().schedule_job(job, at, pipeline=pipeline, unique=unique)
        pipeline.sadd(self.redis_queues_keys, self.key)
        job.set_status(JobStatus.SCHEDULED, pipeline=pipeline)
        job.save(pipeline=pipeline)
        job.cleanup(ttl=job.ttl, pipeline=pipeline)
        pipeline.zadd(ScheduledJobRegistry.key_template.format(self.name), {job.id: int(at.timestamp())})
        return job
