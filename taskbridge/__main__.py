"""`python -m taskbridge`: the command line, for an interpreter whose scripts are not on PATH."""

from taskbridge.cli import main

main(prog_name="taskbridge")
