"""The limit of a thread worker: raised in the running thread, and taken back where it came too late."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskbridge.worker.async_exception import raise_in_thread_after


def sleep(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)


def in_a_thread(limit: float, inside: float, after: float) -> None:
    def run() -> None:
        with raise_in_thread_after(limit, KeyError):
            sleep(inside)
        sleep(after)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result(timeout=10)


def test_it_is_raised_in_a_thread_that_takes_longer() -> None:
    with pytest.raises(KeyError):
        in_a_thread(0.05, 5, 0)


def test_nothing_is_raised_in_a_thread_that_is_done_before() -> None:
    in_a_thread(0.05, 0, 0.2)


def test_other_callers_of_the_same_function_keep_their_types() -> None:
    # Dramatiq interrupts threads through this very object, with a c_long.
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc.argtypes is None
