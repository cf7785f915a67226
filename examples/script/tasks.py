"""The tasks of this example. A worker imports this module; it does not import `main.py`."""

import hashlib
from datetime import timedelta
from pathlib import Path

from taskbridge import Retry, task


@task(result=True, timeout=timedelta(minutes=1), retry=Retry(3, on=(OSError,), give_up_on=(FileNotFoundError,)))
def checksum(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
