"""Filters of the admin lists, out of the query of the page; what they leave out is read all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.http import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

READ: Final = 5_000
"""How many of a list are looked at for one page: a filter that fits few must not read a large store to its end."""


_NAMES: Final = {"queue_name": "queue", "detail_status": "status", "backend": "of_backend"}
"""In the query, where it is not the attribute's own: there `backend` says which store is shown."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One field of the form above a list."""

    attribute: str
    name: str
    """What it is in the query."""
    value: str
    choices: Sequence[str]
    """Empty: what is written is looked for within the text."""

    @property
    def label(self) -> str:
        """What is written before the field."""
        return self.name.removeprefix("of_").capitalize()

    def fits(self, value: object) -> bool:
        """Whether something with this value is shown."""
        if not self.value:
            return True
        return str(value) == self.value if self.choices else self.value.lower() in str(value).lower()


class Filters:
    """All fields of one form: attributes, and what may be chosen; nothing where text is written."""

    def __init__(self, request: HttpRequest, /, **choices: Sequence[str]) -> None:
        self.fields = [
            Filter(attribute, name, request.GET.get(name, "").strip(), found)
            for attribute, found in choices.items()
            for name in (_NAMES.get(attribute, attribute),)
        ]

    def fit(self, thing: object, /, **others: object) -> bool:
        """Whether it is shown; `others` are values that are no attributes of it."""
        return all(
            field.fits(others[field.attribute] if field.attribute in others else getattr(thing, field.attribute))
            for field in self.fields
        )

    def __bool__(self) -> bool:
        return any(field.value for field in self.fields)

    @property
    def query(self) -> str:
        """What keeps them in a link; it begins with an ampersand, or is empty."""
        said = urlencode({field.name: field.value for field in self.fields if field.value})
        return f"&{said}" if said else ""
