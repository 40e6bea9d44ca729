"""Measure whether a map depends on what the network has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...attribution.configured import configure_method
from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError
from ...core.files import alone_in, remove_files
from ...evaluate.sanity import Randomised, randomisation
from ...models.class_names import parse_target
from ...models.classifier import network_errors
from .. import drawing
from ..config.schema import SanityConfig
from .pictures import (
    Pictures,
    Say,
    as_function,
    begin_run,
    checked_logits,
    common_function,
    distinct_titles,
)
from .results import plot_curves, save_json

# The fields of `Randomised`, and their names in a table.
KINDS = {
    "rank_correlation": "rank correlation",
    "rank_correlation_abs": "rank correlation of sizes",
    "ssim": "structural similarity of sizes",
}
COLUMNS = 7
CURVES = "curves"


def report_sanity(config: SanityConfig, say: Say, complain: Say) -> bool:
    """Make the layers of the network random, and compare the maps before and after.

    Writes `sanity/<mode>_<name>.png` for each picture, with a row for each method and columns for
    layers. For all pictures together it writes `<mode>.json` and `<mode>_curves.png`. Returns
    whether every picture could be read.
    """
    methods = [configure_method(method, "methods") for method in config.methods]
    if not methods:
        raise ConfigError("methods must hold at least one name")
    common_function(methods, config.target)
    folder, classifier, pictures = begin_run(config, "sanity", complain, CURVES)
    target = parse_target(config.target, classifier.labels)
    named = dict(zip(distinct_titles(methods), (method.prepared(classifier) for method in methods)))
    found: dict[str, list[list[Randomised]]] = {title: [] for title in named}
    done = 0
    table, plot = folder / f"{config.mode}.json", folder / f"{config.mode}_{CURVES}.png"
    with alone_in(folder):
        for path, picture in pictures:
            image = classifier.prepare([picture])
            rows = []
            for title, method in named.items():
                with network_errors(classifier, tuple(image.shape[:1:-1])):
                    if method.function is None:
                        checked_logits(classifier, image)
                    stages = randomisation(
                        classifier.network,
                        image,
                        as_function(method),
                        target,
                        mode=config.mode,
                        seed=config.seed,
                        score=method.function or "logit",
                    )
                found[title].append(stages)
                rows.append((title, _panels(classifier.to_pixels(image)[0], stages)))
            note = f"{pictures.titles[path]}  ·  {config.mode} randomisation from the top"
            sheet = drawing.figure(rows, classifier.title, note, scale=1)
            if not done:
                remove_files(folder, [table, plot])  # of an earlier run
            output = folder / f"{config.mode}_{pictures.names[path]}.png"
            drawing.save_picture(output, sheet)
            say(f"{pictures.titles[path]} → {output}")
            done += 1
        if not done:
            raise ImageError("no image could be read")
        _report((table, plot), config, pictures, found, done, say)
    return done == pictures.count


def _panels(pixels: np.ndarray, stages: Sequence[Randomised]) -> list[tuple[str, np.ndarray]]:
    """The picture, and then the maps at some of the stages."""
    shown = [stages[n] for n in _spaced(len(stages), COLUMNS)]
    titles = [each.layer if each.maps.any() else f"{each.layer}: zero" for each in shown]
    maps = [_sizes(each.maps[0]) for each in shown]
    return [("Input image", pixels), *zip(titles, maps)]


def _report(
    files: tuple[Path, Path],
    config: SanityConfig,
    pictures: Pictures,
    found: Mapping[str, Sequence[Sequence[Randomised]]],
    images: int,
    say: Say,
) -> None:
    """Print the likeness at the last stage, write the means as JSON, and plot them."""
    means = {
        title: {
            kind: [
                float(np.mean([getattr(stages[n], kind) for stages in runs]))
                for n in range(len(runs[0]))
            ]
            for kind in KINDS
        }
        for title, runs in found.items()
    }
    layers = [stage.layer for stage in next(iter(found.values()))[0]]
    say(f"{'after ' + layers[-1] + ':':32}" + "".join(f"{kind:>22}" for kind in KINDS))
    for title in found:
        say(f"{title[:31]:32}" + "".join(f"{means[title][kind][-1]:>22.2f}" for kind in KINDS))
    record = {
        "network": pictures.classifier.title,
        "images": images,
        "layers": layers,
        "means": means,
        "fingerprint": pictures.fingerprint(),
        "config": as_dict(config),
    }
    save_json(files[0], record)
    places = list(range(len(layers)))
    plots = [
        (
            heading,
            "layers made random",
            "likeness",
            {title: (places, means[title][kind]) for title in found},
        )
        for kind, heading in KINDS.items()
    ]
    plot_curves(files[1], plots, say)


def _sizes(values: np.ndarray) -> np.ndarray:
    return drawing.heat(np.abs(values.sum(axis=0)))


def _spaced(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spaced, with the first and the last."""
    return sorted({round(n * (count - 1) / max(1, most - 1)) for n in range(min(most, count))})
