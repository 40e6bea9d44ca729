"""Method 1: draw a figure for every image of a config, or grids that compare methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...attribution.configured import ConfiguredMethod, configure_method
from ...core import runtime
from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError, errors_of
from ...core.files import check_results, make_output_folder
from ...core.fingerprint import value_digest
from ...core.images import find_images
from ...models.classifier import Classifier
from ...models.loading import load_model
from ...models.preprocess import FULL, View
from ...network.batching import check_memory
from ...network.fast import expect_images, use_fast
from ..config.schema import ExplainConfig
from ..report.rows import Row, is_skipped, skipped
from ..report.summary import Summary
from .figures import check_colormap
from .fingerprint import names_taken, run_fingerprint
from .maps import Explanation, TargetClasses, explain_batch, parse_targets
from .names import ResultPaths
from .report import save_report
from .writer import FigureWriter

Say = Callable[[str], None]


def explain(
    config: ExplainConfig, say: Say, complain: Say, classifier: Classifier | None = None
) -> tuple[int, int]:
    """Explain every image of a config. Return how many were explained and how many were skipped.

    `say` is called with a line for each image, and `complain` with a line for each skipped image.
    `classifier` is the network of the config if it is loaded already. Several processes share the
    images; both counts are of all of them. Raises `OutputError` if results are gone at the end.
    """
    rank, size = share = runtime.share_of_run()
    methods = _checked(config, size)
    paths = find_images(config.images)
    folder = make_output_folder(Path(config.output) / "method_1")
    runtime.use_device(config.device)
    use_fast(config.fast)
    classifier = classifier or load_model(**as_dict(config.model))
    wanted = parse_targets(config.target, classifier.labels)
    methods = [method.prepared(classifier) for method in methods]
    if classifier.preprocess != FULL:  # else it is checked for each picture
        count = max(min(config.batch_size, len(paths)), *(each.batch_size for each in methods))
        check_memory(classifier.network, [count, classifier.channels, *[classifier.image_size] * 2])
    inputs = run_fingerprint(config, classifier, methods, wanted)
    common = {**inputs, "images": value_digest(paths)}
    summary = Summary(folder, common, rank, size, keep=config.skip_existing)
    known = summary.known() if config.skip_existing else {}
    taken = names_taken(known, paths, folder)
    results = ResultPaths(folder, paths, methods, bool(config.compare), share, taken)
    writer = FigureWriter(results, classifier, methods, config, inputs, say, summary)
    own = writer.without_done(paths[rank::size], known)
    try:
        with expect_images(len(paths)):
            for each in _explanations(own, config, classifier, methods, wanted):
                _write(each, writer, summary, complain)
        writer.finish()
    finally:
        summary.save()

    def report(rows: Sequence[Row]) -> None:
        if config.report:
            writer.written.append(save_report(folder, classifier, config, rows))
            say(f"→ {writer.written[-1]}")

    rows = summary.finish([str(path) for path in paths], report)
    figures = [Path(row["figure"]) for row in rows if row["figure"]]
    check_results(dict.fromkeys([*writer.written, *figures]), folder)
    left_out = sum(is_skipped(row) for row in rows)
    return len(paths) - left_out, left_out


def _write(
    explanation: Explanation | tuple[Path, ImageError],
    writer: FigureWriter,
    summary: Summary,
    complain: Say,
) -> None:
    if isinstance(explanation, Explanation):
        writer.take(explanation)
    else:
        complain(f"skipped: {explanation[1]}")
        summary.add([skipped(*explanation)])


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


# A path, what the network sees of the picture, and a digest of its file; or why it cannot be read.
Picture = tuple[Path, "View | ImageError", str]
Seen = tuple[Path, View, str]


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
    versions = max(method.batch_size for method in methods)
    bar = None
    try:
        for batch in _read_ahead(paths, config.batch_size, classifier):
            unreadable = [(p, error) for p, error, _ in batch if isinstance(error, ImageError)]
            readable = [(p, view, d) for p, view, d in batch if isinstance(view, View)]
            groups, too_large = _groups(readable, classifier, versions)
            unreadable += too_large
            found = [explain_batch(methods, classifier, wanted, group) for group in groups]
            order = [path for path, _, _ in readable]
            explained = sorted(chain(*found), key=lambda each: order.index(each.path))
            bar = bar or tqdm(total=len(paths), unit="image", disable=hidden, leave=False)
            for each in chain[Any](unreadable, explained):
                yield each
                bar.update()
    finally:
        if bar is not None:
            bar.close()


def _groups(
    batch: Sequence[Seen], classifier: Classifier, versions: int
) -> tuple[list[list[Seen]], list[tuple[Path, ImageError]]]:
    """The pictures of a batch in groups of one size, and those that need too much memory.

    Only `full` gives pictures of several sizes. If a group needs too much memory, its pictures go
    through one by one. `versions` is how many versions of a picture are in one pass.
    """
    if classifier.preprocess != FULL:
        return [list(batch)] if batch else [], []
    by_size: dict[tuple[int, int], list[Seen]] = {}
    for each in batch:
        by_size.setdefault(each[1].geometry.image, []).append(each)
    groups: list[list[Seen]] = []
    too_large: list[tuple[Path, ImageError]] = []
    for (width, height), group in by_size.items():
        shape = [classifier.channels, height, width]
        try:
            check_memory(classifier.network, [max(len(group), versions), *shape])
            groups.append(group)
        except ImageError:
            for each in group:
                try:
                    with errors_of(str(each[0])):
                        check_memory(classifier.network, [versions, *shape])
                    groups.append([each])
                except ImageError as error:
                    too_large.append((each[0], error))
    return groups, too_large


def _read_ahead(
    paths: Sequence[Path], size: int, classifier: Classifier
) -> Iterator[list[Picture]]:
    """Yield batches of pictures as the network sees them.

    The next batch is read while the current one is used.
    """

    def read(batch: Sequence[Path]) -> list[Picture]:
        pictures: list[Picture] = []
        for path in batch:
            try:
                picture, digest = classifier.load(path)
                pictures.append((path, classifier.view(picture), digest))
            except ImageError as error:
                pictures.append((path, error, ""))
        return pictures

    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(1) as reader:
        following: Future | None = None
        for batch in [*batches, None]:
            current, following = following, reader.submit(read, batch) if batch else None
            if current:
                yield current.result()
