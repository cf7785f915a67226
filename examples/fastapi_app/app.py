"""An HTTP service that hands long work to a worker and answers at once."""

from decimal import Decimal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from tasks import Sale, summarise

from taskbridge import DetailStatus

app = FastAPI()


class Job(BaseModel):
    """What a client is told of its job."""

    id: str
    status: str
    turnover: dict[str, Decimal] | None = None


@app.post("/summaries", status_code=202)
async def create(sales: list[Sale]) -> Job:
    """Enqueue the work. `aenqueue` does not block the event loop."""
    job = await summarise.aenqueue(sales)
    return Job(id=job.id, status="QUEUED")


@app.get("/summaries/{job_id}")
async def read(job_id: str) -> Job:
    """What has become of it."""
    job = await summarise.aget_result(job_id)
    await job.arefresh()
    if job.detail_status is DetailStatus.UNKNOWN:
        raise HTTPException(404, "No such job, or its result has expired.")
    done = job.detail_status is DetailStatus.SUCCESSFUL
    return Job(id=job.id, status=job.detail_status.value, turnover=job.return_value if done else None)
