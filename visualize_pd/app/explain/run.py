"""Method 1: draw a figure for every image of a config, or grids that compare methods."""

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
from ..report.summary import Row, Summary, is_skipped, skipped
from .figures import check_colormap
from .maps import Explanation, TargetClasses, explain_batch, parse_targets
from .report import save_report
from .writer import SHEETS, FigureWriter

Say = Callable[[str], None]


def explain(config: ExplainConfig, say: Say, complain: Say) -> tuple[int, int]:
    """Explain every image of a config. Return how many were explained and how many were skipped.

    `say` is called with a line for each image, and `complain` with a line for each skipped image.
    Several processes share the images. Both counts are those of all processes together.
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
    names = distinct_names(paths, SHEETS if config.compare else "")
    summary = Summary(folder, rank, size)
    sheet = f"comparison_{rank + 1}of{size}" if size > 1 else "comparison"
    writer = FigureWriter(folder, names, classifier, methods, config, say, summary, sheet)
    share = paths[rank::size]
    if config.skip_existing:
        share = writer.without_existing(share)
    try:
        for explanation in _explanations(share, config, classifier, methods, wanted):
            if isinstance(explanation, Explanation):
                writer.take(explanation)
            else:
                complain(f"skipped: {explanation[1]}")
                summary.add([skipped(*explanation)])
        writer.finish()
    finally:
        summary.save()

    def report(rows: Sequence[Row]) -> None:
        if config.report:
            say(f"→ {save_report(folder, classifier, config, rows)}")

    rows = summary.finish([str(path) for path in paths], report)
    left_out = sum(is_skipped(row) for row in rows)
    return len(paths) - left_out, left_out


def _checked(config: ExplainConfig, processes: int) -> list[ConfiguredMethod]:
    """The methods of a config. Raises `ConfigError` for keys that cannot be used together."""
    if config.compare == []:
        raise ConfigError("compare is empty; name the methods to compare, or remove the key")
    methods = [configure_method(method) for method in config.compare or [config.method]]
    check_colormap(config.colormap)
    if config.common_scale and processes > 1:
        raise ConfigError("common_scale needs all maps at once: run a single process")
    if config.skip_existing and (config.compare or config.common_scale):
        raise ConfigError(
            "skip_existing needs a figure for each image; leave out compare and common_scale"
        )
    return methods


Picture = tuple[Path, "Image.Image | ImageError"]


def _explanations(
    paths: Sequence[Path],
    config: ExplainConfig,
    classifier: Classifier,
    methods: Sequence[ConfiguredMethod],
    wanted: TargetClasses,
) -> Iterator[Explanation | tuple[Path, ImageError]]:
    """Yield the explanation of each image, or the reason why it cannot be read.

    The progress bar begins after the first batch, so that an error about a wrong class or layer
    comes before it.
    """
    hidden = True if len(paths) < 2 else None  # with None it is hidden only without a terminal
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
    """Yield batches of cropped pictures. The next batch is read while the current one is used."""

    def read(batch: Sequence[Path]) -> list[Picture]:
        pictures: list[Picture] = []
        for path in batch:
            try:
                pictures.append((path, classifier.crop(load_image(path))))
            except ImageError as error:
                pictures.append((path, error))
        return pictures

    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(1) as reader:
        following: Future | None = None
        for batch in [*batches, None]:
            current, following = following, reader.submit(read, batch) if batch else None
            if current:
                yield current.result()
