"""The kinds of server that there are."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["redis", "rabbitmq", "postgres"]
KINDS: tuple[Kind, ...] = get_args(Kind)
