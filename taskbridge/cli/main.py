"""`taskbridge`: the group of all verbs."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from taskbridge.cli.exits import REFUSED, UNREACHABLE, USAGE
from taskbridge.errors import (
    BrokerUnavailable,
    ConfigurationError,
    StoreUnavailable,
    TaskBridgeError,
    UnsupportedFeature,
)
from taskbridge.settings import did_you_mean

VERBS = (
    "cancel", "check", "compare", "dead", "enqueue", "key", "outbox", "periodic", "result", "scheduler", "services",
    "signatures", "worker",
)  # fmt: skip
"""Each is a module of this package, with its click command as `command`."""


class Verbs(click.Group):
    """Loads a verb's module when the verb is typed, and turns our errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            ctx.fail(f"There is no verb {cmd_name!r}.{did_you_mean(cmd_name, VERBS)}")
        command: click.Command = importlib.import_module(f"taskbridge.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UnsupportedFeature as error:
            raise _Failure(str(error), REFUSED) from error
        except (BrokerUnavailable, StoreUnavailable) as error:
            raise _Failure(str(error), UNREACHABLE) from error
        except ConfigurationError as error:
            raise _Failure(str(error), USAGE) from error
        except TaskBridgeError as error:
            raise _Failure(str(error), 1) from error


class _Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance; its annotation says class


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskbridge")
def main() -> None:
    """One task API on Celery, Dramatiq, RQ, Huey and Django tasks.

    Exit codes: 0 done, 1 a task or check failed, 2 usage or settings, 3 backend unreachable, 4 refused by the backend,
    5 waited too long, 130 interrupted.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
