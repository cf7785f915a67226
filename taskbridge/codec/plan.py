"""A task's parameters with their carriers: what the codec needs for each call, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbridge.codec.signature import Parameter, header

if TYPE_CHECKING:
    from taskbridge.codec.carrier import Carrier


class Plan:
    """What is known once the annotations are resolved."""

    __slots__ = ("check", "extra_keyword", "extra_positional", "keyword", "names", "positional")

    def __init__(self, parameters: list[Parameter], carriers: dict[str, Carrier], *, name: str) -> None:
        self.check = header(parameters, name=name)
        self.names: list[str] = []
        self.positional: list[Carrier] = []
        self.keyword: dict[str, Carrier] = {}
        self.extra_positional: tuple[str, Carrier] | None = None
        self.extra_keyword: Carrier | None = None
        for parameter in parameters:
            carrier = carriers[parameter.name]
            if parameter.kind is Parameter.VAR_POSITIONAL:
                self.extra_positional = parameter.name, carrier
            elif parameter.kind is Parameter.VAR_KEYWORD:
                self.extra_keyword = carrier
            else:
                if parameter.kind is not Parameter.KEYWORD_ONLY:
                    self.names.append(parameter.name)
                    self.positional.append(carrier)
                if parameter.kind is not Parameter.POSITIONAL_ONLY:
                    self.keyword[parameter.name] = carrier

    def at(self, index: int) -> tuple[str, Carrier]:
        """The name and carrier of a positional argument that passed `check`."""
        if index < len(self.positional):
            return self.names[index], self.positional[index]
        assert self.extra_positional is not None
        name, carrier = self.extra_positional
        return f"*{name}[{index - len(self.positional)}]", carrier

    def named(self, name: str) -> Carrier:
        """The carrier of a keyword argument that passed `check`."""
        carrier = self.keyword.get(name, self.extra_keyword)
        assert carrier is not None
        return carrier
