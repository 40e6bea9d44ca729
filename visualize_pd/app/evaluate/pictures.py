"""What all measures on pictures need at the start: the pictures, the network and the methods."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paddle
from tqdm import tqdm

from ...attribution.configured import ConfiguredMethod
from ...core import runtime
from ...core.config import as_dict
from ...core.errors import ConfigError, ImageError, errors_of
from ...core.files import make_output_folder
from ...core.fingerprint import Fingerprint, value_digest
from ...core.images import Photograph, distinct_names, find_images, size_of
from ...core.version import __version__
from ...models.classifier import Classifier
from ...models.fingerprint import network_fingerprint
from ...models.loading import load_model
from ...models.preprocess import FULL
from ...network.batching import check_memory
from ...network.fast import use_fast
from ...network.gradients import input_gradient
from ...network.scores import Score, check_distinct, check_finite, read_logits
from ..explain.maps import TargetClasses, check_without_class

Say = Callable[[str], None]


class Pictures:
    """The pictures of a config, one by one.

    One that cannot be read, or needs too much memory, is reported and skipped. `batch_size` is the
    number of versions of a picture in one pass. `names` are for files, and `titles` for tables: the
    name of the file, or the whole path where several files have the same name. `digests` are those
    of the files that were read.
    """

    def __init__(
        self,
        paths: list[Path],
        classifier: Classifier,
        batch_size: int,
        complain: Say,
        reserved: str = "",
    ):
        self.paths, self.classifier, self.batch_size = paths, classifier, batch_size
        self.count, self.complain = len(self.paths), complain
        self.names = distinct_names(self.paths, reserved)
        self.digests: dict[Path, str] = {}
        names = Counter(path.name for path in paths)
        self.titles = {path: path.name if names[path.name] == 1 else str(path) for path in paths}

    def __iter__(self) -> Iterator[tuple[Path, Photograph]]:
        hidden = True if self.count < 2 else None
        with tqdm(total=self.count, unit="image", disable=hidden, leave=False) as progress:
            for path in self.paths:
                try:
                    picture, self.digests[path] = self.classifier.load(path)
                    if self.classifier.preprocess == FULL:  # else it was checked before
                        self._check_memory(path, picture)
                    yield path, picture
                except ImageError as error:
                    self.complain(f"skipped: {error}")
                progress.update()

    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the network and of the pictures that were read, for a record."""
        images = value_digest(list(self.digests.values()))
        return {"images": images, **network_fingerprint(self.classifier), "version": __version__}

    def _check_memory(self, path: Path, picture: Photograph) -> None:
        width, height = self.classifier.geometry(size_of(picture)).image
        shape = [self.batch_size, self.classifier.channels, height, width]
        with errors_of(str(path)):
            check_memory(self.classifier.network, shape)


def begin_run(
    config: Any, name: str, complain: Say, reserved: str = ""
) -> tuple[Path, Classifier, Pictures]:
    """Prepare a run: the folder for its results, the network and the pictures of the config.

    `reserved` is a pattern of names that other files of the run have.
    """
    paths = find_images(config.images)
    folder = make_output_folder(Path(config.output) / name)
    runtime.use_device(config.device)
    use_fast(config.fast)
    classifier = load_model(**as_dict(config.model))
    count, side = getattr(config, "batch_size", 1), classifier.image_size
    if classifier.preprocess != FULL:
        check_memory(classifier.network, [count, classifier.channels, side, side])
    return folder, classifier, Pictures(paths, classifier, count, complain, reserved)


def checked_logits(classifier: Classifier, image: paddle.Tensor) -> paddle.Tensor:
    """The logits of an image. Raises `ModelError` if they mean nothing, as with all-zero weights.

    Measures of such a network would be numbers without a meaning.
    """
    with paddle.no_grad():
        logits = read_logits(classifier.network(image), image)
    check_finite(logits)
    check_distinct(logits, image)
    return logits


def as_function(method: ConfiguredMethod) -> Callable[..., paddle.Tensor]:
    """The method as a function `(network, images, targets) → maps`.

    Its options `channel` and `sign` are applied to the maps.
    """

    def maps(network: paddle.nn.Layer, images: paddle.Tensor, targets: Any) -> paddle.Tensor:
        return method.reduced(method.attribution(network, images, targets)[0])

    return maps


def common_function(methods: Sequence[ConfiguredMethod], target: Any) -> Any:
    """The score of all methods, if it is a function and not that of a class; else None.

    Raises `ConfigError` for methods with several scores, and `TargetError` for a class beside it.
    """
    functions = [method.function for method in methods]
    if all(function is None for function in functions):
        return None
    if any(function != functions[0] for function in functions):
        raise ConfigError(
            "maps of several scores cannot be compared; give all methods the same score"
        )
    if target != "predicted":
        check_without_class(functions[0], TargetClasses())
    return functions[0]


def distinct_titles(methods: Sequence[ConfiguredMethod]) -> list[str]:
    """A title for each method. No two titles are the same."""
    names = [method.name for method in methods]
    titles = [method.column_title(names.count(method.name) > 1) for method in methods]
    return [
        title if titles.count(title) == 1 else f"{title} {titles[: n + 1].count(title)}"
        for n, title in enumerate(titles)
    ]


def pass_seconds(
    classifier: Classifier, images: paddle.Tensor, targets: Any, score: Score
) -> float:
    """The median time of a bare pass: one forward pass and the gradient of the images.

    A first pass to warm up is not counted.
    """
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        input_gradient(classifier.network, images, targets, score=score).numpy()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
