"""The few statistics that the speed tables need. Medians and ranks; never a mean of round trips."""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NOISY_SPREAD = 0.25
_RESAMPLINGS: Final = 500


def percentile(samples: Sequence[float], rank: float) -> float:
    """The nearest-rank percentile, 0 < rank <= 100."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


def spread(samples: Sequence[float]) -> float:
    """Interquartile range over the median."""
    if len(samples) < 4:
        return 0.0
    low, _, high = statistics.quantiles(samples, n=4)
    return (high - low) / statistics.median(samples)


def is_noisy(samples: Sequence[float]) -> bool:
    """True if half of the samples lie further apart than a quarter of their median."""
    return spread(samples) > _NOISY_SPREAD


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """That of each round."""
    return [a / b for a, b in zip(of, to, strict=True)]


def paired_ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(ratios(of, to))


def band(of: Sequence[float], to: Sequence[float]) -> tuple[float, float]:
    """The range of the ratios of each round: for the same code against itself, what is no difference."""
    found = ratios(of, to)
    return min(found), max(found)


def resampled(statistic: Callable[..., float], *samples: Sequence[float]) -> tuple[float, float]:
    """Between which values nine of ten bootstraps of the statistic lie; each of the samples is drawn anew by itself."""
    chance = random.Random(7)  # noqa: S311 - a bootstrap
    found = [statistic(*(chance.choices(each, k=len(each)) for each in samples)) for _ in range(_RESAMPLINGS)]
    return percentile(found, 5), percentile(found, 95)
