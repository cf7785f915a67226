"""What the user may have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], /) -> str:
    """A sentence with the nearest known word, else with all of them; it begins with a space."""
    from difflib import get_close_matches  # only an error needs it, and it costs each import of taskbridge 1.4 ms

    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(names)}."
