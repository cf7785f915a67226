"""A task's signature as plain JSON: what a lock file keeps of it."""

from __future__ import annotations

import functools
import inspect
import operator
from datetime import datetime, time
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from taskbridge.codec.shape import shape_of
from taskbridge.codec.signature import UNANNOTATED, parameters_of, resolve
from taskbridge.signatures.fingerprint import written

if TYPE_CHECKING:
    from taskbridge.registry import Registry
    from taskbridge.task import Task

_FORMATS: dict[Any, str] = {datetime: "date-time", time: "time"}

Kind = Literal["positional only", "positional or keyword", "any positional", "keyword only", "any keyword"]

_KINDS: dict[Any, Kind] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional or keyword",
    inspect.Parameter.VAR_POSITIONAL: "any positional",
    inspect.Parameter.KEYWORD_ONLY: "keyword only",
    inspect.Parameter.VAR_KEYWORD: "any keyword",
}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter, as the wire sees it."""

    name: str
    kind: Kind
    has_default: bool
    annotation: str
    """As written, for the reader."""
    accepts: Any
    """The JSON Schema of its values; None for a type that has none, of which only `annotation` is compared."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One task."""

    parameters: tuple[Parameter, ...]


def signatures_of(registry: Registry, /) -> dict[str, Signature]:
    """The signatures of all tasks, by name."""
    return {task.name: signature_of(task) for task in sorted(registry, key=lambda task: task.name)}


def signature_of(task: Task[..., Any, Any], /) -> Signature:
    """The signature of one task.

    Raises:
        InvalidTask: an annotation names nothing, or a type whose values cannot be carried.
    """
    task.codec.compile()
    parameters = parameters_of(task.function, name=task.name, takes_context=task.options.takes_context)
    return Signature(
        parameters=tuple(
            Parameter(
                name=parameter.name,
                kind=_KINDS[parameter.kind],
                has_default=parameter.default is not inspect.Parameter.empty,
                annotation="" if parameter.annotation is UNANNOTATED else written(parameter.annotation),
                accepts=_schema(parameter.annotation, task),
            )
            for parameter in parameters
        )
    )


def _schema(annotation: Any, task: Task[..., Any, Any]) -> Any:
    if annotation is UNANNOTATED:
        return {}
    try:
        return msgspec.json.schema(_with_formats(shape_of(resolve(annotation, task.function))))
    except TypeError:  # a class that only its own library describes
        return None


def _with_formats(shape: Any) -> Any:
    """The shape, with a format for those types of time whose schema msgspec leaves at "string"."""
    if isinstance(shape, type) and shape in _FORMATS:
        return Annotated[shape, msgspec.Meta(extra_json_schema={"format": _FORMATS[shape]})]
    origin, members = get_origin(shape), get_args(shape)
    if origin in (Union, UnionType):
        return functools.reduce(operator.or_, map(_with_formats, members))
    if origin in (list, set, frozenset, tuple, dict):
        return origin[tuple(member if member is Ellipsis else _with_formats(member) for member in members)]
    return shape
