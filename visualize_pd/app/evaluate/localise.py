"""Find the object of a class in each picture, and write figures and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from PIL import Image, ImageDraw

from ...attribution.configured import configure_method
from ...core.errors import ConfigError, ImageError
from ...core.files import alone_in, remove_files
from ...core.images import Photograph, size_of
from ...evaluate.localisation import (
    Box,
    Located,
    box_of,
    check_localisation,
    crops_map,
    localise,
    overlap,
)
from ...evaluate.truth import Truth, check_names, read_truth, truth_of
from ...models.classifier import Classifier, network_errors
from ...network.outputs import activation_of
from ...network.scores import probabilities
from .. import drawing
from ..config.schema import LocaliseConfig
from ..explain.maps import parse_targets
from .pictures import Say, as_function, begin_run, checked_logits
from .results import save_json

OPTIONS = ("engine", "foreground", "background", "threshold", "smoothing")


def report_localisation(config: LocaliseConfig, say: Say, complain: Say) -> bool:
    """Find the object of each picture and class. Return whether every picture could be read.

    Writes `localise/<name>_pp.jpg` for each picture and `localise/boxes.json`.
    """
    method = configure_method(config.method)
    if method.function is not None:
        raise ConfigError("localise finds the object of a class; use a score of a class")
    options = {name: getattr(config, name) for name in OPTIONS}
    check_localisation(**options)
    truths = read_truth(config.truth) if config.truth else {}
    folder, classifier, pictures = begin_run(config, "localise", complain)
    check_names(pictures.paths, truths)
    wanted = parse_targets(config.target, classifier.labels)
    function = as_function(method.prepared(classifier))
    entries: list[dict[str, Any]] = []
    done, boxes = 0, folder / "boxes.json"
    with alone_in(folder):
        for path, picture in pictures:
            truth, file = truth_of(path, truths), pictures.titles[path]
            rows: list[drawing.Row] = []
            with network_errors(classifier, classifier.geometry(size_of(picture)).image):
                logits = checked_logits(classifier, classifier.prepare([picture]))
                for target in wanted.of(logits.numpy())[0].tolist():
                    resized, values = crops_map(
                        classifier, picture, function, target, config.ten_crops
                    )
                    (located,) = localise([resized], [values], **options)
                    entry = _entry(
                        file, picture, classifier, logits, target, located, resized, truth
                    )
                    entries.append(entry)
                    title = f"{entry['name']} {entry['probability']:.1%}"
                    rows.append((title, _panels(resized, values, located)))
                    score = f", overlap {entry['overlap']:.2f}" if "overlap" in entry else ""
                    say(f"{file}: {title} at {entry['box']}{score}")
            note = f"{file}  ·  {method.name}, {config.engine}"
            if not done:
                remove_files(folder, [boxes])  # of an earlier run
            sheet = drawing.figure(rows, classifier.title, note, scale=1, smooth=3)
            drawing.save_picture(folder / f"{pictures.names[path]}_pp.jpg", sheet)
            done += 1
        if not entries:
            raise ImageError("no image could be read")
        _say_overlaps(entries, say)
        save_json(boxes, entries)
        say(f"→ {boxes}")
    return done == pictures.count


def _say_overlaps(entries: list[dict[str, Any]], say: Say) -> None:
    overlaps = [entry["overlap"] for entry in entries if "overlap" in entry]
    if overlaps:
        half = np.mean([value >= 0.5 for value in overlaps])
        say(f"overlap of at least a half: {half:.0%} of {len(overlaps)}")


def _entry(
    file: str,
    picture: Photograph,
    classifier: Classifier,
    logits: paddle.Tensor,
    target: int,
    located: Located,
    resized: Image.Image,
    truth: Truth | None,
) -> dict[str, Any]:
    """The entry of `boxes.json` for one object. Its box is in pixels of the picture file."""
    shares = probabilities(logits, activation_of(classifier.network))
    factors = np.divide(size_of(picture), resized.size)
    box = Box(*np.round(located.box * np.tile(factors, 2)).astype(int).tolist())
    entry: dict[str, Any] = {
        "file": file,
        "class": target,
        "name": classifier.class_name(target),
        "score": float(logits[0, target]),
        "probability": float(shares[0, target]),
        "box": list(box),
    }
    return {**entry, "overlap": _best_overlap(box, truth, picture)} if truth else entry


def _panels(
    resized: Image.Image, values: np.ndarray, located: Located
) -> list[tuple[str, np.ndarray]]:
    pixels = np.asarray(resized)
    boxed = _boxed(pixels, located.mask, located.box)
    return [("Input image", pixels), ("Map", drawing.heat(values)), ("Object", boxed)]


def _boxed(pixels: np.ndarray, mask: np.ndarray, box: Box) -> np.ndarray:
    """The picture with a box around the object. Everything outside the object is dark."""
    shown = np.where(mask[..., None], pixels, (pixels * 0.35).astype("uint8"))
    drawn = Image.fromarray(shown)
    if box.x1 > box.x0:
        corners = (box.x0, box.y0, box.x1 - 1, box.y1 - 1)
        ImageDraw.Draw(drawn).rectangle(corners, outline=(255, 210, 0), width=3)
    return np.asarray(drawn)


def _best_overlap(box: Box, truth: Truth, picture: Photograph) -> float:
    """The overlap with the true box of the object. Of several boxes, the best one counts."""
    boxes = truth.boxes or (box_of(np.asarray(truth.on(picture)) > 127),)
    return max(overlap(box, other) for other in boxes)
