"""What is wrong with a setup that would run: found before a job is lost to it."""

from taskbridge.check.finding import Finding, Severity
from taskbridge.check.run import Checked, check_backend

__all__ = ["Checked", "Finding", "Severity", "check_backend"]
