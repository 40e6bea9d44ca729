"""Is one method better than another, or is the difference chance? Statistics over images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from ..core.checks import check_count
from ..core.errors import ConfigError

NUMBERS_AT_ONCE = 4_000_000


class Interval(NamedTuple):
    """A number over images, and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """The mean difference over so many `images`, its confidence interval and its p-value."""

    mean: float
    low: float
    high: float
    p_value: float
    images: int

    @property
    def significant(self) -> bool:
        """Whether p is under 0.05, and the interval does not hold 0."""
        return self.p_value < 0.05 and (self.low > 0 or self.high < 0)


def bootstrap_interval(
    values: Any,
    *,
    average: str = "mean",
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean of numbers over images, with a confidence interval (bootstrap, Efron 1979).

    `values`: one for each image; NaN means that the image has none. `samples` times as many images
    are drawn with replacement. The interval holds the `level` in the middle of their means. For
    few images this is too narrow, so it is widened as Student's t is over the normal distribution
    (Hesterberg 2015). `average`: mean or median. For a single image it is that image's value.
    Raises `ConfigError` for wrong options and without any image.
    """
    check_count("seed", seed, 0)
    check_count("samples", samples, 100)
    if isinstance(level, bool) or not isinstance(level, float) or not 0 < level < 1:
        raise ConfigError(f"level must be a number over 0 and under 1, not {level!r}")
    if average not in ("mean", "median"):
        raise ConfigError(f"unknown average '{average}'; use mean, median")
    known = _known(values)
    of: Callable[..., Any] = np.mean if average == "mean" else np.median
    random, middle, count = np.random.default_rng(seed), of(known), len(known)
    found = np.concatenate(
        [of(known[random.integers(count, size=(r, count))], axis=1) for r in _rows(samples, count)]
    )
    tail = 50 * (1 - level)
    low, high = np.percentile(found - middle, [tail, 100 - tail])
    wider = _widening(count, level)
    return Interval(float(middle), float(middle + wider * low), float(middle + wider * high))


def bootstrap_difference(
    first: Any, second: Any, *, level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> Difference:
    """Whether two methods differ over the same images: a paired test of the mean difference.

    `first` and `second`: the number of each image by each method. An image for which one of them is
    NaN is left out. The interval is that of `bootstrap_interval` for first − second. The two-sided
    p-value comes from changing the signs of the differences at random (Fisher 1935): the share of
    changes whose mean is at least as far from 0. Up to 13 images all changes are counted; else
    `samples` are drawn. With fewer than 6 images it is never under 0.05. Raises `ConfigError` for
    fewer than two images, for numbers of different images, and for wrong options.
    """
    pair = [np.asarray(values, dtype="float64").reshape(-1) for values in (first, second)]
    if len(pair[0]) != len(pair[1]):
        raise ConfigError(
            f"{len(pair[0])} and {len(pair[1])} numbers are not of the same images; give pairs"
        )
    differences = pair[0] - pair[1]
    differences = differences[~np.isnan(differences)]
    if len(differences) < 2:
        raise ConfigError("a paired test needs at least two images that have both numbers")
    interval = bootstrap_interval(differences, level=level, samples=samples, seed=seed)
    p_value = _sign_changes(differences, samples, np.random.default_rng(seed))
    return Difference(*interval, p_value, len(differences))


def _sign_changes(differences: np.ndarray, samples: int, random: np.random.Generator) -> float:
    """The two-sided p-value. The differences themselves are one of the changes."""
    count = len(differences)
    least = np.abs(differences.sum()) - 1e-9 * np.abs(differences).sum()  # for rounding
    if count <= 13:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float((np.abs((2 * bits - 1) @ differences) >= least).mean())
    far = sum(
        int((np.abs(random.choice([-1.0, 1.0], (rows, count)) @ differences) >= least).sum())
        for rows in _rows(samples, count)
    )
    return (far + 1) / (samples + 1)


def _widening(count: int, level: float) -> float:
    """The half width of an interval of Student's t over that of σ / √n, with σ divided by n.

    The quantile of t is that of Cornish and Fisher, to the second order.
    """
    freedom = max(1, count - 1)
    z = NormalDist().inv_cdf((1 + level) / 2)
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return t / z * (count / freedom) ** 0.5


def _known(values: Any) -> np.ndarray:
    known = np.asarray(values, dtype="float64").reshape(-1)
    known = known[~np.isnan(known)]
    if not len(known):
        raise ConfigError("no image has this number, so it has no mean")
    return known


def _rows(samples: int, count: int) -> Iterator[int]:
    """Split the samples of `count` numbers into parts that fit into memory."""
    most = max(1, NUMBERS_AT_ONCE // count)
    for start in range(0, samples, most):
        yield min(most, samples - start)
