"""Find the concepts of a class in pictures of it, and write what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.numpy

from ...attribution.concepts.craft import Concepts, concepts
from ...attribution.concepts.nonnegative import check_extra
from ...attribution.configured_score import check_score, configured_score, is_function
from ...core.config import as_dict
from ...core.errors import ConfigError
from ...core.files import alone_in, atomic_write, remove_files
from ...core.fingerprint import as_text
from ...core.images import find_images
from ...models.class_names import parse_target
from ...models.classifier import Classifier, network_errors
from ...models.preprocess import CROP
from ...network.batching import check_memory
from ...network.scores import score_name
from ...synthesis.builder import check_maker, configured_size
from .. import drawing
from ..config.schema import ConceptsConfig
from ..evaluate.pictures import Pictures, Say, begin_run, checked_logits
from ..evaluate.results import save_csv
from ..report.page import Figures, Percentage, Picture, Table, save_page
from .images import concept_images, image_settings
from .pictures import LazyImages, box_in_picture, large_enough
from .sheet import Shown, draw_sheet, save_parts, shown_concepts

# The largest pictures in the page.
SHEET = (1600, 8000)
RESULTS = re.compile(
    r"concept_[0-9]+_(image\.png|(crops|maps)\.jpg)|sheet\.jpg|concepts\.safetensors|summary\.csv|"
    r"index\.html"
)
PARTS = {"image": (128, 128), "crops": (384, 128), "maps": (384, 128)}


def report_concepts(config: ConceptsConfig, say: Say, complain: Say) -> bool:
    """Find the concepts of a class. Return whether every picture could be used.

    Writes into `concepts/class_<index>/`: the sheet `sheet.jpg`, the concepts as
    `concepts.safetensors`, the best crops in `summary.csv`, and the page `index.html`.
    """
    check_extra()
    check_score(config.score)
    settings = image_settings(config.image)
    new = [] if config.new_images is None else find_images(config.new_images)[: config.shown]
    folder, classifier, pictures = begin_run(config, "concepts", complain)
    if classifier.preprocess != CROP:
        raise ConfigError("concepts are found in squares; leave out model.preprocess")
    if settings:
        check_maker(classifier)
        height, width = configured_size(settings, classifier)
        check_memory(classifier.network, [1, classifier.channels, height, width])
    target = parse_target(config.target, classifier.labels)
    paths = large_enough(pictures, classifier, config.crop, complain)
    usable = new
    if new:
        usable = large_enough(Pictures(new, classifier, 1, complain), classifier, 1, complain)
    images = LazyImages(paths, classifier)
    others = LazyImages(usable, classifier) if usable else images
    found = _found(config, classifier, images, target)
    folder = folder / _name(found)
    drawn = concept_images(classifier, found, settings) if settings else None
    shown = shown_concepts(classifier, found, images, others, drawn, config.shown)
    title = _title(found, config, classifier)
    for number, each in enumerate(shown, 1):
        say(f"concept {number}: importance {each.importance:.1%}")
    with alone_in(folder):
        _save(folder, config, pictures, found, shown, images, title)
    say(f"{title} → {folder / 'index.html'}")
    return len(paths) == pictures.count and usable == new


def _found(
    config: ConceptsConfig, classifier: Classifier, images: LazyImages, target: int | None
) -> Concepts:
    with network_errors(classifier, (images.size, images.size)):
        if not is_function(config.score):
            picture, _ = classifier.load(images.paths[0])
            checked_logits(classifier, classifier.prepare([picture]))
        return concepts(
            classifier.network,
            images,
            target,
            layer=None if config.layer is None else str(config.layer),
            count=config.concepts,
            crop=config.crop,
            most_crops=config.most_crops,
            size=images.size,
            samples=config.samples,
            seed=config.seed,
            batch_size=config.batch_size,
            score=configured_score(config.score, classifier),
        )


def _name(found: Concepts) -> str:
    return "score" if found.target is None else f"class_{found.target}"


def _title(found: Concepts, config: ConceptsConfig, classifier: Classifier) -> str:
    score = configured_score(config.score, classifier)
    if found.target is None:
        return f"concepts of {score_name(score)}"
    what = classifier.class_name(found.target)
    how = "" if score == "logit" else f", {score_name(score)}"
    return f"concepts of {what} ({found.target}){how}"


def _save(
    folder: Path,
    config: ConceptsConfig,
    pictures: Pictures,
    found: Concepts,
    shown: Sequence[Shown],
    images: LazyImages,
    title: str,
) -> None:
    """Write the files of a run. Those of an earlier run are removed before."""
    classifier = pictures.classifier
    about = (
        f"layer {found.layer} of {classifier.title}, {len(found.crops)} crops of "
        f"{len(images)} {'picture' if len(images) == 1 else 'pictures'}"
    )
    old = [path for path in folder.iterdir() if RESULTS.fullmatch(path.name)]
    remove_files(folder, old)
    files = save_parts(folder, shown)
    sheet = folder / "sheet.jpg"
    drawing.save_picture(sheet, draw_sheet(shown, title, about))
    _save_arrays(folder / "concepts.safetensors", found, pictures)
    save_csv(folder / "summary.csv", _rows(found, shown, images, classifier))
    table = [
        [
            number,
            Percentage(each.importance),
            *(_picture(paths, part, size) for part, size in PARTS.items()),
        ]
        for number, (each, paths) in enumerate(zip(shown, files), 1)
    ]
    headings = ["concept", "importance", "image", "best crops", "maps"]
    parts: dict[str, Table | Figures] = {
        "Concepts": Table(headings, table),
        "Sheet": Figures([(about, Picture(sheet, SHEET, sheet.name))]),
    }
    save_page(folder / "index.html", title, about, parts, as_dict(config))


def _picture(paths: dict[str, Path], part: str, within: tuple[int, int]) -> Picture | None:
    return Picture(paths[part], within, paths[part].name) if part in paths else None


def _save_arrays(path: Path, found: Concepts, pictures: Pictures) -> None:
    """The factors, their importance and the coefficients of the crops."""
    names = ("factors", "importance", "coefficients")
    arrays = {name: getattr(found, name).numpy() for name in names}
    about = {
        "layer": found.layer,
        "network": pictures.classifier.title,
        "class": str(found.target),
        "error": f"{found.error:.6g}",
        "fingerprint": as_text(pictures.fingerprint()),
    }
    data = safetensors.numpy.save(arrays, about)
    with atomic_write(path) as file:
        file.write(data)


def _rows(
    found: Concepts, shown: Sequence[Shown], images: LazyImages, classifier: Classifier
) -> list[dict[str, Any]]:
    """A row for each of the best crops, with its box in the pixels of the picture file."""
    rows = []
    for concept, each in enumerate(shown):
        for crop in each.best:
            height, width = images[crop.image].shape[2:]
            ends = (crop.left + crop.side, crop.top + crop.side)
            share = (crop.left / width, crop.top / height, ends[0] / width, ends[1] / height)
            path, place = images.paths[crop.image], found.crops.index(crop)
            box = box_in_picture(path, classifier, share)
            rows.append(
                {
                    "concept": concept + 1,
                    "importance": each.importance,
                    "coefficient": float(found.coefficients[place, concept]),
                    "file": str(path),
                    **dict(zip(("left", "top", "right", "bottom"), box)),
                }
            )
    return rows
