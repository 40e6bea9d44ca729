"""Configs → measurements over many pictures, as tables, pictures, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle
from PIL import Image, ImageDraw
from tqdm import tqdm

from .. import render, runtime
from ..attribution import read_targets
from ..config import EvaluateConfig, GenerateConfig, LocaliseConfig, SanityConfig, as_dict
from ..errors import ConfigError, ImageError, look_up
from ..files import make_folder, whole_file, write_text
from ..gradients import input_gradient
from ..images import distinct_names, find_images, load_image
from ..methods import Choice, choose_method
from ..models import Classifier, load_model, network_errors
from ..targets import logits_of, probabilities, read_target
from .faithfulness import Curve, average_drop, deletion, infidelity, insertion, max_sensitivity
from .localisation import (
    Box,
    box_of,
    check_localisation,
    crops_map,
    localise,
    overlap,
    pointing_game,
)
from .sanity import Randomised, randomisation
from .transfer import CLASSES, JUDGES, shares, transfer
from .truth import Truth, read_truth, truth_of

Say = Callable[[str], None]


# --- whose map is best ----------------------------------------------------------------------------


class Case(NamedTuple):
    """A picture, its class and object, and one method's map of it."""

    network: paddle.nn.Layer
    image: paddle.Tensor
    target: int
    truth: np.ndarray | None
    map: paddle.Tensor
    method: Callable[..., paddle.Tensor]
    config: EvaluateConfig


def _insertion(case: Case) -> tuple[dict[str, float], Curve]:
    curve = insertion(*case[:2], case.map, case.target, **_steps(case))
    return {"insertion": float(curve.areas[0])}, curve


def _deletion(case: Case) -> tuple[dict[str, float], Curve]:
    curve = deletion(*case[:2], case.map, case.target, **_steps(case))
    return {"deletion": float(curve.areas[0])}, curve


def _pointing_game(case: Case) -> tuple[dict[str, float], None]:
    if case.truth is None or not case.truth.any():
        return {"pointing_game": float("nan")}, None
    return {"pointing_game": float(pointing_game(case.map.numpy(), [case.truth])[0])}, None


def _average_drop(case: Case) -> tuple[dict[str, float], None]:
    found = average_drop(*case[:2], case.map, case.target)
    return {"average_drop": float(found.drops[0]), "increase": float(found.increases[0])}, None


def _infidelity(case: Case) -> tuple[dict[str, float], None]:
    options: dict[str, Any] = {"samples": case.config.samples, "batch_size": case.config.batch_size}
    found = infidelity(*case[:2], case.map, case.target, seed=case.config.seed, **options)
    return {"infidelity": float(found[0])}, None


def _max_sensitivity(case: Case) -> tuple[dict[str, float], None]:
    found = max_sensitivity(*case[:2], case.method, case.target, seed=case.config.seed)
    return {"max_sensitivity": float(found[0])}, None


def _steps(case: Case) -> dict[str, Any]:
    return {"steps": case.config.steps, "batch_size": case.config.batch_size}


MEASURES = {
    "insertion": _insertion,
    "deletion": _deletion,
    "pointing_game": _pointing_game,
    "average_drop": _average_drop,
    "infidelity": _infidelity,
    "max_sensitivity": _max_sensitivity,
}
BEST_HIGH = ("insertion", "pointing_game", "increase")


