"""What has changed between two versions of the code, and whether messages of the one can be run by the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from taskbridge.signatures.acceptance import accepts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskbridge.signatures.description import Parameter, Signature


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference of a task from what is locked."""

    task: str
    what: str
    is_compatible: bool
    """Whether a worker of the new code can run every message of the old."""
    remedy: str = ""


_DRAIN: Final = "until no message of the old code is left"
_POSITIONAL: Final = ("positional only", "positional or keyword")


def compare(old: Mapping[str, Signature], new: Mapping[str, Signature], /) -> list[Change]:
    """All changes, by task."""
    changes: list[Change] = []
    for name in sorted({*old, *new}):
        if name not in new:
            remedy = f"Keep it {_DRAIN}; a new name can be given beside it."
            changes.append(Change(task=name, what="the task is gone", is_compatible=False, remedy=remedy))
        elif name not in old:
            remedy = "Deploy workers before producers."
            changes.append(Change(task=name, what="the task is new", is_compatible=True, remedy=remedy))
        else:
            changes += (
                Change(task=name, what=what, is_compatible=not remedy, remedy=remedy)
                for what, remedy in _differences(old[name].parameters, new[name].parameters)
            )
    return changes


def _differences(old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> Iterator[tuple[str, str]]:
    """What has changed, and what to do about it; no remedy for what harms nothing."""
    was, now = {one.name: one for one in old}, {one.name: one for one in new}
    takes_any_keyword = any(one.kind == "any keyword" for one in new)
    for name in was:
        if name not in now:
            is_harmless = takes_any_keyword and was[name].kind == "keyword only"
            remedy = f"Keep it, with a default, {_DRAIN}. A new name can be given beside it."
            yield f"the parameter {name!r} is gone", "" if is_harmless else remedy
    for name, one in now.items():
        if name in was:
            yield from _of_one(was[name], one)
        elif one.has_default or one.kind in ("any positional", "any keyword"):
            yield f"the parameter {name!r} is new, with a default", ""
        else:
            yield f"the parameter {name!r} is new, without a default", "Give it a default."
    kept = [one.name for one in old if one.kind in _POSITIONAL and one.name in now]
    places = [one.name for one in new if one.kind in _POSITIONAL]
    if places[: len(kept)] != kept and all(now[name].kind in _POSITIONAL for name in kept):
        remedy = "Keep the order, and add new ones at the end or as keyword-only."
        yield f"positional arguments would arrive elsewhere: {', '.join(kept)} became {', '.join(places)}", remedy


def _of_one(old: Parameter, new: Parameter) -> Iterator[tuple[str, str]]:
    name = old.name
    if old.kind != new.kind:
        is_wider = new.kind == "positional or keyword" and old.kind in ("positional only", "keyword only")
        remedy = "" if is_wider else f"Leave it as it was {_DRAIN}."
        yield f"the parameter {name!r} was {old.kind} and is {new.kind}", remedy
    if old.has_default and not new.has_default:
        yield f"the parameter {name!r} has no default any more", f"Leave the default {_DRAIN}."
    if new.has_default and not old.has_default:
        yield f"the parameter {name!r} has a default now", ""
    if (old.annotation, old.accepts) == (new.annotation, new.accepts):
        return
    what = f"the type of {name!r} was {old.annotation or 'not given'} and is {new.annotation or 'not given'}"
    if old.accepts is None or new.accepts is None:
        is_wide = old.annotation == new.annotation
    else:
        is_wide = accepts(new.accepts, old.accepts)
    remedy = f"Accept both, {old.annotation or 'any JSON value'} | {new.annotation}, {_DRAIN}, or give it another name."
    yield what, "" if is_wide else remedy
