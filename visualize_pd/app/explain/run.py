"""Method 1: a config → a figure for every image, or grids that compare methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from ...attribution.configured import ConfiguredMethod, configure_method
from ...core import runtime
from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError
from ...core.files import make_output_folder
from ...core.images import distinct_names, find_images, load_image
from ...models.classifier import Classifier
from ...models.loading import load_model
from ...network.fast import use_fast
from ..config.schema import ExplainConfig
from ..report.summary import Summary, is_skipped, skipped
from .figures import check_colormap
from .maps import Explanation, TargetClasses, explain_batch, parse_targets
from .report import save_report
from .writer import FigureWriter

Say = Callable[[str], None]


def explain(config: ExplainConfig, say: Say, complain: Say) -> tuple[int, int]:
    """Explain every image of a config; return how many were done and how many were skipped.

    `say` gets a line for each image, `complain` a line for each image that had to be skipped. Of
    several processes each takes its share of the images; both counts are those of all together.
    """
    rank, size = runtime.share_of_run()
    methods = _checked(config, size)
    paths = find_images(config.images)
    folder = make_output_folder(Path(config.output) / "method_1")
    runtime.use_device(config.device)
    use_fast(config.fast)
    classifier = load_model(**as_dict(config.model))
    wanted = parse_targets(config.target, classifier.labels)
    methods = [method.with_baseline(classifier) for method in methods]
    names, summary = distinct_names(paths), Summary(folder, rank, size)
    sheet = f"comparison_{rank + 1}of{size}" if size > 1 else "comparison"
    writer = FigureWriter(folder, names, classifier, methods, config, say, summary, sheet)
    own = paths[rank::size]
    if config.skip_existing:
        own = writer.without_existing(own)
    try:
        for explanation in _explanations(own, config, classifier, methods, wanted):
            if isinstance(explanation, Explanation):
                writer.take(explanation)
            else:
                complain(f"skipped: {explanation[1]}")
                summary.add([skipped(*explanation)])
        writer.finish()
    finally:
        summary.save()
    rows = summary.finish([str(path) for path in paths])
    left_out = sum(is_skipped(row) for row in rows)
    if config.report and rank == 0 and left_out < len(paths):
        say(f"→ {save_report(folder, classifier, config, rows)}")
    return len(paths) - left_out, left_out


def _checked(config: ExplainConfig, processes: int) -> list[ConfiguredMethod]:
    """The methods of a config; `ConfigError` for keys that do not go together."""
    if config.compare == []:
        raise ConfigError("compare is empty; name the methods to compare, or leave it out")
    methods = [configure_method(method) for method in config.compare or [config.method]]
    check_colormap(config.colormap)
    if config.common_scale and processes > 1:
        raise ConfigError("common_scale needs all maps at once: run a single process")
    if config.skip_existing and (config.compare or config.common_scale):
        raise ConfigError("skip_existing needs a figure for each image: no compare or common_scale")
    return methods


Picture = tuple[Path, "Image.Image | ImageError"]


def _explanations(
    paths: Sequence[Path],
    config: ExplainConfig,
    classifier: Classifier,
    methods: Sequence[ConfiguredMethod],
    wanted: TargetClasses,
) -> Iterator[Explanation | tuple[Path, ImageError]]:
    """Each image explained, or why it cannot be read.

    The bar begins after the first batch: a wrong class or layer is told before it.
    """
    hidden = True if len(paths) < 2 else None  # None: also where there is no terminal
    bar = None
    try:
        for batch in _read_ahead(paths, config.batch_size, classifier):
            unreadable = [(path, error) for path, error in batch if isinstance(error, ImageError)]
            readable = [(path, image) for path, image in batch if isinstance(image, Image.Image)]
            explained = explain_batch(methods, classifier, wanted, readable) if readable else []
            bar = bar or tqdm(total=len(paths), unit="image", disable=hidden, leave=False)
            for each in chain[Any](unreadable, explained):
                yield each
                bar.update()
    finally:
        if bar is not None:
            bar.close()


def _read_ahead(
    paths: Sequence[Path], size: int, classifier: Classifier
) -> Iterator[list[Picture]]:
    """Batches of cropped pictures. The next batch is read while one is computed with."""

    def read(batch: Sequence[Path]) -> list[Picture]:
        found: list[Picture] = []
        for path in batch:
            try:
                found.append((path, classifier.crop(load_image(path))))
            except ImageError as error:
                found.append((path, error))
        return found

    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(1) as reader:
        following: Future | None = None
        for batch in [*batches, None]:
            current, following = following, reader.submit(read, batch) if batch else None
            if current:
                yield current.result()