def report_methods(config: EvaluateConfig, say: Say, complain: Say) -> bool:
    """Measure each method on each picture; return whether every picture could be read.

    Writes `evaluate/results.csv` (a line for each picture and method), `results.json` (the means,
    the curves and the config) and `curves.png`.
    """
    choices = [choose_method(method, "methods") for method in config.methods]
    measures = [look_up("measure", name, MEASURES) for name in config.measures]
    if not choices or not measures:
        raise ConfigError("methods and measures each hold at least one name")
    wanted = None if config.target == "labelled" else config.target
    truths = read_truth(config.truth) if config.truth else {}
    folder, classifier, pictures = _begin(config, "evaluate", complain)
    target = read_target(wanted, classifier.labels) if wanted is not None else None
    choices = [choice.ready(classifier) for choice in choices]
    titles = _titles(choices)
    rows: list[dict[str, Any]] = []
    curves: dict[str, dict[str, list[Curve]]] = {}
    done = 0
    for path, picture in pictures:
        truth = truth_of(path, truths)
        image = classifier.prepare([picture])
        with network_errors(classifier):
            asked = _class_of(path, truth, wanted, target, classifier, image)
            seen = truth.seen(picture, classifier) if truth else None
            floor = _pass_seconds(classifier, image, asked)
            for title, choice in zip(titles, choices):
                method = _reduced(choice)
                started = time.perf_counter()
                values = method(classifier.network, image, asked)
                values.numpy()
                ratio = (time.perf_counter() - started) / floor
                case = Case(classifier.network, image, asked, seen, values, method, config)
                row: dict[str, Any] = {"file": path.name, "class": asked, "method": title}
                for measure in measures:
                    numbers, curve = measure(case)
                    row.update(numbers)
                    if curve:
                        name = next(iter(numbers))
                        curves.setdefault(name, {}).setdefault(title, []).append(curve)
                rows.append({**row, "passes": ratio})
        done += 1
        _save_csv(folder / "results.csv", rows)  # an interrupt leaves what is done
    if not rows:
        raise ImageError("no image could be read")
    means = _means(rows, titles)
    for line in _table(means):
        say(line)
    drawn = {name: _mean_curves(each) for name, each in curves.items()}
    record = {
        "network": classifier.title,
        "images": done,
        "means": means,
        "curves": {
            name: {title: list(map(list, xy)) for title, xy in each.items()}
            for name, each in drawn.items()
        },
        "config": as_dict(config),
    }
    _save_json(folder / "results.json", record)
    say(f"→ {folder / 'results.csv'}, {folder / 'results.json'}")
    labels = {"insertion": "share of pixels put in", "deletion": "share of pixels taken away"}
    panels = [(name, labels[name], "probability", each) for name, each in drawn.items()]
    _plot(folder / "curves.png", panels, say)
    return done == pictures.count


# --- where is the object --------------------------------------------------------------------------


def report_places(config: LocaliseConfig, say: Say, complain: Say) -> bool:
    """Find the object of each picture and class; return whether every picture could be read.

    Writes `localise/<name>_pp.jpg` for each picture and `localise/boxes.json`.
    """
    choice = choose_method(config.method)
    names = ("engine", "foreground", "background", "threshold", "smoothing")
    options = {name: getattr(config, name) for name in names}
    check_localisation(**options)
    truths = read_truth(config.truth) if config.truth else {}
    folder, classifier, pictures = _begin(config, "localise", complain)
    wanted = read_targets(config.target, classifier.labels)
    method = _reduced(choice.ready(classifier))
    found: list[dict[str, Any]] = []
    done = 0
    for path, picture in pictures:
        with network_errors(classifier):
            with paddle.no_grad():
                logits = logits_of(classifier.network(classifier.prepare([picture])))
            chances = probabilities(logits).numpy()[0]
            rows = []
            for target in wanted.of(logits.numpy())[0].tolist():
                resized, values = crops_map(classifier, picture, method, target, config.ten_crops)
                (located,) = localise([resized], [values], **options)
                factors = np.divide(picture.size, resized.size)
                box = Box(*np.round(located.box * np.tile(factors, 2)).astype(int).tolist())
                truth = truth_of(path, truths)
                best = _best_overlap(box, truth, picture) if truth else None
                title = f"{classifier.class_name(target)} {chances[target]:.1%}"
                entry = {
                    "file": path.name,
                    "class": target,
                    "name": classifier.class_name(target),
                    "score": float(logits[0, target]),
                    "probability": float(chances[target]),
                    "box": list(box),
                }
                found.append(entry if best is None else {**entry, "overlap": best})
                told = "" if best is None else f", overlap {best:.2f}"
                say(f"{path.name}: {title} at {list(box)}{told}")
                pixels = np.asarray(resized.convert("RGB"))
                boxed = _boxed(pixels, located.mask, located.box)
                panels = [("Input image", pixels), ("Map", render.heat(values)), ("Object", boxed)]
                rows.append((title, panels))
        note = f"{path.name}  ·  {choice.name}, {config.engine}"
        sheet = render.figure(rows, classifier.title, note, scale=1, smooth=3)
        render.save_picture(folder / f"{pictures.names[path]}_pp.jpg", sheet)
        done += 1
    if not found:
        raise ImageError("no image could be read")
    overlaps = [entry["overlap"] for entry in found if "overlap" in entry]
    if overlaps:
        half = np.mean([value >= 0.5 for value in overlaps])
        say(f"overlap of at least a half: {half:.0%} of {len(overlaps)}")
    _save_json(folder / "boxes.json", found)
    say(f"→ {folder / 'boxes.json'}")
    return done == pictures.count


