"""`python -m taskbridge_celery.start -A ... worker`: Celery's own command line, started sooner.

Celery 5.7 (https://github.com/celery/celery/blob/v5.7.0/celery/bin/amqp.py) imports the interactive shell of its verb
`amqp` for a worker too, and with it a toolkit for terminals: a fifth of the processor time of a worker's start. Can go
when it imports that where it is used: `test_a_stock_worker_alone_imports_a_toolkit_for_terminals`.
"""

from __future__ import annotations

import sys
from types import ModuleType

from celery import maybe_patch_concurrency


def main() -> int:
    """As `celery`, for any verb but `amqp`."""
    maybe_patch_concurrency()
    shell = ModuleType("click_repl")
    shell.__dict__["register_repl"] = lambda _group: None
    sys.modules["click_repl"] = shell
    from celery.bin.celery import main as celery

    del sys.modules["click_repl"]
    code: int = celery()
    return code


if __name__ == "__main__":
    sys.exit(main())
