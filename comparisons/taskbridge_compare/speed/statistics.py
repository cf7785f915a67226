"""The few statistics that the speed tables need. Medians and ranks; never a mean of round trips."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOISY_SPREAD = 0.25


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


def paired_ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def band(of: Sequence[float], to: Sequence[float]) -> tuple[float, float]:
    """The range of the ratios of each round: for the same code against itself, what is no difference."""
    ratios = [a / b for a, b in zip(of, to, strict=True)]
    return min(ratios), max(ratios)