def _boxed(pixels: np.ndarray, mask: np.ndarray, box: Box) -> np.ndarray:
    """The picture, dark where the object is not, and the box around it."""
    shown = np.where(mask[..., None], pixels, (pixels * 0.35).astype("uint8"))
    drawn = Image.fromarray(shown)
    if box.x1 > box.x0:
        corners = (box.x0, box.y0, box.x1 - 1, box.y1 - 1)
        ImageDraw.Draw(drawn).rectangle(corners, outline=(255, 210, 0), width=3)
    return np.asarray(drawn)


def _best_overlap(box: Box, truth: Truth, picture: Image.Image) -> float:
    """The overlap with the object's box; of several boxes with the best one."""
    boxes = truth.boxes or (box_of(np.asarray(truth.on(picture)) > 127),)
    return max(overlap(box, other) for other in boxes)


# --- does the map depend on what was learned ------------------------------------------------------


def report_sanity(config: SanityConfig, say: Say, complain: Say) -> bool:
    """Randomise the network's layers below each picture's maps; return whether all could be read.

    Writes `sanity/<mode>_<name>.png`, rows of methods and columns of layers, `<mode>.json` and,
    over all pictures, `<mode>_curves.png`.
    """
    choices = [choose_method(method, "methods") for method in config.methods]
    if not choices:
        raise ConfigError("methods holds at least one name")
    folder, classifier, pictures = _begin(config, "sanity", complain)
    target = read_target(config.target, classifier.labels)
    choices = [choice.ready(classifier) for choice in choices]
    titles = _titles(choices)
    found: dict[str, list[list[Randomised]]] = {title: [] for title in titles}
    done = 0
    for path, picture in pictures:
        image = classifier.prepare([picture])
        rows = []
        for title, choice in zip(titles, choices):
            with network_errors(classifier):
                steps = randomisation(
                    classifier.network,
                    image,
                    _reduced(choice),
                    target,
                    mode=config.mode,
                    seed=config.seed,
                )
            found[title].append(steps)
            shown = [steps[n] for n in _spaced(len(steps), 7)]
            panels = [("Input image", classifier.to_pixels(image)[0])]
            panels += [
                (each.layer if each.maps.any() else f"{each.layer}: zero", _sizes(each.maps[0]))
                for each in shown
            ]
            rows.append((title, panels))
        note = f"{path.name}  ·  {config.mode} randomisation from the top"
        sheet = render.figure(rows, classifier.title, note, scale=1)
        render.save_picture(folder / f"{config.mode}_{pictures.names[path]}.png", sheet)
        say(f"{path.name} → {folder / f'{config.mode}_{pictures.names[path]}.png'}")
        done += 1
    if not done:
        raise ImageError("no image could be read")
    kinds = {
        "rank_correlation": "rank correlation",
        "rank_correlation_abs": "rank correlation of sizes",
        "ssim": "structural similarity of sizes",
    }
    means = {
        title: {
            kind: [
                float(np.mean([getattr(steps[n], kind) for steps in runs]))
                for n in range(len(runs[0]))
            ]
            for kind in kinds
        }
        for title, runs in found.items()
    }
    layers = [step.layer for step in found[titles[0]][0]]
    say(f"{'after ' + layers[-1] + ':':32}" + "".join(f"{kind:>22}" for kind in kinds))
    for title in titles:
        say(f"{title[:31]:32}" + "".join(f"{means[title][kind][-1]:>22.2f}" for kind in kinds))
    record = {"network": classifier.title, "images": done, "layers": layers, "means": means}
    _save_json(folder / f"{config.mode}.json", {**record, "config": as_dict(config)})
    places = list(range(len(layers)))
    plots = [
        (
            spoken,
            "layers made random",
            "likeness",
            {title: (places, means[title][kind]) for title in titles},
        )
        for kind, spoken in kinds.items()
    ]
    _plot(folder / f"{config.mode}_curves.png", plots, say)
    return done == pictures.count


