"""Several processes that use one store at the same moment."""

from __future__ import annotations

import contextlib
import multiprocessing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

WRITERS = 4
spawn = multiprocessing.get_context("spawn")


@contextlib.contextmanager
def together(target: Callable[..., None], url: str) -> Iterator[list[SpawnProcess]]:
    """Several processes that begin at the same moment; they have ended well when the block has."""
    barrier = spawn.Barrier(WRITERS)
    processes = [spawn.Process(target=target, args=(url, barrier, number)) for number in range(WRITERS)]
    for process in processes:
        process.start()
    yield processes
    join(processes)


def join(processes: list[SpawnProcess]) -> None:
    try:
        for process in processes:
            process.join(timeout=50)
        assert [process.exitcode for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()
