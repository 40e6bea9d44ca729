"""Compare two methods over the same pictures, and say which is better only where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ....attribution.configured import ConfiguredMethod
from ....attribution.methods import METHODS
from ....core.checks import options_of
from ....core.config import as_dict
from ....core.errors import ConfigError
from ....core.files import alone_in
from ....evaluate.comparison import bootstrap_difference
from ....evaluate.measures import HIGH_IS_GOOD
from ...config.schema import EvaluateConfig
from ..pictures import Say, begin_run
from ..results import save_csv, save_json
from .measuring import configured, measure_pictures
from .table import NOT_NUMBERS

COLUMNS = ("measure", "first", "second", "difference", "low", "high", "p_value", "images")


def report_comparison(config: EvaluateConfig, say: Say, complain: Say) -> bool:
    """Compare the two methods of a config. Return whether every picture could be read.

    Writes `compare/results.csv` (a line for each picture and method), and `comparison.csv` and
    `comparison.json` (a line for each measure). Raises `ConfigError` for a method and itself, and
    `ImageError` for fewer than two pictures.
    """
    first, second = configured(config)
    if _settings(first) == _settings(second):
        raise ConfigError(
            f"both methods are {first.name} with the same options; name two, or give one of them "
            f"other options: '{{name: {first.name}, …}}'"
        )
    folder, _, pictures = begin_run(config, "compare", complain)
    with alone_in(folder):
        run = measure_pictures(config, folder, pictures, least=2)
        found = list(_comparisons(run.rows, run.titles, config.seed))
        for line in _table(found, run.titles):
            say(line)
        save_csv(run.folder / "comparison.csv", found)
        record = {
            "network": run.classifier.title,
            "images": run.images,
            "methods": run.titles,
            "comparisons": found,
            "fingerprint": run.fingerprint,
            "config": as_dict(config),
        }
        save_json(run.folder / "comparison.json", record)
        files = (run.folder / name for name in ("results.csv", "comparison.csv", "comparison.json"))
        say(f"→ {', '.join(map(str, files))}")
    return run.images == run.asked


def _settings(method: ConfiguredMethod) -> tuple[str, dict[str, Any]]:
    """A method with all of its options, also those that were not given."""
    given = {**method.options, **method.reduction}
    return method.name, {**options_of(METHODS[method.name]), **given}


def _comparisons(
    rows: Sequence[Mapping[str, Any]], titles: Sequence[str], seed: int
) -> Iterator[dict[str, Any]]:
    """A row for each number. What does not exist is None."""
    for key in rows[0]:
        if key in NOT_NUMBERS or key == "passes":
            continue
        pair = np.array([[row[key] for row in rows if row["method"] == title] for title in titles])
        pair = pair[:, ~np.isnan(pair).any(axis=0)]
        count = pair.shape[1]
        row: dict[str, Any] = {**dict.fromkeys(COLUMNS), "measure": key, "images": count}
        if count:
            row.update(first=float(pair[0].mean()), second=float(pair[1].mean()))
        if count < 2:
            yield {**row, "verdict": f"not known, with {count} image{'s' * (count != 1)}"}
            continue
        found = bootstrap_difference(*pair, seed=seed)
        row.update(difference=found.mean, low=found.low, high=found.high, p_value=found.p_value)
        verdict = f"no difference seen with {count} images"
        if found.significant:
            better = (found.mean > 0) == (key in HIGH_IS_GOOD)
            verdict = f"{titles[0] if better else titles[1]} is better"
        yield {**row, "verdict": verdict}


def _table(rows: Sequence[Mapping[str, Any]], titles: Sequence[str]) -> Iterator[str]:
    """The comparisons as text. The last column says in words what they mean."""
    wide = [max(10, len(title) + 2) for title in titles]
    yield (
        f"{'measure':20}{titles[0]:>{wide[0]}}{titles[1]:>{wide[1]}}{'difference':>12}"
        f"{'95 % interval':>20}{'p':>8}  verdict"
    )
    for row in rows:
        interval = "-" if row["low"] is None else f"{row['low']:.3g} to {row['high']:.3g}"
        yield (
            f"{row['measure']:20}{_number(row['first']):>{wide[0]}}"
            f"{_number(row['second']):>{wide[1]}}{_number(row['difference']):>12}"
            f"{interval:>20}{_number(row['p_value'], '.2g'):>8}  {row['verdict']}"
        )


def _number(value: float | None, style: str = ".3g") -> str:
    return "-" if value is None else format(value, style)
