"""Measure whether other networks recognise class images, and compare recipes for making them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle

from ...core import runtime
from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError, errors_of
from ...core.files import alone_in, make_output_folder, remove_files
from ...core.images import distinct_names, find_images, load_image
from ...evaluate.generated import (
    JUDGES,
    PICTURE_MEASURES,
    Named,
    class_ascent,
    judge_pictures,
    make_class_images,
    mean_probability,
    shares,
    statistics_distances,
)
from ...evaluate.generated.transfer import BATCH_SIZE
from ...models.class_names import parse_target
from ...models.classifier import Classifier, network_errors
from ...models.loading import load_model
from ...network.fast import use_fast
from ...synthesis.builder import check_maker, configured_start
from .. import drawing
from ..config.schema import GenerateConfig
from .pictures import Say, pass_seconds
from .results import save_csv
from .transfer_tables import judge_table, named_table, picture_table

SAMPLES = "content/images"
RESERVED = r"\.+|summary\.csv"  # names that the folder of a recipe cannot have
Numbers = dict[str, Any]


class Recipe(NamedTuple):
    """A config for class images, and the network that it makes them for."""

    name: str
    config: GenerateConfig
    maker: Classifier


def report_transfer(
    configs: Mapping[Path, GenerateConfig],
    say: Say,
    classes: Sequence[str | int],
    judges: Sequence[str] = JUDGES,
) -> None:
    """Make images of the classes by each config, let the judges name them, and print the results.

    Writes `transfer/summary.csv`, a row for each config, and for each config a folder with the
    pictures, `sheet.png` and `classes.csv`.
    """
    first = _common(list(configs.values()))
    folder = make_output_folder(Path(first.output) / "transfer")
    runtime.use_device(first.device)
    use_fast(first.fast)
    panel = [load_model(judge) for judge in dict.fromkeys(judges)]
    indices = _indices(classes, panel[0].labels)
    recipes = list(_recipes(configs, indices))
    photographs = _photograph_row(recipes[0].maker, panel, say)
    rows: list[Numbers] = []
    with alone_in(folder):
        for recipe in recipes:
            with errors_of(recipe.name):
                pictures, passes = _made(recipe, indices)
            named = judge_pictures(panel, pictures, indices)
            rows.append(_row(recipe.name, named, panel, passes))
            for line in named_table(recipe.name, named, panel):
                say(line)
            _write(folder / recipe.name, named, panel, say)
            save_csv(folder / "summary.csv", [*rows, *photographs])  # an interrupt loses no recipe
    for table in (judge_table(rows, panel), picture_table([*rows, *photographs])):
        for line in ("", *table):
            say(line)
    say(f"→ {folder / 'summary.csv'}")


def _common(configs: Sequence[GenerateConfig]) -> GenerateConfig:
    """The first config. It has the same keys for the whole run as the others."""
    for key in ("output", "device", "fast"):
        if any(getattr(config, key) != getattr(configs[0], key) for config in configs):
            raise ConfigError(f"the configs differ in {key}; set it for all of them: -o {key}=…")
    return configs[0]


def _indices(classes: Sequence[str | int], labels: Sequence[str] | None) -> list[int]:
    parsed = [parse_target(target, labels) for target in classes]
    indices = [index for index in parsed if index is not None]
    if not indices or len(indices) < len(parsed):
        raise ConfigError("--classes must be indices or names of classes, at least one")
    return list(dict.fromkeys(indices))


def _recipes(configs: Mapping[Path, GenerateConfig], classes: Sequence[int]) -> Iterator[Recipe]:
    """The recipes with their networks. What a config has wrong is told before any long work."""
    for path, name in distinct_names(list(configs), RESERVED).items():
        with errors_of(name):
            maker = load_model(**as_dict(configs[path].model))
            check_maker(maker)
            class_ascent(configs[path], maker, classes[:BATCH_SIZE])
        yield Recipe(name, configs[path], maker)


def _made(recipe: Recipe, classes: Sequence[int]) -> tuple[list[np.ndarray], float]:
    """The pictures of a recipe, and the time that one step takes, in bare passes of its network."""
    _, config, maker = recipe
    batch = list(classes[:BATCH_SIZE])
    with network_errors(maker):
        images = paddle.concat([configured_start(config, maker)] * len(batch))
        bare = pass_seconds(maker, images, batch, "logit") / len(batch)
    started = time.perf_counter()
    pictures = make_class_images(config, maker, classes)
    seconds = time.perf_counter() - started
    return pictures, seconds / (bare * config.iterations * len(classes))


def _row(name: str, named: Sequence[Named], judges: Sequence[Classifier], passes: float) -> Numbers:
    """The row of a recipe in `summary.csv`."""
    row: Numbers = {"recipe": name}
    for judge in (judge.name for judge in judges):
        row[f"first_{judge}"], row[f"top5_{judge}"] = shares(named, judge)
        row[f"probability_{judge}"] = mean_probability(named, judge)
    distances = [each.distances for each in named]
    return {**row, **_looks([each.picture for each in named], distances), "time": passes}


def _looks(
    pictures: Sequence[np.ndarray], distances: Sequence[Mapping[str, float]]
) -> dict[str, float | None]:
    """The means of the measures of pictures. None is a measure that no picture has."""
    columns = {"distance": [value for each in distances for value in each.values()]}
    for key, measure in PICTURE_MEASURES.items():
        values = map(measure, pictures)
        columns[key] = [value for value in values if not np.isnan(value)]
    return {key: float(np.mean(values)) if values else None for key, values in columns.items()}


def _photograph_row(maker: Classifier, judges: Sequence[Classifier], say: Say) -> list[Numbers]:
    """The row of the sample photographs, cropped as the network of the first recipe sees them."""
    try:
        paths = find_images(SAMPLES) if os.path.isdir(SAMPLES) else []
    except ImageError:  # the folder holds no picture
        paths = []
    if not paths:
        say(f"no sample photographs in {SAMPLES}, so the table has no row for them")
        return []
    pictures = [np.asarray(maker.crop(load_image(path))) for path in paths]
    return [
        {"recipe": "sample photographs", **_looks(pictures, statistics_distances(judges, pictures))}
    ]


def _write(folder: Path, named: Sequence[Named], judges: Sequence[Classifier], say: Say) -> None:
    """Write each picture, all of them as one sheet, and what the judges say as a table.

    Pictures of an earlier run are removed, so that `evaluate pairs` does not take them.
    """
    rows, cells = [], []
    old = folder.iterdir() if folder.is_dir() else ()
    remove_files(folder, [path for path in old if re.fullmatch(r"[0-9]+\.png", path.name)])
    for each in named:
        name = judges[0].class_name(each.target)
        drawing.save_picture(folder / f"{each.target}.png", each.picture)
        cells.append((name, each.picture))
        row: Numbers = {"class": each.target, "name": name}
        for judge in (judge.name for judge in judges):
            row[f"rank_{judge}"] = each.ranks[judge] + 1
            row[f"probability_{judge}"] = each.probabilities[judge]
        rows.append(row)
    save_csv(folder / "classes.csv", rows)
    sheet = [("", cells[n : n + 5]) for n in range(0, len(cells), 5)]
    drawing.save_picture(folder / "sheet.png", drawing.figure(sheet, "", scale=1, smooth=5))
    say(f"→ {folder / 'sheet.png'}")
