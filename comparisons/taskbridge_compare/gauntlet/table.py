"""The published table: a pure function of the headers of cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Header = dict[str, Any]
COLUMNS = (
    "backend",
    "profile",
    "fault",
    "drains",
    "confirmed / in doubt / denied",
    "strikes",
    "lost",
    "stuck",
    "parked",
    "ran again",
    "unexplained",
    "recovery p50 / p95 / max",
    "longest wait",
    "resumed after p50 / max",
    "verdict",
)
_PAGE = """\
# What the gauntlet found

<!-- Written by `make gauntlet` from the files beside it. -->

Run {days}, in drains of {sizes}; what had not completed was watched for {patience} s.
Machine: {machines}. Its load was {load}, so times are upper bounds.
Each file holds its commit, versions, command and every raw event; `comparisons/README.md` says what the columns mean.

{table}"""
_NEVER = ("stuck", "unsearched")


def lines(headers: Iterable[Header]) -> list[tuple[str, ...]]:
    """One line a backend, profile and fault, all its repeats together."""
    groups: dict[tuple[str, str, str], list[Header]] = defaultdict(list)
    for header in headers:
        groups[header["backend"], header["profile"], header["fault"]].append(header)
    return [_line(key, groups[key]) for key in sorted(groups, key=lambda key: (key[2], key[0], key[1]))]


def markdown(headers: Iterable[Header]) -> str:
    """The lines as a table of Markdown."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *lines(headers)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def page(headers: Iterable[Header]) -> str:
    """The page beside the results: what was run, where, and its table."""
    known = list(headers)
    days = sorted({header["finished"][:10] for header in known})
    sizes = sorted({(header["size"]["jobs"], header["size"]["strikes"]) for header in known}, reverse=True)
    machines = sorted({_machine(header["machine"]) for header in known})
    load = [header["machine"]["load_average"][0] for header in known]
    return _PAGE.format(
        days=" to ".join(dict.fromkeys((days[0], days[-1]))) if days else "never",
        sizes=", ".join(f"{jobs} jobs and {strikes} strikes" for jobs, strikes in sizes),
        patience=" or ".join(sorted({f"{header['size']['patience']:g}" for header in known})),
        machines="; ".join(machines),
        load=f"{min(load):.0f} to {max(load):.0f}" if load else "unknown",
        table=markdown(known),
    )


def _machine(found: Mapping[str, Any]) -> str:
    return f"{found['usable_processors']} processors ({found['processor'] or found['architecture']}), {found['system']}"


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below or at which `part` of the ordered values lie."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _line(key: tuple[str, str, str], headers: Sequence[Header]) -> tuple[str, ...]:
    found = [header["judgement"] for header in headers]
    extra = Counter[str]()
    for judgement in found:
        extra.update(judgement["extra"])
    unexplained = extra.pop("unexplained", 0)
    again = ", ".join(f"{count} {why}" for why, count in sorted(extra.items())) or "0"
    recovery = sorted(seconds for judgement in found for seconds in judgement["recovery"])
    times = " / ".join(f"{quantile(recovery, part):.1f}" for part in (0.5, 0.95, 1.0)) + " s" if recovery else "none"
    waited = [seconds for judgement in found for seconds in judgement["waited"]]
    # Files of the judge's earlier days do not say it, and none of them restarted a broker.
    resumed = sorted(seconds for judgement in found for seconds in judgement.get("resumed", ()))
    colours = Counter(judgement["colour"] for judgement in found)
    verdict = ", ".join(f"{count} {colour}" for colour, count in sorted(colours.items()))
    return (
        *key,
        str(len(headers)),
        " / ".join(str(_sum(found, name)) for name in ("confirmed", "doubtful", "denied")),
        str(sum(judgement["struck"] for judgement in found)),
        str(_sum(found, "lost")),
        str(sum(_sum(found, name) for name in _NEVER)),
        str(_sum(found, "parked")),
        again,
        str(unexplained),
        times,
        f"{max(waited):.1f} s" if waited else "none",
        f"{quantile(resumed, 0.5):.1f} / {resumed[-1]:.1f} s" if resumed else "none",
        verdict,
    )


def _sum(found: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(judgement[name] if isinstance(judgement[name], int) else len(judgement[name]) for judgement in found)
