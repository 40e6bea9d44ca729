"""Draw the figure of one picture, for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from ...attribution.configured import configure_method
from ...core.errors import ConfigError
from ...core.images import Photograph, as_rgb
from ...models.classifier import Classifier
from .figures import check_colormap, draw_figure, draw_grid, grid_rows
from .maps import explain_batch, parse_targets


def explain_image(
    classifier: Classifier,
    picture: Photograph | str | Path,
    method: str | Mapping | Sequence[str | Mapping] = "saliency",
    target: str | int | Sequence[str | int] = "predicted",
    colormap: str = "auto",
) -> Image.Image:
    """Draw the figure that `method_1_pp.py` draws of one picture. A notebook displays it.

    `picture`: a Pillow image, a file, or an array `[H, W, C]` of float32 where 1.0 is white.
    `method`: a name in `METHODS`, `{"name": …}` with its options, or a list of these. A list makes
    a grid. `target`: predicted, top3, a class by its name or index, or a list of classes. Raises a
    `VisualizeError` for an unknown method, class or colour map, and for a picture that cannot be
    read.
    """
    compare = not isinstance(method, (str, Mapping))
    asked = [method] if isinstance(method, (str, Mapping)) else method
    methods = [configure_method(each).prepared(classifier) for each in asked]
    if not methods:
        raise ConfigError("no method named")
    check_colormap(colormap)
    wanted = parse_targets(target, classifier.labels)
    if isinstance(picture, (str, Path)):
        path, (loaded, digest) = Path(picture), classifier.load(picture)
    else:
        plain = isinstance(picture, Image.Image) and classifier.channels in (1, 3)
        path, loaded, digest = Path("picture"), as_rgb(picture) if plain else picture, ""
    batch = [(path, classifier.view(loaded), digest)]
    (explained,) = explain_batch(methods, classifier, wanted, batch)
    if compare:
        return draw_grid(grid_rows(explained, classifier, methods, colormap), classifier.title)
    return draw_figure(explained, classifier, methods[0], colormap)
