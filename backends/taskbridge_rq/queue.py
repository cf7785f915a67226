"""RQ's queue, which survives what is no job's id, and whose schedule takes part in the transaction it is given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import rq
from rq.job import JobStatus
from rq.registry import ScheduledJobRegistry

if TYPE_CHECKING:
    from datetime import datetime

    from redis import Redis
    from redis.client import Pipeline
    from rq.job import Job


_JOB_ID: Final = re.compile(rb"[A-Za-z0-9_-]+")
"""What RQ takes for an id; at anything else its worker ends."""


class Queue(rq.Queue):
    """`rq worker --queue-class taskbridge_rq.queue.Queue`."""

    @classmethod
    def lmove(cls, connection: Redis, queue_key: str, timeout: int | None) -> tuple[str, bytes] | None:
        """Move the next id to the intermediate list. What no job's id can be stays there, for a sweep to drop."""
        while (moved := super().lmove(connection, queue_key, timeout)) is not None:
            key, job_id = moved
            if _JOB_ID.fullmatch(job_id):
                return key, job_id
        return None

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
