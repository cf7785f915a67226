"""`Codec`: the calls and the results of one task, as plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from taskbridge.codec.carrier import Carrier, carrier_for
from taskbridge.codec.limits import Lossy, check_str
from taskbridge.codec.plan import Plan
from taskbridge.codec.signature import UNANNOTATED, header, parameters_of, resolve, return_annotation
from taskbridge.errors import InvalidArguments, InvalidTask, UndecodableMessage, UnserialisableResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


_CARRIED = (
    "Carried are None, bool, int, float, str, bytes, Decimal, UUID, date, time, datetime, timedelta, Enum (of str or of"
    " int values), Literal, dataclass, NamedTuple, TypedDict, classes of attrs, msgspec and pydantic, and list, tuple,"
    " set, frozenset, dict and unions of these, each named where the task's module can see it when it runs."
)


class Codec:
    """Arguments and result of one task function, to plain JSON values and back.

    A value arrives equal and of the same type, or is refused when it is sent. Two agreed differences: an aware datetime
    arrives with the same local time and offset but a fixed-offset zone, and an int for a float parameter arrives as
    the equal float.

    Annotations are resolved at first use, so that they may name what is defined later in the module; `compile` does
    it at once.
    """

    __slots__ = ("_function", "_plan", "_result", "_takes_context", "name")

    def __init__(self, function: Callable[..., Any], *, name: str, takes_context: bool = False) -> None:
        self.name = name
        self._function = function
        self._takes_context = takes_context
        self._plan: Plan | None = None
        self._result: Carrier | None = None

    def compile(self, *, result: bool = False) -> None:
        """Resolve the annotations of the parameters, and of the result if asked for.

        Raises:
            InvalidTask: an annotation names nothing, or a type whose values cannot be carried.
        """
        self._bound()
        if result:
            self._bound_result()

    def check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any], /) -> None:
        """Raise `TypeError` for a call that does not fit the signature. Annotations are not resolved for it."""
        parameters = parameters_of(self._function, name=self.name, takes_context=self._takes_context)
        header(parameters, name=self.name)(*args, **kwargs)

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], /) -> tuple[list[Any], dict[str, Any]]:
        """A call as plain JSON values, split between positional and keyword as the caller did; defaults are not added.

        Raises:
            InvalidArguments: the call does not fit the signature, or a value would not arrive as it was sent.
            InvalidTask: see `compile`.
        """
        plan = self._plan or self._bound()
        try:
            plan.check(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"Cannot enqueue {self.name}: {error}.") from None
        positional: list[Any] = []
        try:
            for carrier, value in zip(plan.positional, args, strict=False):
                positional.append(carrier.encode(value))
            while len(positional) < len(args):
                positional.append(plan.at(len(positional))[1].encode(args[len(positional)]))
        except Exception as error:
            argument, carrier = plan.at(len(positional))
            raise InvalidArguments(self._refusal(argument, carrier, error)) from error
        if not kwargs:
            return positional, {}
        named: dict[str, Any] = {}
        for argument, value in kwargs.items():
            carrier = plan.named(argument)
            try:
                check_str(argument)
                named[argument] = carrier.encode(value)
            except Exception as error:
                raise InvalidArguments(self._refusal(argument, carrier, error)) from error
        return positional, named

    def decode(self, args: Sequence[Any], kwargs: Mapping[str, Any], /) -> tuple[list[Any], dict[str, Any]]:
        """A call from plain JSON values.

        Raises:
            UndecodableMessage: the call does not fit the signature, or a value its annotation.
            InvalidTask: see `compile`.
        """
        plan = self._plan or self._bound()
        try:
            plan.check(*args, **kwargs)
        except TypeError as error:
            raise UndecodableMessage(f"A message for {self.name} does not fit its signature: {error}.") from None
        positional: list[Any] = []
        argument: str | None = None
        try:
            for carrier, wire in zip(plan.positional, args, strict=False):
                positional.append(carrier.decode(wire))
            while len(positional) < len(args):
                positional.append(plan.at(len(positional))[1].decode(args[len(positional)]))
            named: dict[str, Any] = {}
            for argument, wire in kwargs.items():
                named[argument] = plan.named(argument).decode(wire)
        except Exception as error:  # noqa: BLE001 - an application's class may raise anything while it is rebuilt
            if argument is not None:
                carrier = plan.named(argument)
            else:
                argument, carrier = plan.at(len(positional))
            raise UndecodableMessage(
                f"A message for {self.name} cannot be read: argument {argument!r} does not fit"
                f" {_spelled(carrier.annotation)}: {_told_without_values(error)}."
            ) from _cause(error)
        return positional, named

    def encode_result(self, value: Any, /) -> Any:
        """What the task returned, as plain JSON values.

        Raises:
            UnserialisableResult: the value would not arrive as it was returned.
        """
        try:
            return self._bound_result().encode(value)
        except Exception as error:
            raise UnserialisableResult(
                f"The result of {self.name} cannot be kept: {_told(error)}{_where(error)}."
                f"{_fix(error)} Annotate what the task returns, or return plain JSON values."
            ) from error

    def decode_result(self, value: Any, /) -> Any:
        """A kept result, as the task returned it.

        Raises:
            UnserialisableResult: the value does not fit the return annotation, which may have changed since.
        """
        try:
            return self._bound_result().decode(value)
        except Exception as error:  # noqa: BLE001 - an application's class may raise anything while it is rebuilt
            raise UnserialisableResult(
                f"A kept result of {self.name} cannot be read: {_told_without_values(error)}."
            ) from _cause(error)

    def _bound(self) -> Plan:
        if self._plan is None:
            parameters = parameters_of(self._function, name=self.name, takes_context=self._takes_context)
            carriers = {
                parameter.name: self._carrier(f"parameter {parameter.name!r}", parameter.annotation)
                for parameter in parameters
            }
            self._plan = Plan(parameters, carriers, name=self.name)
        return self._plan

    def _bound_result(self) -> Carrier:
        if self._result is None:
            self._result = self._carrier("the result", return_annotation(self._function))
        return self._result

    def _carrier(self, subject: str, annotation: Any) -> Carrier:
        if annotation is UNANNOTATED:
            return carrier_for(annotation)
        try:
            return carrier_for(resolve(annotation, self._function))
        except Exception as error:
            raise InvalidTask(
                f"Task {self.name}: {subject} is annotated as {_spelled(annotation)}, which cannot be carried:"
                f" {_told(error)}. {_CARRIED}"
            ) from error

    def _refusal(self, argument: str, carrier: Carrier, error: BaseException) -> str:
        annotated = (
            "it has no annotation"
            if carrier.annotation is UNANNOTATED
            else f"it is annotated as {_spelled(carrier.annotation)}"
        )
        return (
            f"Cannot enqueue {self.name}: argument {argument!r}{_where(error)} would not arrive as it was sent:"
            f" {_told(error)} ({annotated}).{_fix(error)}"
        )


def _spelled(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


def _told(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep, or contains itself"
    return str(error).rstrip(".")


def _told_without_values(error: BaseException) -> str:
    """What a worker may log: an argument can be a secret, and msgspec quotes the value that fits no enum."""
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        return text if text.startswith(("Expected", "Object")) else "the value is not valid for its type"
    return type(error).__qualname__


def _cause(error: BaseException) -> BaseException | None:
    """msgspec's error, whose text was told as far as it may be, ends here; that of an application's class goes on."""
    return None if isinstance(error, msgspec.ValidationError) else error


def _where(error: BaseException) -> str:
    return f" at {error.path}" if isinstance(error, Lossy) and error.path else ""


def _fix(error: BaseException) -> str:
    return f" To fix: {error.fix}." if isinstance(error, Lossy) and error.fix else ""