def _sizes(values: np.ndarray) -> np.ndarray:
    return render.heat(np.abs(values.sum(axis=0)))


def _spaced(count: int, most: int) -> list[int]:
    """At most so many of the numbers below `count`, evenly, the first and the last among them."""
    return sorted({round(n * (count - 1) / max(1, most - 1)) for n in range(min(most, count))})


# --- do others recognise class images -------------------------------------------------------------


def report_transfer(
    config: GenerateConfig,
    say: Say,
    classes: Sequence[str | int] = CLASSES,
    judges: Sequence[str] = JUDGES,
) -> None:
    """Print a table of `transfer`, a line for each class, and write the pictures as one sheet."""
    folder = make_folder(Path(config.output) / "transfer")
    runtime.use_device(config.device)
    panel = [load_model(judge) for judge in judges]
    labels = panel[0].labels if panel else None
    found = [read_target(target, labels) for target in classes]
    indices = [index for index in found if index is not None]
    if not indices or len(indices) < len(found):
        raise ConfigError("classes are indices or names, at least one")
    named = transfer(config, indices, panel)
    names = [judge.name for judge in panel]
    say(f"{'class':28}" + "".join(f"{name:>22}" for name in names))
    for each in named:
        ranks = "".join(f"{each.ranks[name] + 1:>22}" for name in names)
        say(f"{panel[0].class_name(each.target)[:26]:28}{ranks}")
    for which, title in enumerate(("first", "in the top 5")):
        share = "".join(f"{shares(named, name)[which]:>22.0%}" for name in names)
        say(f"{title:28}{share}")
    cells = [(panel[0].class_name(each.target), each.picture) for each in named]
    rows = [("", cells[n : n + 5]) for n in range(0, len(cells), 5)]
    output = folder / "sheet.png"
    render.save_picture(output, render.figure(rows, "", scale=1, smooth=5))
    say(f"→ {output}")


# --- what they share ------------------------------------------------------------------------------


class _Pictures:
    """The pictures of a config, one by one; one that cannot be read is told of and left out."""

    def __init__(self, sources: str | Sequence[str], complain: Say):
        self.paths = find_images(sources)
        self.count, self.complain = len(self.paths), complain
        self.names = distinct_names(self.paths)

    def __iter__(self) -> Iterator[tuple[Path, Image.Image]]:
        hidden = True if self.count < 2 else None
        with tqdm(total=self.count, unit="image", disable=hidden, leave=False) as progress:
            for path in self.paths:
                try:
                    yield path, load_image(path)
                except ImageError as error:
                    self.complain(f"skipped: {error}")
                progress.update()


