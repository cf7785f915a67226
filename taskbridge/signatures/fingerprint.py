"""A short text that changes when the signature of a task does."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from taskbridge.codec.signature import parameters_of

if TYPE_CHECKING:
    from taskbridge.options import Declared

LENGTH = 12


def fingerprint_of(task: Declared, /) -> str:
    """Of names, kinds, annotations as written, and whether there is a default; never of a default's value."""
    from hashlib import sha256  # with OpenSSL it costs each import of taskbridge some ms

    parameters = parameters_of(task.function, name=task.options.name, takes_context=task.options.takes_context)
    lines = [
        f"{parameter.kind.name} {parameter.name}{'' if parameter.default is inspect.Parameter.empty else '='} "
        f"{written(parameter.annotation)}"
        for parameter in parameters
    ]
    return sha256("\n".join(lines).encode()).hexdigest()[:LENGTH]


def written(annotation: Any, /) -> str:
    """An annotation as its author wrote it."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
