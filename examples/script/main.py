"""Print the SHA-256 of each file that is named, computed by the workers."""

import sys
from datetime import timedelta
from pathlib import Path

from tasks import checksum

from taskbridge import JobFailed


def main(names: list[str]) -> int:
    """Enqueue one job a file, then wait for them in turn; 1 if one of them failed."""
    jobs = checksum.enqueue_many([(str(Path(name).resolve()),) for name in names])
    failed = False
    for name, job in zip(names, jobs, strict=True):
        try:
            print(f"{job.wait(timeout=timedelta(seconds=30))}  {name}")
        except JobFailed as error:
            failed = True
            reason = error.error.message if error.error else "expired"
            print(f"{name}: {reason}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
