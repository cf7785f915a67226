"""`key`: what makes two jobs the same piece of work, as a template over the arguments or a function of them."""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskbridge.codec.signature import parameters_of
from taskbridge.errors import InvalidArguments, InvalidTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.options import Declared

KEY_LIMIT: Final = 500
"""Characters of one key."""

_BEFORE_LOOKUP: Final = re.compile(r"[^.\[]*")
_TAKEN: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _Argument(msgspec.Struct, frozen=True):
    """Where one argument is found in a call that fits the signature."""

    name: str
    position: int | None
    """None for one that is given by name only."""
    is_named: bool
    default: Any

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.position is not None and self.position < len(args):
            return args[self.position]
        return kwargs.get(self.name, self.default) if self.is_named else self.default


class KeyMaker(msgspec.Struct, frozen=True):
    """Makes the key of a call."""

    task: str
    arguments: tuple[_Argument, ...]
    make: Callable[..., Any]
    """Takes the arguments by name."""

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any], /) -> str:
        """The key of a call that fits the task's signature.

        Raises:
            InvalidArguments: it has no key, or one that cannot be kept.
        """
        values = {argument.name: argument.of(args, kwargs) for argument in self.arguments}
        try:
            key = self.make(**values)
        except Exception as error:
            raise InvalidArguments(f"The key of {self.task!r} cannot be made for this call: {error!r}.") from error
        if not isinstance(key, str) or not 0 < len(key) <= KEY_LIMIT or not key.isprintable():
            raise InvalidArguments(
                f"The key of {self.task!r} is {key!r:.80} for this call: it must be a text of 1 to {KEY_LIMIT} "
                f"printable characters."
            )
        return key


def key_maker(task: Declared, /) -> KeyMaker | None:
    """What makes the keys of a task's jobs; None for a task without.

    Raises:
        InvalidTask: the key names what is no parameter of the task, or its template cannot be read.
    """
    key, task_name = task.options.key, task.options.name
    if key is None:
        return None
    parameters = parameters_of(task.function, name=task_name, takes_context=task.options.takes_context)
    names = _fields(key, task_name) if isinstance(key, str) else _parameters(key, task_name)
    known = {
        parameter.name: _Argument(
            parameter.name,
            None if parameter.kind is inspect.Parameter.KEYWORD_ONLY else position,
            parameter.kind is not inspect.Parameter.POSITIONAL_ONLY,
            parameter.default,
        )
        for position, parameter in enumerate(parameters)
        if parameter.kind not in _TAKEN
    }
    for name in names:
        if name not in known:
            raise InvalidTask(
                f"The key of {task_name!r} names {name!r}, which is none of its parameters: "
                f"{', '.join(known) or 'it has none'}."
            )
    make = key.format if isinstance(key, str) else key
    return KeyMaker(task_name, tuple(known[name] for name in names), make)


def _fields(template: str, task: str) -> list[str]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidTask(f"key={template!r} of {task!r} is no template: {error}. Write key='order:{{id}}'.") from error
    names = []
    for _, field, specification, _ in parsed:
        if field is None:
            continue
        name = match.group() if (match := _BEFORE_LOOKUP.match(field)) else ""
        if not name.isidentifier() or "{" in (specification or ""):
            raise InvalidTask(f"key={template!r} of {task!r} has a field {{{field}}}: name a parameter in each.")
        names.append(name)
    return list(dict.fromkeys(names))


def _parameters(function: Callable[..., str], task: str) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    wrong = [each.name for each in parameters if each.kind in (*_TAKEN, inspect.Parameter.POSITIONAL_ONLY)]
    if wrong:
        raise InvalidTask(
            f"The key of {task!r} is a function with the parameter {wrong[0]!r}: name those of the task's parameters "
            f"that it needs, as in key=lambda order_id: ..."
        )
    return [each.name for each in parameters]
