"""The suite itself can go red: for each planted bug, and for each field of each record that it is told wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, get_args

import pytest

from taskbridge.capability import Capabilities
from taskbridge.errors import UnsupportedFeature
from taskbridge.testing.planted import Bug
from taskbridge.testing.suite import test_record
from taskbridge.testing.suite.stage import Stage
from tests.conformance.backends import ROOT, SERVED
from tests.conformance.run import run_suite

if TYPE_CHECKING:
    from pathlib import Path

# What a bug is found by, so that a red suite is red for the right reason.
FOUND_BY = {
    "drops": "many_threads",
    "doubles": "a_thousand_jobs",
    "ignores expiry": "an_expired_job_is_not_started",
    "inverts priority": "larger_priority",
    "forgets metadata": "keeps_the_id_and_the_metadata",
    "forgets keys": "of_two_jobs_with_one_key",
    "ignores cancellation": "a_queued_job_that_is_cancelled",
    "ignores termination": "a_blocking_call_is_terminated",
    "starts early": "a_delayed_job_is_never_early",
}

DJANGO = [name for name, served in SERVED.items() if served.needs_django]
IN_THIS_PROCESS = "CONFORMANCE_BACKEND"
"""Names the one backend of a process that is its Django project."""
NAMES = [os.environ[IN_THIS_PROCESS]] if IN_THIS_PROCESS in os.environ else [n for n in SERVED if n not in DJANGO]
OPTIONS = [field.name for field in fields(Capabilities)]


def see(stage: Stage, option: str) -> None:
    """What the suite says of a field without any I/O."""
    if option in test_record.FROM_THE_STORE:  # nobody asks for them at binding
        test_record.test_what_a_store_alone_makes_possible_is_refused_without_one(stage, option)
    else:
        test_record.test_an_option_is_bound_as_the_record_says(stage, option)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bug", get_args(Bug))
def test_a_planted_bug_turns_the_suite_red(bug: str, tmp_path: Path) -> None:
    ran = run_suite(f"planted://?bug={bug.replace(' ', '+')}", tmp_path, "-k", FOUND_BY[bug])
    assert "1 failed" in ran.stdout, ran.stdout[-3000:]


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "prompt_timeout"])
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_field_turns_the_suite_red(name: str, option: str, tmp_path: Path) -> None:
    url, _ = SERVED[name].nowhere()
    right = Stage(url, tmp_path, None)
    try:
        see(right, option)
    finally:
        right.stop()
    for level in {"native", "emulated", "refused"} - {right.expected[option].level}:
        stage = Stage(url, tmp_path, f"{option}={level}")
        try:
            with pytest.raises((AssertionError, UnsupportedFeature, pytest.fail.Exception)):
                see(stage, option)
        finally:
            stage.stop()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", DJANGO)
def test_a_wrong_field_of_a_django_backend_turns_the_suite_red(name: str) -> None:
    _, environment = SERVED[name].nowhere()
    test = test_a_wrong_field_turns_the_suite_red.__name__
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__, "-k", test],
        cwd=ROOT,
        env={**os.environ, **environment, IN_THIS_PROCESS: name},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert f"{len(OPTIONS) - 1} passed" in ran.stdout, ran.stdout[-3000:]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name", [name if name == "memory" else pytest.param(name, marks=pytest.mark.wide) for name in SERVED]
)
def test_a_wrong_word_about_promptness_turns_the_suite_red(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url, environment = SERVED[name].on(lambda kind: request.getfixturevalue(f"{kind}_server").fresh_url(), tmp_path)
    level = "native" if name.startswith("dramatiq") else "refused"
    ran = run_suite(url, tmp_path, "--flip", f"prompt_timeout={level}", "-k", "says_prompt", **environment)
    assert "1 failed" in ran.stdout, ran.stdout[-3000:]
