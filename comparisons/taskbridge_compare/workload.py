"""A workload: data in TOML beside a module of task functions. It never names a backend."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["short", "long", "failing", "scheduled", "payload"]
SHIPPED = Path(__file__).parent / "workloads" / "shop.toml"
_TASK_KEYS = (
    "function",
    "role",
    "share",
    "arguments",
    "retries",
    "retry_delay",
    "time_limit",
    "delay",
    "payload_bytes",
)


class WorkloadError(ValueError):
    """A workload file that cannot be used; the message names file, line and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTask:
    """One task of a workload, with what any engine's application would be told about it. Times are seconds."""

    name: str
    function: str
    role: Role
    share: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    retry_delay: float = 1.0
    time_limit: float | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What runs: tasks by role, and the folder and module that hold their functions."""

    name: str
    module: str
    folder: Path
    tasks: tuple[WorkloadTask, ...]

    def of_role(self, role: Role) -> WorkloadTask:
        """The first task of this role; the file was checked to have one of each."""
        return next(task for task in self.tasks if task.role == role)

    def mix(self, count: int) -> list[WorkloadTask]:
        """`count` tasks in their shares, evenly spread and the same on every call."""
        weighted = [task for task in self.tasks if task.share]
        total = sum(task.share for task in weighted)
        due = dict.fromkeys((task.name for task in weighted), 0.0)
        chosen: list[WorkloadTask] = []
        for _ in range(count):
            for task in weighted:
                due[task.name] += task.share / total
            turn = max(weighted, key=lambda task: due[task.name])
            due[turn.name] -= 1
            chosen.append(turn)
        return chosen


def load(path: Path) -> Workload:
    """Read a workload file; raises WorkloadError that names line and key."""
    try:
        text = path.read_text()
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror or error}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WorkloadError(f"{path}:{_toml_line(str(error))}: not TOML: {error}") from None
    return _Reader(path, text).workload(data)


def _toml_line(message: str) -> int:
    found = re.search(r"at line (\d+)", message)
    return int(found[1]) if found else 1


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def workload(self, data: dict[str, Any]) -> Workload:
        self._known(data, ("name", "module", "tasks"), section=None)
        name = self._typed(data, "name", str, section=None, default=self.path.stem)
        module = self._typed(data, "module", str, section=None)
        folder = self.path.resolve().parent
        if not (folder / (module.replace(".", "/") + ".py")).is_file():
            raise self._error("module", None, f"no file {module}.py beside the workload")
        tables = self._typed(data, "tasks", dict, section=None)
        tasks = tuple(self._task(name, table) for name, table in tables.items())
        for role in get_args(Role):
            if not any(task.role == role for task in tasks):
                raise self._error("tasks", None, f"no task has role = {role!r}; the experiments need one of each role")
        if not any(task.share for task in tasks):
            raise self._error("tasks", None, "no task has a share: the mix would be empty")
        return Workload(name=name, module=module, folder=folder, tasks=tasks)

    def _task(self, name: str, table: Any) -> WorkloadTask:
        section = f"tasks.{name}"
        if not name.isidentifier():
            raise self._error(name, section, "a task's name must be a Python identifier")
        if not isinstance(table, dict):
            raise self._error(name, "tasks", "must be a table")
        self._known(table, _TASK_KEYS, section=section)
        role = self._typed(table, "role", str, section=section)
        if role not in get_args(Role):
            raise self._error("role", section, f"{role!r} is none of {', '.join(get_args(Role))}")
        arguments = dict(self._typed(table, "arguments", dict, section=section, default={}))
        if size := self._number(table, "payload_bytes", section):
            arguments["payload"] = "x" * int(size)
        limit = self._number(table, "time_limit", section)
        return WorkloadTask(
            name=name,
            function=self._typed(table, "function", str, section=section, default=name),
            role=role,
            share=int(self._number(table, "share", section)),
            arguments=arguments,
            retries=int(self._number(table, "retries", section)),
            retry_delay=self._number(table, "retry_delay", section) or 1.0,
            time_limit=limit or None,
            delay=self._number(table, "delay", section),
        )

    def _number(self, table: dict[str, Any], key: str, section: str) -> float:
        value = table.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self._error(key, section, f"must be a number that is not negative, not {value!r}")
        return float(value)

    def _typed(self, table: dict[str, Any], key: str, kind: type, *, section: str | None, default: Any = None) -> Any:
        value = table.get(key, default)
        if value is None:
            raise self._error(key, section, "is missing")
        if not isinstance(value, kind):
            raise self._error(key, section, f"must be a {kind.__name__}, not {value!r}")
        return value

    def _known(self, table: dict[str, Any], allowed: tuple[str, ...], *, section: str | None) -> None:
        for key in table:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(allowed)}"
                raise self._error(key, section, f"unknown key; {hint}")

    def _error(self, key: str, section: str | None, problem: str) -> WorkloadError:
        return WorkloadError(
            f"{self.path}:{self._line(key, section)}: {section + '.' if section else ''}{key}: {problem}"
        )

    def _line(self, key: str, section: str | None) -> int:
        """The line of a key, else of its section's header, else the first."""
        start = 0
        if section is not None:
            header = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]")
            start = next((number for number, line in enumerate(self.lines) if header.match(line)), 0)
        wanted = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*=")
        for number, line in enumerate(self.lines[start:], start + 1):
            if number > start + 1 and section is not None and line.lstrip().startswith("["):
                break
            if wanted.match(line):
                return number
        return start + 1