def _begin(config: Any, name: str, complain: Say) -> tuple[Path, Classifier, _Pictures]:
    pictures = _Pictures(config.images, complain)
    folder = make_folder(Path(config.output) / name)
    runtime.use_device(config.device)
    return folder, load_model(**as_dict(config.model)), pictures


def _class_of(
    path: Path,
    truth: Truth | None,
    wanted: str | int | None,
    target: int | None,
    classifier: Classifier,
    image: paddle.Tensor,
) -> int:
    """The class that is asked for: the labelled one, the predicted one, or the same for all."""
    if wanted is None:
        if truth is None or truth.target is None:
            raise ConfigError(f"no class is given for {path.name}; take target=predicted")
        return truth.target
    if target is not None:
        return target
    with paddle.no_grad():
        return int(logits_of(classifier.network(image))[0].argmax())


def _reduced(choice: Choice) -> Callable[..., paddle.Tensor]:
    """A choice as a function `(network, images, targets) → maps`, its channels put together."""

    def method(network: paddle.nn.Layer, images: paddle.Tensor, targets: Any) -> paddle.Tensor:
        return choice.reduced(choice.attribution(network, images, targets)[0])

    return method


def _titles(choices: Sequence[Choice]) -> list[str]:
    names = [choice.name for choice in choices]
    titles = [choice.title(names.count(choice.name) > 1) for choice in choices]
    return [
        title if titles.count(title) == 1 else f"{title} {titles[: n + 1].count(title)}"
        for n, title in enumerate(titles)
    ]


def _pass_seconds(classifier: Classifier, image: paddle.Tensor, target: int) -> float:
    """The median time of a bare pass, after one to warm up: forward, and the image's gradient."""
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        input_gradient(classifier.network, image, target).numpy()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def _means(
    rows: Sequence[Mapping[str, Any]], titles: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Each method's mean of each number, of those pictures that have it; its median of passes."""
    keys = [key for key in rows[0] if key not in ("file", "class", "method")]
    found: dict[str, dict[str, float | None]] = {}
    for title in titles:
        own = [row for row in rows if row["method"] == title]
        found[title] = {}
        for key in keys:
            values = [row[key] for row in own if not np.isnan(row[key])]
            average = statistics.median if key == "passes" else statistics.fmean
            found[title][key] = average(values) if values else None
    return found


def _table(means: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    keys = list(next(iter(means.values())))
    wide = max(len(title) for title in means) + 2
    yield " " * wide + "".join(f"{key:>17}" for key in keys)
    for title, numbers in means.items():
        cells = (f"{'-' if value is None else f'{value:.3g}':>17}" for value in numbers.values())
        yield f"{title:{wide}}" + "".join(cells)
    better = ", ".join(key for key in keys if key in BEST_HIGH)
    worse = ", ".join(key for key in keys if key not in BEST_HIGH)
    yield (f"high is good: {better}; " if better else "") + f"low is good: {worse}"


def _mean_curves(curves: Mapping[str, Sequence[Curve]]) -> dict[str, tuple[list, list]]:
    return {
        title: (each[0].shares.tolist(), np.mean([c.scores[0] for c in each], axis=0).tolist())
        for title, each in curves.items()
    }


def _save_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _save_json(path: Path, record: Any) -> None:
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False))


Panel = tuple[str, str, str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]


def _plot(path: Path, panels: Sequence[Panel], say: Say) -> None:
    """Line plots `(title, x label, y label, {name: (x, y)})` side by side, by matplotlib."""
    if not panels:
        return
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        say('no plot of the curves: pip install -e ".[evaluate]" brings matplotlib')
        return
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, across, up, lines) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        styles = ("-", "--", ":", "-.")
        for number, (name, (x, y)) in enumerate(lines.items()):
            axes.plot(x, y, label=name, linestyle=styles[number // 10 % 4])
        axes.set(title=title, xlabel=across, ylabel=up if place == 0 else "")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
    say(f"→ {path}")
