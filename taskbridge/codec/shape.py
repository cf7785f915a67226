"""Annotations rewritten into what msgspec can carry."""

from __future__ import annotations

import functools
import operator
import sys
import types
import typing
from collections import abc
from typing import Annotated, Any, Union, cast

import msgspec
from msgspec import convert


class _AcceptsAll(type):
    """msgspec asks whether what a hook gave back is an instance of the shape."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class UnionShape(metaclass=_AcceptsAll):
    """A union which JSON alone cannot tell apart, such as `datetime | str`: the first member that fits is taken.

    Whether that is the right member is proved for each value when it is sent.
    """

    members: tuple[Any, ...] = ()

    @classmethod
    def decode(cls, wire: Any) -> Any:
        for member in cls.members:
            try:
                return convert(wire, member, str_keys=True, dec_hook=dec_hook)
            except Exception:  # noqa: BLE001, S112 - a class may raise anything for what belongs to the next member
                continue
        raise ValueError(f"no member of {cls.__qualname__} fits")


def dec_hook(shape: type, wire: Any) -> Any:
    """Called by msgspec for the types that it does not know."""
    if issubclass(shape, UnionShape):
        return shape.decode(wire)
    if _is_pydantic_model(shape):
        return cast(Any, shape).model_validate(wire, by_alias=False, by_name=True)
    raise TypeError(f"{shape.__qualname__} cannot be carried")


def enc_hook(value: Any) -> Any:
    """Called by msgspec for the types that it does not know."""
    if _is_pydantic_model(type(value)):
        return value.model_dump(mode="json", by_alias=False)
    raise TypeError(f"a {type(value).__qualname__} cannot be carried")


def shape_of(annotation: Any) -> Any:
    """What msgspec is to be asked for. Raises TypeError, saying why, if no shape carries the annotation."""
    shape = _rewritten(annotation)
    if not (isinstance(shape, type) and issubclass(shape, UnionShape)):
        _refuse_unknown_classes(msgspec.inspect.type_info(shape), set())
    return shape


def _rewritten(annotation: Any) -> Any:
    if isinstance(annotation, typing.NewType):
        return _rewritten(annotation.__supertype__)
    if sys.version_info >= (3, 12) and isinstance(annotation, typing.TypeAliasType):
        return _rewritten(annotation.__value__)
    if annotation is object:
        return Any
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        inner = _rewritten(arguments[0])
        constraints = tuple(note for note in arguments[1:] if isinstance(note, msgspec.Meta))
        return Annotated[(inner, *constraints)] if constraints else inner
    if origin in (Union, types.UnionType):
        return _union(annotation, tuple(_rewritten(member) for member in arguments))
    container = _CONTAINERS.get(origin or annotation) if isinstance(origin or annotation, type) else None
    if container is not None and origin is None:
        return container
    if container is not None and arguments:
        return container[tuple(member if member is Ellipsis else _rewritten(member) for member in arguments)]
    return annotation


def _union(annotation: Any, members: tuple[Any, ...]) -> Any:
    if any(member is Any for member in members):
        return Any
    plain = functools.reduce(operator.or_, members)
    if not any(isinstance(member, type) and issubclass(member, UnionShape) for member in members):
        try:
            msgspec.inspect.type_info(plain)
        except TypeError:
            pass
        else:
            return plain
    for member in members:
        shape_of(member)
    # A str takes any text, so it is asked last.
    ordered = tuple(sorted(members, key=lambda member: member is str))
    return _AcceptsAll(str(annotation), (UnionShape,), {"members": ordered})


def _refuse_unknown_classes(info: Any, seen: set[int]) -> None:
    if id(info) in seen:
        return
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType | msgspec.inspect.RawType):
        known = getattr(info, "cls", None)
        if not (isinstance(known, type) and (issubclass(known, UnionShape) or _is_pydantic_model(known))):
            name = getattr(known, "__qualname__", type(info).__qualname__)
            remedy = "; send the row's key and load it in the task" if hasattr(known, "_meta") else ""
            raise TypeError(f"{name} is no type that TaskBridge carries{remedy}")
    if isinstance(info, msgspec.Struct):
        for name in info.__struct_fields__:
            _refuse_unknown_classes(getattr(info, name), seen)
    elif isinstance(info, tuple):
        for part in info:
            _refuse_unknown_classes(part, seen)


def has_union_shape(shape: Any) -> bool:
    """Whether some union in it is decided by trying its members."""
    if isinstance(shape, type) and issubclass(shape, UnionShape):
        return True
    return any(has_union_shape(part) for part in typing.get_args(shape))


def has_tuples(shape: Any) -> bool:
    """Whether msgspec might write a tuple somewhere; True when in doubt."""
    if isinstance(shape, type) and issubclass(shape, UnionShape):
        return True
    return _finds_tuple(msgspec.inspect.type_info(shape), set())


def _finds_tuple(info: Any, seen: set[int]) -> bool:
    if id(info) in seen:
        return False
    seen.add(id(info))
    if isinstance(info, _TUPLES) or getattr(info, "array_like", False):
        return True
    if isinstance(info, msgspec.Struct):
        return any(_finds_tuple(getattr(info, name), seen) for name in info.__struct_fields__)
    return isinstance(info, tuple) and any(_finds_tuple(part, seen) for part in info)


def _is_pydantic_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and hasattr(kind, "model_validate") and issubclass(kind, pydantic.BaseModel)


_CONTAINERS: dict[Any, Any] = {
    **{kind: kind for kind in (list, dict, tuple, set, frozenset)},
    **dict.fromkeys((abc.Iterable, abc.Collection, abc.Sequence, abc.MutableSequence), list),
    **dict.fromkeys((abc.Mapping, abc.MutableMapping), dict),
    **dict.fromkeys((abc.Set, abc.MutableSet), set),
}
"""What arrives for an annotation; only that may be sent."""

_TUPLES = (
    msgspec.inspect.TupleType,
    msgspec.inspect.VarTupleType,
    msgspec.inspect.NamedTupleType,
    msgspec.inspect.CustomType,
)
